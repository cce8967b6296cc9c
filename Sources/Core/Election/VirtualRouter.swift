public import Basics

/// The states of a virtual router; RFC 9568's three, and one between Backup and Active.
public enum VirtualRouterState: UInt8, Sendable, Hashable, CaseIterable {
    case initialize = 0
    case backup = 1
    /// A promotion is asked for; nothing is advertised yet.
    case candidate = 2
    case active = 3
}

/// One node's elector for one virtual address: suspects that the Active is gone, and advertises while this
/// node is it.
///
/// It decides when to ask for a promotion, when to advertise, announce and be mute. It does not decide who is
/// Active: the arbiter grants, the data path enforces. It adds to RFC 9568 §6:
///
/// - boot is always Backup, whatever the priority;
/// - Active_Down_Timer only *suspects*: the router asks, and is Active when the grant is there, not before;
/// - a node that is not eligible advertises nothing and never asks;
/// - a sign of life of the Active on any channel restarts the timer;
/// - advertisements go out from the grant on, announcements once the address is raised;
/// - every event first compares `now` with the lease: a machine that slept through its lease mutes itself,
///   then looks;
/// - with an arbiter a superior advertisement is no reason to step down but one to ask; without, it is;
/// - whoever may have been contested announces again: an advertisement, a claim, a heal, an unmute.
///
/// State | event                     | what happens
/// ------|---------------------------|-------------
/// init  | started                   | Active_Down_Timer, Backup
/// backup| timer, eligible           | startPromotion, Candidate
/// backup| timer, not eligible       | noted; asks a skew after it becomes eligible
/// backup| advert 0, peer resigned   | timer := skew
/// backup| advert (no preempt or >=) | learn the interval, restart the timer
/// cand. | granted                   | advertise, Active
/// cand. | refused                   | restart the timer (back-off), Backup
/// active| promoted                  | announce
/// active| timer                     | advertise
/// active| advert                    | advertise; announce (once a second at most); superior: ask, or step down
/// active| lease over                | mute; nothing is sent until the lease is back
/// active| demoted                   | advert 0 if it resigns; Backup
/// any   | stopped                   | advert 0 if Active and not mute; Init
///
/// The caller wakes it at `nextWakeup`. Not for several threads at once.
public struct VirtualRouter: Sendable {
    /// Rounds of announcements caused by others are not begun more often than this: two that shout at each
    /// other hundred times a second would flood the segment (seen with keepalived at 10 ms).
    static let contestPause: Interval = .seconds(1)
    /// An address that vanishes that often within `vanishWindow` is not put back any more.
    static let vanishMaximum = 3
    static let vanishWindow: Interval = .seconds(10)

    public let configuration: VirtualRouterConfiguration
    public private(set) var state: VirtualRouterState = .initialize
    /// Whether the address is muted because the lease ran out.
    public private(set) var isMuted = false
    /// Whether this node may be promoted.
    public private(set) var isEligible = false
    /// Whether the address is raised, as far as the router was told.
    public private(set) var isAddressRaised = false
    /// The longest that a wake-up came late, and how many came later than an advertisement's interval.
    public private(set) var latenessMaximum = Interval(nanoseconds: 0)
    public private(set) var lateWakeups: UInt64 = 0
    /// When the Active was last heard, on any channel.
    public private(set) var lastHeard: Instant?
    /// Whether the last sign of the Active came on another channel, and its advertisements do not.
    public private(set) var areAdvertisementsBlocked = false

    private var isLinkUp = true
    /// The interval in use: the Active's, our own before one was heard. Microseconds.
    private var intervalMicroseconds: UInt64
    private var downDeadline: Instant = .never
    private var advertisementDeadline: Instant = .never
    private var leaseDeadline: Instant = .never
    private var schedule = AnnouncementSchedule()
    private var suspicion: Suspicion?
    /// Since when the Active has been silent: where the next reason counts from.
    private var silentSince = Instant(nanoseconds: 0)
    /// The last advertisement, or the moment from which one could have been heard.
    private var advertisementsSince = Instant(nanoseconds: 0)
    /// Since when the peer has called itself Active on another channel.
    private var peerActiveSince: Instant?
    /// Whether a demotion was asked for because a better one is Active: nothing is advertised until it is
    /// done.
    private var isSteppingDown = false
    private var wasGivenGrace = false
    private var vanished: [Instant] = []
    private var actions: [VirtualRouterAction] = []

