public import Basics

/// Names one renewal, so that its confirmation is counted from the moment it was sent.
public struct RenewalIdentifier: RawRepresentable, Sendable, Hashable {
    public var rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// The holder's side of the lease: how long it may answer clients.
///
/// It decides until when, by its own clock, a confirmation lets the holder go on. It does not decide who may
/// write: that is the record's epoch and grant, without clocks. A confirmation of the witness or of the peer
/// does; both answer the same renewal. Time is counted from *sending*: whatever the network and the grantor
/// took is taken from the holder's time, never added.
public struct HolderLease: Sendable {
    /// Renewals whose confirmation is still worth something; older ones have run out anyway.
    public static let outstandingMaximum = 16

    public let profile: LeaseProfile
    /// Until when the holder may answer clients; nil before the first confirmation and after a release.
    public private(set) var deadline: Instant?
    /// How often the lease came back after it had run out, with nobody else granted meanwhile.
    public private(set) var blips: UInt64 = 0
    /// When the next renewal should be sent.
    public private(set) var nextRenewal: Instant
    private var outstanding: [(identifier: RenewalIdentifier, sent: Instant)] = []
    private var nextIdentifier: UInt64 = 1

    /// No lease yet; the first renewal is due at once. Identifiers start at `first`: a number that no earlier
    /// life of this process used for the same grant.
    public init(profile: LeaseProfile, startingAt now: Instant, first: UInt64 = 1) {
        self.profile = profile
        nextRenewal = now
        nextIdentifier = first
    }

    /// Whether clients may be answered now.
    public func isHeld(at now: Instant) -> Bool { deadline.map { now < $0 } ?? false }

    /// Notes that a renewal leaves now, and gives it its identifier. Call it before the bytes are handed
    /// over.
    public mutating func sending(at now: Instant) -> RenewalIdentifier {
        let identifier = RenewalIdentifier(rawValue: nextIdentifier)
        nextIdentifier += 1
        if outstanding.count == Self.outstandingMaximum { outstanding.removeFirst() }
        outstanding.append((identifier, now))
        nextRenewal = now + profile.renewal
        return identifier
    }

    /// Takes a confirmation. True when it moved the deadline to a moment that is still to come.
    public mutating func confirmed(_ identifier: RenewalIdentifier, at now: Instant) -> Bool {
        guard let entry = outstanding.first(where: { $0.identifier == identifier }) else { return false }
        let until = entry.sent + profile.holder
        guard until > now, until > deadline ?? Instant(nanoseconds: 0) else { return false }
        if let deadline, deadline <= now { blips += 1 }
        deadline = until
        return true
    }

    /// The grant is over: nothing sent so far confirms anything any more.
    public mutating func released() {
        deadline = nil
        outstanding.removeAll()
    }
}
