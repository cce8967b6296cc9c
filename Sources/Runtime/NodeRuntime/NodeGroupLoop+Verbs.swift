import Basics
import Election
import Failover
import Quorum
import Replication
import Settings
import Synchronization

// What operators ask for.
extension NodeGroupLoop {
    private static let switchoverLimit = Interval.seconds(20)
    private static let leaveLimit = Interval.seconds(5)
    private static let handOverLimit = Interval.seconds(2)

    func obey(_ verb: NodeVerb, _ answer: @escaping NodeAnswer) {
        note("asked-to-\(verb.rawValue)", "by the operator")
        switch verb {
        case .promote: promoteVerb(answer)
        case .demote: demoteVerb(answer)
        case .switchover: switchoverVerb(answer)
        case .connect, .disconnect:
            guard let volume else { return answer(false, "group '\(group.name)' has no volume") }
            peer.allow(group.name, verb == .connect)
            volume.post(.event(verb == .connect ? .connect : .disconnect))
            answer(true, "")
        case .up:
            isDown = false
            isHeld = false
            volume?.post(.event(.connect))
            peer.allow(group.name, volume != nil)
            answer(true, "")
        case .down, .leaveForNow:
            isEnding = verb == .leaveForNow
            isDown = true
            waiting.append((verb, answer))
            if plan.state == .primary {
                handsOver = peerCouldHold
                run(plan.handle(.demote, at: now))
            } else if case .running(.promote, _) = plan.state {
                run(plan.handle(.demote, at: now))
            }
        }
    }

    /// Whether the peer is connected, in step, and free to become holder.
    var peerCouldHold: Bool {
        let status = replica
        return isPeerHeard && peerSign?.isHeld == false && status.link == .up && status.sync == .none
            && (status.record?.copies == .both || status.isDiskless && !status.isFrozen)
    }

    private func promoteVerb(_ answer: @escaping NodeAnswer) {
        guard !isDown else {
            return answer(false, "group '\(group.name)' is down here: run `tandem up` first")
        }
        if plan.state == .primary { return answer(true, "this node is Primary already") }
        isHeld = false
        waiting.append((.promote, answer))
        startPromotion()
    }

    private func demoteVerb(_ answer: @escaping NodeAnswer) {
        // Until the operator says otherwise, or asks for the role: else this node would take it back at once.
        isHeld = true
        if plan.isClean, !isPrimary { return answer(true, "this node is Secondary already") }
        waiting.append((.demote, answer))
        handsOver = false
        run(plan.handle(.demote, at: now))
    }

    private func switchoverVerb(_ answer: @escaping NodeAnswer) {
        guard plan.state == .primary else {
            let other = peerSign?.isServing == true ? "; run it on \(context.peerName)" : ""
            return answer(false, "this node is not Primary\(other)")
        }
        guard volume == nil || peerCouldHold else {
            return answer(
                false,
                "\(context.peerName) is not connected with an UpToDate copy, or is held; see `tandem status`")
        }
        waiting.append((.switchover, answer))
        switchoverEnd = now + Self.switchoverLimit
        isHeld = true
        handsOver = true
        run(plan.handle(.demote, at: now))
    }

    /// Answers everybody who waits for that verb.
    func answer(_ verb: NodeVerb, _ isDone: Bool, _ text: String) {
        for entry in waiting where entry.verb == verb { entry.answer(isDone, text) }
        waiting.removeAll { $0.verb == verb }
    }

    /// What waits for more than the plan.
    func advanceVerbs() {
        guard !waiting.isEmpty else { return }
        if waiting.contains(where: { $0.verb == .switchover }) { advanceSwitchover() }
        if waiting.contains(where: { $0.verb == .down || $0.verb == .leaveForNow }) { advanceLeaving() }
    }

    private func advanceSwitchover() {
        if plan.isClean, peerSign?.isServing == true {
            isHeld = false
            answer(.switchover, true, "\(context.peerName) is Primary")
        } else if now >= switchoverEnd {
            isHeld = false
            answer(
                .switchover, false,
                "\(context.peerName) has not become Primary in time; see `tandem events` there")
        }
    }

    private func advanceLeaving() {
        guard plan.isClean, !isPrimary else { return }
        if waiting.contains(where: { $0.verb == .leaveForNow }) {
            if leaveEnd == .never { leaveEnd = now + Self.handOverLimit }
            // The peer goes on at once when the record names it before this node is gone.
            let isHandedOver = !hasHandedOver || replica.record?.holder == context.node.peer
            guard isHandedOver || replica.link == .down || now >= leaveEnd else { return }
            finishLeaving(.leaveForNow, "")
            isFinished = true
            return
        }
        if leaveEnd == .never { leaveEnd = now + Self.leaveLimit }
        // Not before a hand-over is through: the replica asks for one thing at a time.
        if now >= leaveAgain, !hasHandedOver || replica.record?.holder == context.node.peer {
            leaveAgain = now + .milliseconds(200)
            volume?.post(.event(.leave))
        }
        let copies = replica.record?.copies
        if volume == nil || copies?.contains(context.node) == false || copies == nil {
            finishLeaving(.down, "")
        } else if now >= leaveEnd {
            finishLeaving(
                .down, "this copy stays named as current: the witness did not answer, or it is the only one")
        }
    }

    private func finishLeaving(_ verb: NodeVerb, _ text: String) {
        leaveEnd = .never
        hasHandedOver = false
        tell(.stopped)
        if verb == .down {
            peer.allow(group.name, false)
            volume?.post(.event(.disconnect))
            startRouter()
        }
        answer(verb, true, text)
    }
}
