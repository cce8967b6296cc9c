import Basics
import DiskFormat
import Election
import Failover
import HostServices
import LinuxSystem
import Netlink
import Quorum
import Replication
import Settings
import Synchronization
import Telemetry
import WireFormat

// The failover plan: its actions carried out, its effects performed.
extension NodeGroupLoop {
    private static let grantLimit = Interval.seconds(14)
    private static let askAgain = Interval.milliseconds(200)
    private static let slowStep = Interval.seconds(1)

    /// Becomes Primary if the rules allow it, and nothing is in the way that is known beforehand.
    func startPromotion() {
        lookAtMountPoint(isAsked: true)
        guard obstacle == nil || !plan.isClean else { return tell(.refused(retryAfter: .seconds(1))) }
        run(plan.handle(.promote, at: now))
    }

    /// Carries out actions in their order, those that follow from one of them after the rest.
    func run(_ actions: [FailoverAction]) {
        planned += actions
        guard !isCarryingOut else { return }
        isCarryingOut = true
        var next = 0
        while next < planned.count {
            carryOut(planned[next])
            next += 1
        }
        planned.removeAll(keepingCapacity: true)
        isCarryingOut = false
    }

    private func carryOut(_ action: FailoverAction) {
        switch action {
        case .perform(let identifier, let effect): perform(identifier, effect)
        case .cancel(let identifier): cancel(identifier)
        case .promoted:
            tell(.promoted)
            failures = 0
            nextSign = now
            answer(.promote, true, "\(context.name) is Primary of \(group.name)")
        case .promotionFailed(let step, let failure): promotionFailed(step, failure)
        case .demoted(let phase): demoted(phase)
        case .refused(let event, let state): planRefused(event, state)
        case .note(let told): journal(told)
        }
    }

    private func journal(_ told: FailoverNote) {
        switch told {
        case .phaseStarted(let phase): note("\(phase)-begins", "")
        case .stepStarted: break
        case .stepEnded(let phase, let step, let time, nil):
            note("\(phase)-step", "\(step): done in \(time.wholeMilliseconds) ms")
        case .stepEnded(let phase, let step, let time, .some(let failure)):
            note(
                "\(phase)-step", .warning,
                "\(step): \(Self.words(failure)) after \(time.wholeMilliseconds) ms")
        case .stuck(let phase, let step, let failure):
            note("stuck", .error, "\(phase), \(step): \(Self.words(failure))")
            let text = Self.stuckText(step, failure)
            if isAwaited(.switchover) { isHeld = false }
            for verb in [NodeVerb.promote, .demote, .switchover, .down] { answer(verb, false, text) }
        case .phaseEnded(let phase, let time): note("\(phase)-ends", "in \(time.wholeMilliseconds) ms")
        }
    }

    private func promotionFailed(_ step: String, _ failure: StepFailure) {
        let text = "\(step): \(Self.words(failure))"
        note("promotion-failed", .warning, text)
        tell(.refused(retryAfter: pauseAfterFailure(step)))
        let advice = step == Self.grantStep ? "" : ": mend that, and run `tandem promote` again"
        let sentence =
            "\(context.name) is not Primary of \(group.name): \(text); nothing was left half-way\(advice)"
        peer.send(.failed(group: group.name, text: sentence))
        for verb in [NodeVerb.promote, .switchover] { answer(verb, false, sentence) }
    }

    /// The plan's name for asking the arbiter.
    private static let grantStep = "grant"

    /// A grant may be had in a moment. What fails on this machine fails again: the pause doubles up to 10 s, so that
    /// the journal keeps what came before, and the other node may try.
    private func pauseAfterFailure(_ step: String) -> Interval {
        guard step != Self.grantStep else { return .milliseconds(300) }
        failures = min(failures + 1, 6)
        return min(.seconds(10), .milliseconds(300 << UInt64(failures - 1)))
    }

    private func planRefused(_ event: FailoverEvent, _ state: FailoverState) {
        guard event == .promote else { return }
        switch state {
        case .primary, .running(.promote, _): return
        // An operator who waits is told when it is free, or stuck.
        case .secondary, .running, .stuck: tell(.refused(retryAfter: .milliseconds(300)))
        }
    }

    private func demoted(_ phase: FailoverPhase) {
        if isMuteAsked { postMuted() }
        tell(.demoted(resigns: phase == .demote))
        handsOver = false
    }

    // MARK: effects

