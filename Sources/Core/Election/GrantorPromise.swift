public import Basics

/// The grantor's side of the lease: until when it grants nobody else. A witness has one for each group, a
/// peer too.
///
/// Counted from *receipt* of the renewal, by the grantor's own clock. After its own restart the grantor has
/// forgotten its promises and keeps the longest it may have made: to the recorded holder alone.
public struct GrantorPromise: Sendable {
    public let profile: LeaseProfile
    /// Whom the promise was made to; nil when it may have been made to anybody.
    public private(set) var holder: NodeIndex?
    /// Until when it binds.
    public private(set) var until: Instant

    /// A grantor whose process starts now, with the holder that its record names, if it has one.
    public init(profile: LeaseProfile, recordedHolder: NodeIndex?, startingAt now: Instant) {
        self.profile = profile
        holder = recordedHolder
        until = now + profile.promise
    }

    /// Whether this node could be made holder now: nobody else is promised to.
    public func mayGrant(to node: NodeIndex, at now: Instant) -> Bool { now >= until || holder == node }

    /// How long until anybody may be granted.
    public func remaining(at now: Instant) -> Interval { until.since(now) }

    /// A renewal of the record's holder arrived, or the record has just made the node holder. False, and
    /// nothing promised, when another node's promise still binds.
    public mutating func renewed(by node: NodeIndex, at now: Instant) -> Bool {
        guard mayGrant(to: node, at: now) else { return false }
        holder = node
        until = max(until, now + profile.promise)
        return true
    }

    /// The node gives its promise back; another may be granted at once. Ignored when it was not the holder.
    public mutating func released(by node: NodeIndex, at now: Instant) {
        guard holder == node else { return }
        until = min(until, now)
    }
}
