import Basics
import Election
import Failover
import LinuxSystem
import Quorum
import Replication
import Settings
import Telemetry

/// An operator who waits for what a verb brings about.
struct WaitingVerb {
    var verb: NodeVerb
    var answer: NodeAnswer
    /// Then the answer is that it has not come true yet.
    var until: Instant
    /// Whether what was asked for has begun here.
    var isBegun = false
    /// From when on it is told that the plan is stuck: what was in the way may have just gone.
    var stuckFrom: Instant
}

// What operators ask for. Each verb is answered when what it asks for has come true, or is known not to.
extension NodeGroupLoop {
    private static let switchoverLimit = Interval.seconds(20)
    private static let leaveLimit = Interval.seconds(5)
    private static let handOverLimit = Interval.seconds(2)
    private static let connectLimit = Interval.seconds(10)
    private static let disconnectLimit = Interval.seconds(15)
    /// Two tries of a step that is stuck.
    private static let stuckPatience = Interval.seconds(2)
    private static let demoteLimit = Interval.seconds(150)
    /// The longest check of a file system and all the other steps.
    private static let promoteLimit = Interval.seconds(660)

    func obey(_ verb: NodeVerb, _ answer: @escaping NodeAnswer) {
        note("asked-to-\(verb.rawValue)", "by the operator")
        switch verb {
        case .promote: promoteVerb(answer)
        case .demote: demoteVerb(answer)
        case .switchover: switchoverVerb(answer)
        case .connect: connectVerb(answer)
        case .disconnect: disconnectVerb(answer)
        case .up: upVerb(answer)
        case .down, .leaveForNow:
            isEnding = verb == .leaveForNow
            isDown = true
            queue(verb, .never, answer)
            if plan.state == .primary {
                handsOver = peerCouldHold
                run(plan.handle(.demote, at: now))
            } else if isPromoting {
                run(plan.handle(.demote, at: now))
            } else {
                run(plan.handle(.retry, at: now))
            }
        }
    }

    /// Whether the peer is connected, in step, and free to become holder.
    var peerCouldHold: Bool {
        let status = replica
        let isWhole = status.record?.copies == .both || status.isDiskless && !status.isFrozen
        return isPeerHeard && peerSign?.isHeld == false && peerSign?.isBlocked == false && status.link == .up
            && status.sync == .none && isWhole
    }

    private func queue(_ verb: NodeVerb, _ until: Instant, _ answer: @escaping NodeAnswer) {
        waiting.append(
            WaitingVerb(verb: verb, answer: answer, until: until, stuckFrom: now + Self.stuckPatience))
    }

    func isAwaited(_ verb: NodeVerb) -> Bool { waiting.contains { $0.verb == verb } }

    private func promoteVerb(_ answer: @escaping NodeAnswer) {
        if plan.state == .primary {
            return answer(true, "\(context.name) is Primary of \(group.name) already")
        }
        if let reason = promotionHindrance { return answer(false, reason) }
        isHeld = false
        queue(.promote, now + Self.promoteLimit, answer)
        advancePromotion()
    }

    /// What keeps this node from being asked at all, and what to do.
    private var promotionHindrance: String? {
        guard !isDown else { return "group '\(group.name)' is down here: run `tandem up` first" }
        lookAtMountPoint(isAsked: true)
        // While a promotion runs, it tells by itself what it meets.
        return stuckText ?? (plan.isClean ? obstacle : nil)
    }

    private func demoteVerb(_ answer: @escaping NodeAnswer) {
        // Until the operator says otherwise, or asks for the role: else this node would take it back at once.
        isHeld = true
        if plan.isClean, !isPrimary {
            return answer(true, "\(context.name) is Secondary of \(group.name) already")
        }
        queue(.demote, now + Self.demoteLimit, answer)
        handsOver = false
        run(plan.handle(stuckText == nil ? .demote : .retry, at: now))
    }

    private func connectVerb(_ answer: @escaping NodeAnswer) {
        guard let volume else { return answer(false, Self.noVolume(group.name)) }
        guard !isDown else {
            return answer(false, "group '\(group.name)' is down here: `tandem up` connects it")
        }
        linkTrouble = nil
        peer.allow(group.name, true)
        volume.post(.event(.connect))
        queue(.connect, now + Self.connectLimit, answer)
    }