    private func perform(_ identifier: AttemptIdentifier, _ effect: FailoverEffect) {
        switch effect {
        case .acquireGrant: acquire(identifier)
        case .releaseGrant: release(identifier)
        case .failDevice:
            failing = identifier
            volume?.post(.endDevice)
            if isMuteAsked { postMuted() }
            if !isPrimary { finish(&failing, nil) }
        case .raiseAddress:
            // The first renewal may still be on its way.
            if context.settings.witness == nil || !isArbitrated || lease.isHeld(at: now) {
                finishRaising(identifier)
            } else {
                raising = identifier
            }
        case .lowerAddress(let prefix):
            ended(
                identifier,
                outcome { () throws(SystemError) in
                    if let port { try port.lower() } else { try Self.lower(prefix) }
                })
        case .destroyConnections(let address):
            ended(
                identifier, outcome { () throws(SystemError) in _ = try TCPConnections.destroy(of: address) })
        case .openVolume:
            opening = identifier
            performer.perform(identifier, effect)
        case .closeVolume:
            closing = identifier
            performer.perform(identifier, effect)
        case .attachLoop, .detachLoop, .linkDevice, .unlinkDevice, .checkFileSystem, .mount, .unmount,
            .startClientRecords, .stopClientRecords, .startLockRecords, .stopLockRecords, .export,
            .withdrawExport, .startServer, .stopServer, .tickleClients, .notifyLockClients:
            performer.perform(identifier, effect)
        }
    }

    /// Has the connections of NFS clients written down for the next holder, while this node serves them.
    func recordClients() {
        guard group.export != nil, plan.state == .primary, now >= nextRecording else { return }
        nextRecording = now + .milliseconds(500)
        performer.recordClients()
    }

    /// Tells once of a step that takes long what the kernel waits for: afterwards nobody could say.
    func watchStep() {
        guard let step = plan.step, now >= step.since + Self.slowStep, toldSlow != step.since,
            performer.isPerforming
        else { return }
        toldSlow = step.since
        let waits: String
        do throws(SystemError) {
            let found = try KernelWaits.list()
            waits = found.isEmpty ? "none" : found.joined(separator: ", ")
        } catch { waits = "not known (\(error))" }
        let time = now.since(step.since).wholeMilliseconds
        note("slow-step", "\(step.name): \(time) ms so far; in the kernel wait: \(waits)")
    }

    /// The performer has ended an attempt.
    func performed(_ identifier: AttemptIdentifier, _ failure: StepFailure?) {
        if identifier == opening, failure == nil {
            guard let device = performer.takeSession() else { return finish(&opening, .failed("no device")) }
            isDeviceOpen = true
            volume?.post(.device(device))
            return
        }
        if identifier == closing, failure == nil, isDeviceOpen { return }
        if identifier == opening { opening = nil }
        if identifier == closing { closing = nil }
        ended(identifier, failure)
    }

    /// Ends an attempt that waited for something else.
    func finish(_ attempt: inout AttemptIdentifier?, _ failure: StepFailure?) {
        guard let identifier = attempt else { return }
        attempt = nil
        ended(identifier, failure)
    }

    private func ended(_ identifier: AttemptIdentifier, _ failure: StepFailure?) {
        run(plan.handle(failure.map { .failed(identifier, $0) } ?? .succeeded(identifier), at: now))
    }

    private func outcome(_ body: () throws(SystemError) -> Void) -> StepFailure? {
        do throws(SystemError) { try body() } catch { return .failed("\(error)") }
        return nil
    }

    func finishRaising(_ identifier: AttemptIdentifier) {
        guard let port else { return ended(identifier, .failed("the address has no interface")) }
        ended(
            identifier,
            outcome { () throws(SystemError) in
                try port.raise(for: remainingLease)
                // At once, and not with the elector's round after the last step: what clients are sent meanwhile they
                // answer to the machine that they know the address of.
                try port.announce(.request)
                try port.announce(.reply)
            })
    }

    private static func lower(_ prefix: IPv4Prefix) throws(SystemError) {
        for address in try NetworkInterfaces.addresses() where address.prefix.address == prefix.address {
            try NetworkInterfaces.lower(address.prefix, on: address.interface)
        }
    }

    private func cancel(_ identifier: AttemptIdentifier) {
        if grantWait?.identifier == identifier {
            grantWait = nil
            ended(identifier, .cancelled)
        } else if raising == identifier {
            raising = nil
            ended(identifier, .failed("no lease: neither the witness nor the peer has confirmed it"))
        } else if releasing == identifier || failing == identifier {
            // The volume's thread ends these; what it does cannot be taken back.
        } else {
            performer.cancel(identifier)
        }
    }

    // MARK: the grant

    private func acquire(_ identifier: AttemptIdentifier) {
        guard volume != nil else {
            isPrimary = true
            tell(.granted)
            ended(identifier, nil)
            return
        }
        grantWait = GrantWait(identifier: identifier, until: now + Self.grantLimit)
        advanceGrant()
    }