    public init(configuration: VirtualRouterConfiguration) {
        self.configuration = configuration
        intervalMicroseconds = UInt64(configuration.interval) * 10_000
    }

    /// (256 - priority) × interval / 256, in whole microseconds: in centiseconds it would be 0 for short
    /// intervals, and two backups would ask at once.
    public var skew: Interval {
        .microseconds((256 - UInt64(configuration.priority)) * intervalMicroseconds / 256)
    }

    /// Active_Down_Interval: three intervals of the Active and the skew.
    public var downInterval: Interval {
        Interval(nanoseconds: 3 * intervalMicroseconds * 1000 + skew.nanoseconds)
    }

    /// When `wake` is due; `never` while nothing is waited for.
    public var nextWakeup: Instant {
        switch state {
        case .initialize, .candidate: .never
        case .backup: isLinkUp ? downDeadline : .never
        case .active: isMuted ? .never : min(leaseDeadline, min(advertisementDeadline, schedule.next))
        }
    }

    /// Handles one event; the actions are to be carried out in their order.
    public mutating func handle(_ event: VirtualRouterEvent, at now: Instant) -> [VirtualRouterAction] {
        actions.removeAll(keepingCapacity: true)
        let before = state
        checkLease(at: now)
        measureLateness(at: now)
        dispatch(event, at: now)
        runTimers(at: now)
        if state != before { actions.append(.note(.stateChanged(from: before, to: state))) }
        return actions
    }

    /// Before anything else: a machine that slept must not answer, advertise or announce once more.
    private mutating func checkLease(at now: Instant) {
        guard state == .active, !isMuted, now >= leaseDeadline else { return }
        // A confirmation that arrives in the very event that finds the lease over still comes too late:
        // between the two the address was answered without a lease, and whoever waited for its end may have
        // been granted.
        isMuted = true
        schedule.stop()
        actions.append(.mute(late: now.since(leaseDeadline)))
    }

    private mutating func measureLateness(at now: Instant) {
        let due = nextWakeup
        guard due != .never, now > due else { return }
        let late = now.since(due)
        latenessMaximum = max(latenessMaximum, late)
        guard late.nanoseconds > intervalMicroseconds * 1000 else { return }
        lateWakeups += 1
        actions.append(.note(.lateWakeup(late)))
        // What the Active sent meanwhile may lie unread: look once before suspecting. A machine that is
        // always late must suspect in the end.
        guard state == .backup, !wasGivenGrace else { return }
        wasGivenGrace = true
        downDeadline = now + Interval(nanoseconds: intervalMicroseconds * 1000) + skew
    }

    private mutating func dispatch(_ event: VirtualRouterEvent, at now: Instant) {
        switch event {
        case .wake: break
        case .started: start(at: now)
        case .stopped: stop()
        case .eligible(let value): becomeEligible(value, at: now)
        case .heard(let advertisement, let source): hear(advertisement, from: source, at: now)
        case .peerHeard(let isActive): hearPeer(isActive: isActive, at: now)
        case .peerResigned: hearResignation(at: now)
        case .granted: becomeActive(at: now)
        case .promoted: raise(at: now)
        case .refused(let pause): fallBack(pause: pause, at: now)
        case .demoted(let resigns): stepDown(resigns: resigns, at: now)
        case .leaseExtended(let until): extendLease(until: until, at: now)
        case .foreignClaim, .healed: announceAgain(at: now)
        case .link(let isUp): changeLink(isUp: isUp, at: now)
        case .addressVanished: putBack(at: now)
        }
    }