    private func disconnectVerb(_ answer: @escaping NodeAnswer) {
        guard let volume else { return answer(false, Self.noVolume(group.name)) }
        peer.allow(group.name, false)
        volume.post(.event(.disconnect))
        queue(.disconnect, now + Self.disconnectLimit, answer)
    }

    private static func noVolume(_ group: String) -> String {
        "group '\(group)' has no volume: there is nothing to connect"
    }

    private func upVerb(_ answer: @escaping NodeAnswer) {
        isDown = false
        isHeld = false
        linkTrouble = nil
        guard let volume else { return answer(true, "group '\(group.name)' is up on \(context.name)") }
        volume.post(.event(.connect))
        peer.allow(group.name, true)
        queue(.up, now + context.settings.waitForPeer + Self.connectLimit, answer)
    }

    // MARK: switchover

    private func switchoverVerb(_ answer: @escaping NodeAnswer) {
        guard plan.state == .primary else { return askForSwitchover(answer) }
        if volume != nil, let trouble = arbiterHindrance {
            return answer(false, "\(trouble); nothing was moved")
        }
        guard volume == nil || peerCouldHold else {
            return answer(
                false,
                "\(context.peerName) could not take \(group.name) over now: \(peerHindrance); see `tandem status`"
                    + " there; nothing was moved")
        }
        queue(.switchover, now + Self.switchoverLimit, answer)
        peer.send(.offered(group: group.name))
        isHeld = true
        handsOver = true
        run(plan.handle(.demote, at: now))
    }

    /// Why the witness would not grant the other node the role.
    private var arbiterHindrance: String? {
        guard context.settings.witness != nil else { return nil }
        if !isArbiterUp { return Self.words(PromotionRefusal.noArbiter) }
        return hasArbiterForgotten ? "the witness refuses: \(Self.words(ArbiterRefusal.rolledBack))" : nil
    }

    private var peerHindrance: String {
        let status = replica
        if !isPeerHeard { return "it is not heard" }
        if peerSign?.isHeld == true { return "it is down or held back by its operator (`tandem up` there)" }
        if peerSign?.isBlocked == true { return "something on that machine is in the way" }
        if status.sync != .none { return "a resync must end first" }
        return status.link == .up ? "its copy is not UpToDate" : "its copy is not connected"
    }

    /// On the node that is not Primary: the other one is asked.
    private func askForSwitchover(_ answer: @escaping NodeAnswer) {
        if let reason = promotionHindrance { return answer(false, reason) }
        guard isPeerHeard, peerSign?.isComplete == true else {
            return answer(
                false,
                "neither node is Primary of \(group.name): there is nothing to move; run `tandem promote`")
        }
        isHeld = false
        queue(.switchover, now + Self.switchoverLimit, answer)
        peer.send(.wanted(group: group.name))
    }

    /// The other node's operator wants the group there.
    func peerWants() {
        note("asked-to-switchover", "by the operator, on \(context.peerName)")
        // Its last sign may be older than its operator's wish.
        peerSign?.isHeld = false
        let (peer, name) = (peer, group.name)
        guard plan.state == .primary else {
            return peer.send(.failed(group: name, text: "\(context.name) is not Primary any more"))
        }
        switchoverVerb { isDone, text in
            if !isDone { peer.send(.failed(group: name, text: text)) }
        }
    }

    /// The record names this node as holder. An external elector decides itself when to promote, unless an operator
    /// moves the group here.
    func invited() {
        guard !isDown, !isEnding else { return }
        // Its operator has demoted it, perhaps in the middle of a resync that now has ended.
        guard !isHeld || now < offeredUntil || isAwaited(.switchover) else { return }
        guard context.settings.elector == .vrrp || now < offeredUntil || isAwaited(.switchover) else {
            return
        }
        note("invited", "the record names this node as holder")
        grantWait?.askAgain = now
        isHeld = false
        startPromotion()
    }

    /// The other node's operator moves the group here.
    func offered() { offeredUntil = now + Self.switchoverLimit }

