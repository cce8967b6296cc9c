import Basics
import DiskFormat
import Election
import Failover
import Glibc
import LinuxSystem
import Netlink
import Quorum
import Replication
import Settings
import Telemetry
import WireFormat

/// The thread of a group: where the volume, the arbiter, the peer, the elector and the failover plan meet.
///
/// It carries out what those machines say and tells them what came of it. What may block is done by the performer.
///
/// The files: `+Failover` the plan and its effects, `+Elector` the address and who asks for it, `+Lease` signs of life
/// and the holder's time, `+Service` the proxy behind the address, `+Verbs` the operator, `+Words` reasons in
/// sentences, `+Status` what is shown.
final class NodeGroupLoop {
    let context: NodeContext
    let group: Settings.Group
    let inbox: NodeInbox<NodeGroupEvent>
    let volume: Volume?
    let arbiter: ArbiterClient?
    let peer: PeerConnector
    let performer: FailoverPerformer
    let shared: NodeGroupShared
    let profile: LeaseProfile

    var plan: FailoverPlan
    var router: VirtualRouter?
    var port: ElectorPort?
    var now = Instant.now()
    let started = Instant.now()

    // The lease.
    var lease: HolderLease
    var promise: GrantorPromise
    var nextSequence: UInt64
    var nextSign: Instant
    var isArbiterUp = false
    /// Whether it knows an older record than this node, or none: it grants nothing.
    var hasArbiterForgotten = false
    var isMutedByLease = false
    /// The peer's connection was given up because nobody confirms.
    var hasDroppedLink = false

    // The peer.
    var isPeerUp = false
    var peerHeard = Instant(nanoseconds: 0)
    var peerSign: PeerSign?

    // The role.
    var isPrimary = false
    /// The operator keeps this node from becoming Primary by itself.
    var isHeld = false
    /// The operator took the group down.
    var isDown = false
    var isEnding = false
    /// What the other node was told last of both, and of what is in the way here.
    var (toldHeld, toldBlocked) = (false, false)
    /// Since when both could have been promoted.
    var eligibleSince: Instant?

    // The plan.
    var planned: [FailoverAction] = []
    var isCarryingOut = false

    /// Promotions that have failed on this machine since the last one that did not.
    var failures = 0

    // The proxy behind the address; nil: the group has none.
    let asker: ProxyAsker?
    var service: ServiceWatch?
    /// What was last sent of the operator's orders, and what the other node sent.
    var sentOrders: String?
    var peerOrders: String?

    // Effects that end elsewhere.
    var grantWait: GrantWait?
    var opening: AttemptIdentifier?
    /// The address waits for the first confirmation of the lease.
    var raising: AttemptIdentifier?
    var closing: AttemptIdentifier?
    var failing: AttemptIdentifier?
    var releasing: AttemptIdentifier?
    var isDeviceOpen = false
    /// The replica waits for the address to be gone.
    var isMuteAsked = false
    /// A demotion hands the record to the peer.
    var handsOver = false
    /// The last demotion did.
    var hasHandedOver = false

    // The operator.
    var waiting: [WaitingVerb] = []
    /// Until when the other node's operator means this one to become Primary.
    var offeredUntil = Instant(nanoseconds: 0)
    /// When the step began that was last told to be slow.
    var toldSlow = Instant(nanoseconds: 0)
    var leaveEnd: Instant = .never
    var leaveAgain = Instant(nanoseconds: 0)
    var lastRefusal: ArbiterRefusal?
    var isFinished = false

    // What is in the way, in sentences for the operator.
    /// Somebody else's mount is where this group's belongs.
    var obstacle: String?
    var pollTrouble: SystemError?
    var nextLook = Instant(nanoseconds: 0)
    /// Why the last connection ended for good.
    var linkTrouble: String?
    /// Why there is no session with the witness.
    var arbiterTrouble: String?

    // What is shown.
    var loggedBytes: UInt64 = 0
    /// When the connections of NFS clients are written down next.
    var nextRecording = Instant(nanoseconds: 0)
    /// Blocks that the resync that runs, or the last one, had to copy.
    var resyncBlocks = 0

    /// A promotion that waits for the arbiter or for the other's time to end.
    struct GrantWait {
        var identifier: AttemptIdentifier
        var isAsked = false
        /// The connected peer was asked to hand over.
        var isAskedOfPeer = false
        var askAgain = Instant(nanoseconds: 0)
        var until: Instant
        var hasDroppedLink = false
        /// Why it was refused last, for the time being.
        var refusal: String?
    }