    private mutating func runTimers(at now: Instant) {
        switch state {
        case .initialize, .candidate: break
        case .backup:
            guard isLinkUp, now >= downDeadline else { return }
            suspect(at: now)
        case .active:
            guard !isMuted else { return }
            if now >= advertisementDeadline { advertise(at: now) }
            if let operation = schedule.due(at: now) { actions.append(.announce(operation)) }
        }
    }
}

// MARK: - Backup and Candidate

extension VirtualRouter {
    private mutating func start(at now: Instant) {
        guard state == .initialize else { return }
        enterBackup(at: now)
    }

    private mutating func enterBackup(at now: Instant) {
        state = .backup
        silentSince = now
        advertisementsSince = now
        peerActiveSince = nil
        restartDownTimer(at: now)
    }

    private mutating func restartDownTimer(at now: Instant) {
        suspicion = nil
        downDeadline = now + downInterval
    }

    private mutating func becomeEligible(_ value: Bool, at now: Instant) {
        let was = isEligible
        isEligible = value
        guard state == .backup, value, !was, suspicion != nil else { return }
        // The Active has been missed for some time; the skew lets the better node ask first.
        downDeadline = now + skew
    }

    private mutating func suspect(at now: Instant) {
        let reason = suspicion ?? .silence(now.since(silentSince))
        suspicion = reason
        downDeadline = .never
        guard isEligible else {
            actions.append(.note(.suspectedWhileNotEligible))
            return
        }
        state = .candidate
        actions.append(.startPromotion(reason))
    }

    private mutating func hear(_ advertisement: VRRPAdvertisement, from source: IPv4Address, at now: Instant)
    {
        if areAdvertisementsBlocked {
            areAdvertisementsBlocked = false
            actions.append(.note(.advertisementsArrive))
        }
        advertisementsSince = now
        wasGivenGrace = false
        switch state {
        case .initialize: break
        case .candidate:
            // The question is on its way and cannot be taken back; the arbiter knows who is Active.
            learn(advertisement, at: now)
        case .backup:
            if advertisement.priority == 0 {
                hearResignation(at: now)
            } else if configuration.preempts, isEligible, advertisement.priority < configuration.priority {
                // RFC 9568 §6.4.2: ignored, the timer runs on. What makes it a preemption is that one was
                // heard.
                suspicion = .preemption
                lastHeard = now
            } else {
                learn(advertisement, at: now)
                restartDownTimer(at: now)
            }
        case .active: hearWhileActive(advertisement, from: source, at: now)
        }
    }

    private mutating func learn(_ advertisement: VRRPAdvertisement, at now: Instant) {
        guard advertisement.priority != 0 else { return }
        intervalMicroseconds = UInt64(advertisement.interval) * 10_000
        lastHeard = now
        silentSince = now
    }

    private mutating func hearPeer(isActive: Bool, at now: Instant) {
        // A living peer that is not Active is no reason to wait: then nobody is.
        guard isActive else {
            peerActiveSince = nil
            return
        }
        lastHeard = now
        silentSince = now
        let activeSince = peerActiveSince ?? now
        peerActiveSince = activeSince
        guard state == .backup else { return }
        let missing = now.since(max(advertisementsSince, activeSince))
        if !areAdvertisementsBlocked, isLinkUp, missing > downInterval {
            areAdvertisementsBlocked = true
            actions.append(.note(.advertisementsBlocked))
        }
        wasGivenGrace = false
        restartDownTimer(at: now)
    }

    private mutating func hearResignation(at now: Instant) {
        switch state {
        case .initialize, .candidate: break
        case .backup:
            suspicion = .resignation
            downDeadline = min(now + skew, downDeadline)
        case .active:
            guard !isMuted, !isSteppingDown else { return }
            advertise(at: now)
        }
    }

    private mutating func fallBack(pause: Interval?, at now: Instant) {
        switch state {
        case .initialize, .backup: break
        case .candidate:
            state = .backup
            restartDownTimer(at: now)
            if let pause { downDeadline = now + pause + skew }
        case .active:
            // The grant was there, the promotion failed and is undone: the other may try at once.
            stepDown(resigns: true, at: now)
            if let pause { downDeadline = now + pause + skew }
        }
    }
}

