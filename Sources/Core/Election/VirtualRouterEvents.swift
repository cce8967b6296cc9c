public import Basics

/// What the settings say of one virtual router.
public struct VirtualRouterConfiguration: Sendable, Hashable {
    /// 1...255.
    public var number: UInt8
    /// 1...254; who prefers a node gives it the higher one.
    public var priority: UInt8
    /// Centiseconds between advertisements, 1...4095.
    public var interval: UInt16
    /// The address that advertisements come from: breaks a tie of priorities, the higher one wins.
    public var ownAddress: IPv4Address
    /// Whether a better node takes back from a worse one that is Active and well.
    public var preempts: Bool
    /// Whether a grant decides who is Active. Without one (groups without a volume) a superior advertisement
    /// does, as in RFC 9568.
    public var isArbitrated: Bool

    public init(
        number: UInt8, priority: UInt8 = 100, interval: UInt16 = 10, ownAddress: IPv4Address,
        preempts: Bool = false,
        isArbitrated: Bool = true
    ) {
        precondition(number >= 1, "a virtual router's number is 1...255")
        precondition((1...254).contains(priority), "a priority is 1...254")
        precondition((1...VRRPAdvertisement.intervalMaximum).contains(interval), "1...4095 centiseconds")
        self.number = number
        self.priority = priority
        self.interval = interval
        self.ownAddress = ownAddress
        self.preempts = preempts
        self.isArbitrated = isArbitrated
    }
}

/// What a virtual router is told.
public enum VirtualRouterEvent: Sendable, Hashable {
    /// The daemon is up and has removed what a predecessor left.
    case started
    /// The daemon ends; the address is already off.
    case stopped
    /// Nothing but time.
    case wake
    /// Whether this node's copy may be promoted and nothing holds it back (hold, maintenance, Stuck).
    case eligible(Bool)
    /// A valid advertisement of this virtual router.
    case heard(VRRPAdvertisement, from: IPv4Address)
    /// A sign of life of the peer on another channel: the data connection, the private channel, the witness's
    /// word.
    case peerHeard(isActive: Bool)
    /// The peer (or its keeper) says that it gives up: as good as priority 0.
    case peerResigned
    /// The arbiter granted, asked for by this router or by an operator.
    case granted
    /// The promotion ended well: the address is raised.
    case promoted
    /// The promotion was refused, or failed and is undone; do not ask again for that long.
    case refused(retryAfter: Interval?)
    /// The role ended and the address is off. `resigns`: the peer may take over at once (not after a
    /// deposition).
    case demoted(resigns: Bool)
    /// The lease was confirmed until that instant (`HolderLease.deadline`).
    case leaseExtended(until: Instant)
    /// Somebody else announced our address, or answered a probe for it.
    case foreignClaim
    /// The network came back: a link is up again, a connection is made again.
    case healed
    /// Carrier of the interface.
    case link(isUp: Bool)
    /// Our address was removed from the interface by somebody else.
    case addressVanished
}

/// Why a virtual router wants a promotion.
public enum Suspicion: Sendable, Hashable {
    /// Nothing was heard of an Active for that long.
    case silence(Interval)
    /// The Active resigned.
    case resignation
    /// The Active is worse, and this node preempts.
    case preemption
}

/// Why a virtual router wants a demotion.
public enum StepDownReason: Sendable, Hashable {
    /// A better one is Active, and no arbiter decides between us.
    case superior(IPv4Address)
    /// The interface has no carrier.
    case linkDown
    /// Somebody removes the address again and again.
    case addressKeepsVanishing
}

/// What a virtual router wants done, in this order.
public enum VirtualRouterAction: Sendable, Hashable {
    /// Send an advertisement; 0 resigns.
    case sendAdvertisement(priority: UInt8)
    /// Ask for the grant and promote; answer with `granted` and `promoted`, or `refused`.
    case startPromotion(Suspicion)
    /// Demote in order; answer with `demoted`. Ignored by a runtime that knows better (no peer to take over).
    case startDemotion(StepDownReason)
    /// Send one gratuitous ARP for each address.
    case announce(GratuitousARP.Operation)
    /// The lease is over since that long: mute the address before anything else.
    case mute(late: Interval)
    /// The lease is back and nobody was granted meanwhile: let the address answer again.
    case unmute
    /// Another claims to be Active while the lease lives: ask the arbiter now instead of at the next renewal.
    case confirmGrant
    /// Put the address back.
    case raiseAddress
    /// Something that the journal should tell.
    case note(VirtualRouterNote)
}

/// What the journal should tell of a virtual router.
public enum VirtualRouterNote: Sendable, Hashable {
    case stateChanged(from: VirtualRouterState, to: VirtualRouterState)
    /// An Active is missed, but this node may not be promoted.
    case suspectedWhileNotEligible
    /// The peer is Active and its advertisements do not arrive: a firewall without a rule for protocol 112,
    /// usually.
    case advertisementsBlocked
    /// They arrive again.
    case advertisementsArrive
    /// Another advertises while this node is Active.
    case contested(by: IPv4Address, priority: UInt8)
    /// The process was not scheduled in time.
    case lateWakeup(Interval)
}