    init(
        _ context: NodeContext, _ group: Settings.Group, inbox: NodeInbox<NodeGroupEvent>, volume: Volume?,
        arbiter: ArbiterClient?, peer: PeerConnector, performer: FailoverPerformer, asker: ProxyAsker?,
        shared: NodeGroupShared
    ) {
        self.context = context
        self.group = group
        self.inbox = inbox
        self.volume = volume
        self.arbiter = arbiter
        self.peer = peer
        self.performer = performer
        self.shared = shared
        self.asker = asker
        profile = context.leaseProfile
        let mount = group.mount.map {
            MountTarget(path: $0.path, type: $0.type.rawValue, options: $0.options)
        }
        plan = FailoverPlan(
            targets: FailoverTargets(
                group: group.name,
                volumes: group.volume.map { [VolumeTarget(name: $0.name, mount: mount)] } ?? [],
                export: context.exportTarget(of: group), addresses: group.address.map { [$0] } ?? []),
            break: context.mistake == .addressRaisedBeforeServer ? .addressRaisedBeforeServer : nil)
        let now = Instant.now()
        service = group.proxy.map { _ in ServiceWatch(at: now) }
        nextSequence = now.nanoseconds
        nextSign = now
        lease = HolderLease(profile: profile, startingAt: now, first: nextSequence)
        // What this node may have promised before it started, it promised to the peer.
        promise = GrantorPromise(profile: profile, recordedHolder: context.node.peer, startingAt: now)
    }

    var replica: VolumeStatus { volume?.status ?? VolumeStatus() }

    /// Runs until the daemon ends.
    func run() {
        openPort()
        startRouter()
        peer.allow(group.name, volume != nil)
        while !isFinished {
            now = .now()
            takeEvents()
            tick()
            publish()
            if isFinished { break }
            sleep()
        }
        closePort()
    }

    private func takeEvents() {
        for event in inbox.takeAll() {
            now = .now()
            switch event {
            case .volume(let report): take(report)
            case .arbiter(let news): take(news)
            case .peer(let news): take(news)
            case .performed(let identifier, let failure): performed(identifier, failure)
            case .served(let news): note(news.name, news.text)
            case .verb(let verb, let answer): obey(verb, answer)
            case .service(let answer): take(answer)
            }
        }
        takePortNews()
    }

    private func tick() {
        now = .now()
        lookAtMountPoint()
        watchService()
        watchLease()
        sendSigns()
        advanceGrant()
        if now >= plan.nextWakeup { run(plan.handle(.wake, at: now)) }
        recordClients()
        watchStep()
        updateEligibility()
        if let router, now >= router.nextWakeup { tell(.wake) }
        advanceVerbs()
    }

    private func sleep() {
        var deadline = min(nextSign, plan.nextWakeup)
        if let router { deadline = min(deadline, router.nextWakeup) }
        if let service { deadline = min(deadline, service.nextWakeup) }
        if grantWait != nil || !waiting.isEmpty { deadline = min(deadline, now + .milliseconds(20)) }
        if isPrimary, !hasDroppedLink, let until = lease.deadline {
            let half = profile.renewal.nanoseconds / 2
            let look = Instant(nanoseconds: until.nanoseconds - min(half, until.nanoseconds))
            deadline = min(deadline, max(look, now + .milliseconds(10)))
        }
        deadline = min(deadline, now + .milliseconds(100))
        var poll = PollSet()
        poll.add(inbox.descriptor, .readable)
        for descriptor in port?.descriptors ?? [] { poll.add(descriptor, .readable) }
        do throws(SystemError) { try poll.wait(until: deadline) } catch {
            if pollTrouble != error { note("poll-failed", .error, "\(error)") }
            pollTrouble = error
            // Nothing to wait with: look again soon, without spinning.
            usleep(5000)
        }
    }

    func note(_ name: String, _ text: String) { note(name, .notice, text) }

    func note(_ name: String, _ level: JournalLevel, _ text: String) {
        if text.isEmpty {
            context.journal.record(name, level: level, ["group": group.name])
        } else {
            context.journal.record(name, level: level, ["group": group.name, "detail": text])
        }
    }

    // MARK: the volume

    private func take(_ report: VolumeReport) {
        switch report {
        case .roleChanged(let isPrimary): roleChanged(isPrimary)
        case .mute:
            note("deposed", .warning, "the grant is gone: address off, then the device fails, then Secondary")
            isMuteAsked = true
            run(plan.handle(.deposed, at: now))
        case .invitedToPromote: invited()
        case .promotionRefused(let reason): refused(reason)
        case .note(let told): journal(told)
        case .diskError(let error): note("disk-error", .error, "\(error)")
        case .ask(let request): arbiter?.send(.change(group: group.name, request))
        case .readRecord: arbiter?.send(.read(group: group.name))
        case .linkClosed(let reason, let detail):
            peer.ended(group.name)
            if reason.standsAlone { standAlone(reason) }
            note("link-closed", reason == .lost ? .warning : .notice, "\(reason) \(detail)")
        case .deviceServing: finish(&opening, nil)
        case .deviceEnded:
            isDeviceOpen = false
            finish(&opening, .failed("the device was not taken"))
            finish(&closing, nil)
        case .died(let error):
            note("volume-died", .error, "\(error)")
            isPrimary = false
            run(plan.handle(.deposed, at: now))
        case .stopped: break
        }
    }