// MARK: - Active

extension VirtualRouter {
    private mutating func becomeActive(at now: Instant) {
        switch state {
        case .initialize, .active: break
        case .backup, .candidate:
            state = .active
            isMuted = false
            isAddressRaised = false
            leaseDeadline = .never
            downDeadline = .never
            suspicion = nil
            intervalMicroseconds = UInt64(configuration.interval) * 10_000
            advertise(at: now)
        }
    }

    private mutating func raise(at now: Instant) {
        guard state == .active else { return }
        isAddressRaised = true
        guard !isMuted else { return }
        schedule.start(at: now)
    }

    private mutating func advertise(at now: Instant) {
        actions.append(.sendAdvertisement(priority: configuration.priority))
        advertisementDeadline = now + .microseconds(UInt64(configuration.interval) * 10_000)
    }

    private mutating func announceAgain(at now: Instant) {
        guard state == .active, isAddressRaised, !isMuted, !isSteppingDown else { return }
        if let started = schedule.started, now.since(started) < Self.contestPause { return }
        schedule.start(at: now)
    }

    private mutating func hearWhileActive(
        _ advertisement: VRRPAdvertisement, from source: IPv4Address, at now: Instant
    ) {
        guard !isMuted, !isSteppingDown else { return }
        if advertisement.priority == 0 {
            advertise(at: now)
            return
        }
        actions.append(.note(.contested(by: source, priority: advertisement.priority)))
        let isSuperior =
            advertisement.priority > configuration.priority
            || advertisement.priority == configuration.priority && source > configuration.ownAddress
        if isSuperior, !configuration.isArbitrated {
            learn(advertisement, at: now)
            schedule.stop()
            isSteppingDown = true
            advertisementDeadline = .never
            actions.append(.startDemotion(.superior(source)))
            return
        }
        if configuration.isArbitrated { actions.append(.confirmGrant) }
        advertise(at: now)
        announceAgain(at: now)
    }

    private mutating func extendLease(until: Instant, at now: Instant) {
        guard state == .active, until > now else { return }
        leaseDeadline = leaseDeadline == .never ? until : max(leaseDeadline, until)
        guard isMuted else { return }
        isMuted = false
        actions.append(.unmute)
        advertise(at: now)
        if isAddressRaised { schedule.start(at: now) }
    }

    private mutating func stepDown(resigns: Bool, at now: Instant) {
        switch state {
        case .initialize: break
        case .backup, .candidate, .active:
            if state == .active, resigns, !isMuted { actions.append(.sendAdvertisement(priority: 0)) }
            leaveActive()
            enterBackup(at: now)
        }
    }

    private mutating func stop() {
        if state == .active, !isMuted { actions.append(.sendAdvertisement(priority: 0)) }
        leaveActive()
        state = .initialize
        downDeadline = .never
    }

    private mutating func leaveActive() {
        schedule.stop()
        isAddressRaised = false
        isMuted = false
        isSteppingDown = false
        leaseDeadline = .never
        advertisementDeadline = .never
        vanished.removeAll()
    }

    private mutating func changeLink(isUp: Bool, at now: Instant) {
        guard isUp != isLinkUp else { return }
        isLinkUp = isUp
        switch state {
        case .initialize, .candidate: break
        case .backup:
            // Without a link silence means nothing; with it back the Active gets a whole interval to be
            // heard.
            guard isUp else { return }
            advertisementsSince = now
            restartDownTimer(at: now)
        case .active:
            if isUp { announceAgain(at: now) } else { actions.append(.startDemotion(.linkDown)) }
        }
    }

    private mutating func putBack(at now: Instant) {
        guard state == .active, isAddressRaised else { return }
        vanished.removeAll { now.since($0) > Self.vanishWindow }
        vanished.append(now)
        guard vanished.count < Self.vanishMaximum else {
            actions.append(.startDemotion(.addressKeepsVanishing))
            return
        }
        actions.append(.raiseAddress)
        guard !isMuted else { return }
        schedule.start(at: now)
    }
}