    /// Asks as soon as nobody else may still be answering clients.
    func advanceGrant() {
        guard var wait = grantWait, now >= wait.askAgain else { return }
        if wait.isAsked {
            // The peer was asked to hand over, and cannot answer any more.
            guard wait.isAskedOfPeer, replica.link == .down || !isPeerHeard else { return }
            wait.isAsked = false
            wait.isAskedOfPeer = false
        }
        if now >= wait.until {
            grantWait = nil
            ended(wait.identifier, .failed("no grant in time: \(wait.refusal ?? waitReason)"))
            return
        }
        if replica.link != .down, !isPeerHeard, !wait.hasDroppedLink {
            // The peer says nothing any more: what is left of its connection would only be waited for.
            wait.hasDroppedLink = true
            wait.askAgain = now + .milliseconds(60)
            grantWait = wait
            volume?.post(.dropLink)
            return
        }
        if replica.link == .down, context.settings.witness != nil, replica.record?.copies == .both,
            !promise.mayGrant(to: context.node, at: now)
        {
            return
        }
        wait.isAsked = true
        wait.isAskedOfPeer = replica.link != .down
        grantWait = wait
        lastRefusal = nil
        volume?.post(.event(.promote))
    }

    /// What a grant is waited for that the witness has not refused.
    private var waitReason: String {
        if hasLostArbiter { return noArbiterText }
        return "the other node may still serve: see `tandem status` there"
    }

    private var hasLostArbiter: Bool { context.settings.witness != nil && !isArbiterUp }

    /// The witness is out of reach, with the reason that the last try gave.
    private var noArbiterText: String {
        Self.words(PromotionRefusal.noArbiter) + (arbiterTrouble.map { " (\($0))" } ?? "")
    }

    /// The replica will not be Primary now.
    func refused(_ reason: PromotionRefusal) {
        if releasing != nil, isPrimary {
            note("hand-over-refused", .warning, Self.words(reason))
            handsOver = false
            volume?.post(.event(.demote))
            return
        }
        guard var wait = grantWait, wait.isAsked else { return }
        let text =
            switch reason {
            case .arbiterRefused:
                lastRefusal.map { "the witness refuses: \(Self.words($0))" } ?? Self.words(reason)
            case .noArbiter: noArbiterText
            case .requestOpen where hasLostArbiter: noArbiterText
            default: Self.words(reason)
            }
        let isPassing =
            switch reason {
            case .arbiterRefused: lastRefusal == .leaseAlive || lastRefusal == .recordChanged
            // An operator waits, here or on the other node.
            case .requestOpen, .resyncRunning: (!waiting.isEmpty || now < offeredUntil) && !hasLostArbiter
            // It has said that it moves the group here: it is Primary for a moment more.
            case .peerIsPrimary: now < offeredUntil
            case .notUpToDate, .noArbiter, .waitingForPeer, .stuck: false
            }
        if isPassing, now + Self.askAgain < wait.until {
            wait.isAsked = false
            wait.askAgain = now + Self.askAgain
            wait.refusal = text
            grantWait = wait
            return
        }
        grantWait = nil
        ended(wait.identifier, .failed(text))
    }

    func roleChanged(_ isPrimary: Bool) {
        let was = self.isPrimary
        self.isPrimary = isPrimary
        note("role", isPrimary ? "Primary" : "Secondary")
        if isPrimary {
            // What it was offered it has.
            offeredUntil = Instant(nanoseconds: 0)
            if !was {
                lease = HolderLease(profile: profile, startingAt: now, first: nextSequence)
                nextSign = now
                sendSigns()
            }
            tell(.granted)
            guard let wait = grantWait else {
                // Granted after it was given up: nothing here serves it.
                if plan.isClean { volume?.post(.event(.demote)) }
                return
            }
            grantWait = nil
            ended(wait.identifier, nil)
            return
        }
        lease.released()
        isMuteAsked = false
        nextSign = now
        if let record = replica.record, was {
            arbiter?.send(.release(group: group.name, epoch: record.epoch, grant: record.grant))
        }
        finish(&failing, nil)
        finish(&releasing, nil)
    }

    private func release(_ identifier: AttemptIdentifier) {
        guard volume != nil else {
            isPrimary = false
            ended(identifier, nil)
            return
        }
        guard isPrimary else {
            ended(identifier, nil)
            return
        }
        releasing = identifier
        hasHandedOver = handsOver
        volume?.post(.event(handsOver ? .handOver : .demote))
    }

    /// The address is gone and its connections are destroyed: the device may fail now.
    private func postMuted() {
        isMuteAsked = false
        volume?.post(.event(.muted))
    }
}