    /// No connection until an operator says so.
    private func standAlone(_ reason: CloseReason) {
        // What the operator asked for has been told to the connector already, and may have been taken back since.
        guard reason != .disconnected else { return }
        peer.allow(group.name, false)
        linkTrouble = "group '\(group.name)' stays apart: \(Self.words(reason))"
    }

    private func journal(_ told: ReplicaNote) {
        switch told {
        case .ruleReached: break
        case .logReplayed(let extents):
            loggedBytes = UInt64(extents) * BlockSize.extent
            note(Self.word(told), "\(extents) extents")
        case .resyncStarted(let isSource, let blocks):
            resyncBlocks = blocks
            note(Self.word(told), "\(isSource ? "to" : "from") \(context.peerName), \(blocks) blocks")
        case .resyncEnded(let isSource, let bytes):
            note(Self.word(told), "\(isSource ? "\(bytes) bytes sent" : "")")
        case .handshake(let row): note("handshake", "\(row)")
        case .asked(let purpose): note("asked", "\(purpose)")
        case .answered(let isGranted, _):
            note("answered", isGranted ? "granted" : "refused: \(lastRefusal.map { "\($0)" } ?? "?")")
        case .recordAdopted(let epoch): note(Self.word(told), "epoch \(epoch)")
        case .frozen(let ownDiskFailed):
            let reason =
                ownDiskFailed
                ? "the disk of \(context.name) has failed: requests wait for the copy of \(context.peerName)"
                : "\(context.peerName) is gone: requests wait for a verdict"
            note(Self.word(told), .warning, reason)
        case .verdictTimeout: note(Self.word(told), .error, "no verdict within freeze-timeout")
        case .diskFailed: note(Self.word(told), .error, "this copy is left behind")
        case .verdictThroughPeer:
            note(Self.word(told), .warning, "reads and writes go to \(context.peerName)")
        case .verdictPeerBack, .verdictAlone, .verdictDeposed, .widened, .narrowed, .refusedOldFrame:
            note(Self.word(told), "")
        }
    }

    /// A note's case in words joined by `-`.
    private static func word(_ told: ReplicaNote) -> String {
        let name = "\(told)".prefix { $0 != "(" }
        return name.reduce(into: "") { $0 += $1.isUppercase ? "-\($1.lowercased())" : "\($1)" }
    }

    // MARK: the arbiter

    private func take(_ news: ArbiterNews) {
        switch news {
        case .up:
            isArbiterUp = true
            arbiterTrouble = nil
            nextSign = now
            volume?.post(.event(.arbiterUp))
        case .lost:
            isArbiterUp = false
            volume?.post(.event(.arbiterLost))
        case .unreachable(let reason): arbiterTrouble = reason
        case .record(let record):
            let own = replica.record?.epoch ?? 0
            hasArbiterForgotten = volume != nil && (record?.epoch ?? 0) < own
            volume?.post(.event(.recordRead(record)))
            if let record, record.holder == context.node.peer, record.epoch == replica.record?.epoch {
                return
            }
        case .answer(let identifier, let answer):
            switch answer {
            case .refused(let reason, _):
                lastRefusal = reason
                hasArbiterForgotten = reason == .rolledBack || reason == .noRecord
            case .granted: hasArbiterForgotten = false
            }
            volume?.post(.event(.arbiterAnswered(identifier: identifier, answer)))
        case .renewed(let sequence, let isConfirmed):
            if isConfirmed { confirmed(sequence) }
        case .refused(let text): note("witness-refuses", .warning, text)
        }
    }

    // MARK: the peer

    private func take(_ news: PeerNews) {
        switch news {
        case .up:
            isPeerUp = true
            peerHeard = now
            nextSign = now
            sentOrders = nil
            tell(.healed)
        case .lost:
            isPeerUp = false
            peerSign = nil
        case .sign(let sign): take(sign)
        case .confirmed(let sequence): confirmed(sequence)
        case .resigned:
            promise.released(by: context.node.peer, at: now)
            peerSign?.isServing = false
            peerSign?.isComplete = false
            tell(.peerResigned)
        case .wanted: peerWants()
        case .offered: offered()
        case .failed(let text): peerFailed(text)
        case .orders(let text): takeOrders(text)
        case .socket(let socket): volume?.post(.link(socket))
        }
    }
}
