import Basics
import DiskFormat
import Election
import Failover
import LinuxSystem
import Netlink
import Quorum
import Replication
import Settings
import Telemetry
import WireFormat

// The address, and who asks for it.
extension NodeGroupLoop {
    /// Priority of the node that is not preferred, as a part of the other's.
    private static let secondChoice: UInt8 = 2
    /// Without an address nothing is advertised; the peer's signs come each renewal, and this many may be missed.
    private static let quietInterval: UInt16 = 50

    /// Whether a grant decides who is Active; groups without a volume need none.
    var isArbitrated: Bool { volume != nil }

    func openPort() {
        guard let prefix = group.address else { return }
        do throws(SystemError) {
            port = try ElectorPort(context, group, prefix)
        } catch {
            note("address-unusable", .error, "\(error)")
        }
    }

    func closePort() {
        port?.close()
        port = nil
    }

    func startRouter() {
        guard context.settings.elector == .vrrp else { return }
        let isPreferred = group.prefer == nil || group.prefer == context.node
        let own = port?.own ?? context.settings[context.node].address.version4 ?? IPv4Address(rawValue: 0)
        let configuration = VirtualRouterConfiguration(
            number: group.virtualRouterID,
            priority: isPreferred ? group.priority : max(1, group.priority / Self.secondChoice),
            interval: port == nil ? Self.quietInterval : 10, ownAddress: own, isArbitrated: isArbitrated)
        router = VirtualRouter(configuration: configuration)
        tell(.started)
    }

    /// Hears what came for the address.
    func takePortNews() {
        guard let port else { return }
        do throws(SystemError) {
            for news in try port.news() {
                switch news {
                case .advertisement(let advertisement, let source): tell(.heard(advertisement, from: source))
                case .foreignClaim: tell(.foreignClaim)
                case .link(let isUp):
                    note(
                        "link-changed", isUp ? .notice : .warning,
                        "\(port.interface.name) \(isUp ? "up" : "down")")
                    tell(.link(isUp: isUp))
                case .addressVanished: tell(.addressVanished)
                }
            }
        } catch {
            note("address-socket-failed", .warning, "\(error)")
        }
    }

    func tell(_ event: VirtualRouterEvent) {
        guard let actions = router?.handle(event, at: now) else { return }
        for action in actions { carryOut(action) }
    }

    private func carryOut(_ action: VirtualRouterAction) {
        switch action {
        case .sendAdvertisement(let priority):
            let interval = router?.configuration.interval ?? 10
            attempt("advertise") { port throws(SystemError) in
                try port.advertise(priority: priority, interval: interval)
            }
            if priority == 0 { peer.send(.resigned(group: group.name)) }
        case .startPromotion(let reason):
            note("promotion-asked", Self.words(reason))
            startPromotion()
        case .startDemotion(let reason): stepDown(reason)
        case .announce(let operation):
            attempt("announce") { port throws(SystemError) in try port.announce(operation) }
        case .mute(let late):
            note(
                "lease-over", .warning,
                "the address is lowered, \(late.wholeMilliseconds) ms after the lease ended")
            attempt("lower the address") { port throws(SystemError) in try port.lower() }
        case .unmute: raiseAgain()
        case .confirmGrant: arbiter?.send(.read(group: group.name))
        case .raiseAddress: raiseAgain()
        case .note(let told): journal(told)
        }
    }

    private static func words(_ reason: Suspicion) -> String {
        switch reason {
        case .silence(let time): "nothing was heard of an Active for \(time.wholeMilliseconds) ms"
        case .resignation: "the Active resigned"
        case .preemption: "the Active is worse"
        }
    }

    private func journal(_ told: VirtualRouterNote) {
        switch told {
        case .stateChanged(let before, let after): note("elector", "\(before) to \(after)")
        // Without an address nobody advertises: the peer's signs are all there is.
        case .advertisementsBlocked where port == nil: break
        case .advertisementsBlocked:
            note(
                "advertisements-blocked", .warning,
                "the peer is Active, its advertisements do not arrive: a firewall?")
        case .advertisementsArrive: note("advertisements-arrive", "the peer's advertisements arrive again")
        case .contested(let source, let priority):
            note("contested", .warning, "by \(source), priority \(priority)")
        case .suspectedWhileNotEligible:
            note("no-active", "nobody is Active, and this copy may not be promoted")
        case .lateWakeup(let late): note("late", .warning, "woken \(late.wholeMilliseconds) ms late")
        }
    }