    /// What the other node was asked for does not come true.
    func peerFailed(_ text: String) {
        guard isAwaited(.switchover) else { return }
        note("switchover-failed", .warning, "\(context.peerName): \(text)")
        isHeld = false
        answer(.switchover, false, "\(text); \(group.name) stays where it was, or goes back there")
    }

    private func advanceSwitchover() {
        if plan.state == .primary, !isHeld {
            // Asked for here, and the other node has given it.
            answer(.switchover, true, "\(context.name) is Primary of \(group.name)")
        } else if plan.isClean, isHeld, peerSign?.isComplete == true {
            // The other node learns it before the operator's next word.
            isHeld = false
            nextSign = now
            sendSigns()
            answer(.switchover, true, "\(context.peerName) is Primary of \(group.name)")
        }
    }

    // MARK: answers

    /// Answers everybody who waits for that verb.
    func answer(_ verb: NodeVerb, _ isDone: Bool, _ text: String) {
        let answered = waiting.filter { $0.verb == verb }
        waiting.removeAll { $0.verb == verb }
        for entry in answered { entry.answer(isDone, text) }
    }

    /// What waits for more than the plan.
    func advanceVerbs() {
        for verb in NodeVerb.allCases where isAwaited(verb) {
            switch verb {
            case .promote: advancePromotion()
            case .demote: advanceDemotion()
            case .switchover: advanceSwitchover()
            case .connect: advanceConnecting(.connect)
            case .up: advanceConnecting(.up)
            case .disconnect: advanceDisconnecting()
            case .down, .leaveForNow: advanceLeaving()
            }
            if waiting.contains(where: { $0.verb == verb && now >= $0.until }) { expire(verb) }
        }
    }

    /// It takes too long: what has come true, what not, and what to do.
    private func expire(_ verb: NodeVerb) {
        let peer = context.peerName
        let text: String
        switch verb {
        case .promote, .demote, .down, .leaveForNow:
            text = "not done yet (\(plan.state)): it goes on; `tandem events` tells at which step it is"
        case .switchover where peerSign?.isServing == true && isHeld:
            // Granted, and mounting: its own failure is told.
            for index in waiting.indices where waiting[index].verb == .switchover {
                waiting[index].until = now + Self.switchoverLimit
            }
            return
        case .switchover:
            isHeld = false
            text = "\(peer) has not become Primary of \(group.name) in time; see `tandem events` there"
        case .connect, .up:
            let reason =
                isPeerUp
                ? "\(peer) takes no connection: was it disconnected there too (`tandem connect` there)?"
                : "\(peer) is out of reach: start `tandem node` there, or repair the way to it"
            text = "group '\(group.name)' is not connected: \(reason); this node goes on trying"
        case .disconnect:
            text =
                replica.link == .down
                ? "disconnected, but the arbiter has not agreed that \(context.name) goes on alone: its requests are"
                    + " frozen; start the witness, or run `tandem connect`"
                : "group '\(group.name)' is not disconnected yet; see `tandem events`"
        }
        answer(verb, false, text)
    }

    private func advancePromotion() {
        if let stuckText { return answer(.promote, false, stuckText) }
        guard plan.isClean || isPromoting else { return }
        guard let index = waiting.firstIndex(where: { $0.verb == .promote && !$0.isBegun }) else { return }
        for index in index..<waiting.count where waiting[index].verb == .promote {
            waiting[index].isBegun = true
        }
        // One that runs already is answered like one's own.
        if plan.isClean { startPromotion() }
    }

    private func isPatienceOver(_ verb: NodeVerb) -> Bool {
        waiting.contains { $0.verb == verb && now >= $0.stuckFrom }
    }

    private var isPromoting: Bool {
        if case .running(.promote, _) = plan.state { true } else { false }
    }

    private func advanceDemotion() {
        if plan.isClean, !isPrimary {
            answer(.demote, true, "\(context.name) is Secondary of \(group.name)")
        } else if let stuckText, isPatienceOver(.demote) {
            answer(.demote, false, stuckText)
        }
    }