    private func stepDown(_ reason: StepDownReason) {
        let peerCould = isPeerHeard && peerSign?.isPromotable == true
        guard volume == nil || peerCould else {
            note("step-down-ignored", .warning, "\(reason), and the other node could not take over")
            return
        }
        note("step-down", .warning, "\(reason)")
        handsOver = volume != nil
        run(plan.handle(.demote, at: now))
    }

    // MARK: eligibility

    /// Whether the rules would let this copy become Primary; the replica has the last word.
    func isPromotable(_ status: VolumeStatus) -> Bool {
        guard plan.isClean, !isDown, !isEnding, obstacle == nil else { return false }
        guard volume != nil else { return service?.mayHold(isPeerBetter: isPeerBetter) ?? true }
        guard status.condition == .consistent, !status.isDiskFailed, status.sync == .none,
            status.openRequest == nil,
            let record = status.record, record.copies.contains(context.node)
        else { return false }
        if context.settings.witness != nil, !isArbiterUp { return false }
        switch status.link {
        // Alone in `copies`, and connected: the holder has no disk and serves through this one.
        case .up: return record.copies == .both || record.holder == context.node.peer
        case .down:
            let isOfPeer = record.holder == context.node.peer
            if record.copies == NodeSet(context.node), !isOfPeer || !status.isRestarted { return true }
            // R4: a member that has restarted seeks the other one first.
            return !status.isRestarted
                || now >= started + context.settings.waitForPeer && !isPeerHeard
        case .settling, .greeted, .preparing: return false
        }
    }

    func updateEligibility() {
        guard router != nil else { return }
        let could = isPromotable(replica) && !isHeld
        if !could { eligibleSince = nil } else if eligibleSince == nil { eligibleSince = now }
        var isEligible = could
        if let since = eligibleSince, group.prefer == context.node.peer,
            Courtesy(service: service?.rules).isDue(to: otherNode, since: since, at: now)
        {
            isEligible = false
        }
        // While it is Active or asks, the plan is not clean; that does not make the copy worse.
        guard let router, router.state == .backup || router.state == .initialize else { return }
        if router.isEligible != isEligible { tell(.eligible(isEligible)) }
    }

    private var otherNode: Courtesy.Other {
        guard isPeerHeard, let peerSign else { return .silent }
        return peerSign.isHeld || peerSign.isBlocked ? .hindered : .free
    }

    // MARK: the address

    /// Puts a lowered address back while the role and the lease last.
    func raiseAgain() {
        guard plan.state == .primary else { return }
        attempt("raise the address") { port throws(SystemError) in try port.raise(for: remainingLease) }
    }

    var remainingLease: Interval {
        guard context.settings.witness != nil, isArbitrated else { return .seconds(3) }
        return (lease.deadline ?? now).since(now)
    }

    func extendKernelLease() {
        guard port?.isRaised == true else { return }
        attempt("renew the kernel's lease") { port throws(SystemError) in
            try port.renew(for: remainingLease, at: now)
        }
    }

    /// Without an arbiter the address answers as long as this thread runs; with one, its lease decides.
    func keepAddress() {
        guard let port, port.isRaised else { return }
        if context.settings.witness == nil || !isArbitrated {
            extendKernelLease()
        } else if router == nil, !lease.isHeld(at: now) {
            isMutedByLease = true
            note("lease-over", .warning, "the address is lowered")
            attempt("lower the address") { port throws(SystemError) in try port.lower() }
        }
    }

    func attempt(_ what: String, _ body: (ElectorPort) throws(SystemError) -> Void) {
        guard let port else { return }
        do throws(SystemError) { try body(port) } catch {
            note("address-failed", .warning, "\(what): \(error)")
        }
    }
}