    private func advanceConnecting(_ verb: NodeVerb) {
        let status = replica
        if let linkTrouble { return answer(verb, false, linkTrouble) }
        let isConnected: Bool
        switch status.link {
        case .up, .preparing: isConnected = true
        case .down, .settling, .greeted: isConnected = status.sync != .none
        }
        if isConnected {
            answer(verb, true, "group '\(group.name)' is connected to \(context.peerName)")
        } else if verb == .up, plan.state == .primary {
            answer(
                verb, true, "\(context.name) is Primary of \(group.name), without \(context.peerName)")
        }
    }

    private func advanceDisconnecting() {
        let status = replica
        guard status.link == .down else { return }
        guard isPrimary else {
            return answer(
                .disconnect, true, "group '\(group.name)' is disconnected; \(context.name) is Secondary")
        }
        guard !status.isFrozen, status.openRequest == nil else { return }
        answer(
            .disconnect, true, "group '\(group.name)' is disconnected; \(context.name) is Primary alone")
    }

    private func advanceLeaving() {
        if isAwaited(.down), let stuckText, isPatienceOver(.down) { return answer(.down, false, stuckText) }
        guard plan.isClean, !isPrimary else { return }
        if isAwaited(.leaveForNow) {
            if leaveEnd == .never { leaveEnd = now + Self.handOverLimit }
            // The peer goes on at once when the record names it before this node is gone.
            let isHandedOver = !hasHandedOver || replica.record?.holder == context.node.peer
            guard isHandedOver || replica.link == .down || now >= leaveEnd else { return }
            finishLeaving(.leaveForNow, true, "")
            isFinished = true
            return
        }
        if leaveEnd == .never { leaveEnd = now + Self.leaveLimit }
        let down = "group '\(group.name)' is down on \(context.name)"
        let copies = replica.record?.copies
        if volume == nil || copies?.contains(context.node) == false || copies == nil {
            return finishLeaving(.down, true, down)
        }
        if copies == NodeSet(context.node) {
            return finishLeaving(
                .down, true,
                "\(down), which has the only current copy: nobody serves it until `tandem up` is run here")
        }
        // Not before a hand-over is through: the replica asks for one thing at a time.
        if now >= leaveAgain, !hasHandedOver || replica.record?.holder == context.node.peer {
            leaveAgain = now + .milliseconds(200)
            volume?.post(.event(.leave))
        }
        guard now >= leaveEnd else { return }
        finishLeaving(
            .down, false,
            "\(down), but the arbiter has not recorded it: this copy stays named as current, and"
                + " \(context.peerName) may have to wait for it; start the witness and run `tandem down` again"
        )
    }

    private func finishLeaving(_ verb: NodeVerb, _ isDone: Bool, _ text: String) {
        leaveEnd = .never
        hasHandedOver = false
        tell(.stopped)
        if verb == .down {
            peer.allow(group.name, false)
            volume?.post(.event(.disconnect))
            startRouter()
        }
        answer(verb, isDone, text)
    }

    // MARK: what is in the way

    /// The sentence for an operator while the plan is stuck; nil else.
    var stuckText: String? {
        guard case .stuck(_, let step, let failure) = plan.state else { return nil }
        return Self.stuckText(step, failure)
    }

    static func stuckText(_ step: String, _ failure: StepFailure) -> String {
        "stuck at '\(step)': \(words(failure)); end what is in the way, and it goes on by itself"
    }

    /// Looks, once a second while it matters, whether somebody else's mount is where this group's belongs: then this
    /// node does not ask for the role, and nothing has to be undone.
    func lookAtMountPoint(isAsked: Bool = false) {
        guard let mount = group.mount, plan.isClean, isAsked || now >= nextLook else { return }
        nextLook = now + .seconds(1)
        let found: String?
        do throws(SystemError) {
            found = try KeeperRemains.source(ofMountAt: mount.path).map { source in
                "\(mount.path) is busy: '\(source)' is mounted there; run `umount \(mount.path)` on \(context.name),"
                    + " or correct 'mount.path' in the settings"
            }
        } catch {
            found = nil
        }
        guard found != obstacle else { return }
        obstacle = found
        if let found {
            note("mount-point-busy", .warning, found)
        } else {
            note("mount-point-free", mount.path)
        }
        nextSign = now
    }
}
