import Basics
import Election
import Failover
import Quorum
import Replication
import Settings
import WireFormat

// Signs of life, and how long a holder may answer clients.
extension NodeGroupLoop {
    /// Whether this node is Primary and serves: only then it asks for a lease.
    var isServing: Bool { isPrimary && !replica.isFrozen }

    /// Tells witness and peer that this node lives, what it knows, and, when it serves, asks for time.
    func sendSigns() {
        let isBlocked = obstacle != nil || stuckText != nil
        // The other node decides by what it was told last: what its operator sees here must hold there.
        if isBlocked != toldBlocked || (isHeld || isDown) != toldHeld { nextSign = now }
        guard now >= nextSign else { return }
        let status = replica
        guard volume == nil || status.isPrimary == isPrimary else {
            // What is published lags behind a change of role: no sign under the record before it.
            nextSign = now + .milliseconds(10)
            return
        }
        let serves = isServing && volume != nil
        var sequence: UInt64 = 0
        if serves {
            sequence = lease.sending(at: now).rawValue
            nextSequence = sequence + 1
        }
        nextSign = now + profile.renewal
        let record = status.record
        if let arbiter, volume != nil {
            if let record { arbiter.send(.told(group: group.name, record)) }
            if hasArbiterForgotten { arbiter.send(.read(group: group.name)) }
            let epoch = serves ? record?.epoch ?? 0 : 0
            arbiter.send(
                .renew(
                    group: group.name,
                    LeaseRenewal(
                        sequence: sequence, epoch: epoch, grant: epoch == 0 ? .none : record?.grant ?? .none,
                        heardPeer: isPeerHeard, isRestarted: status.isRestarted)))
        }
        (toldBlocked, toldHeld) = (isBlocked, isHeld || isDown)
        peer.send(
            .sign(
                PeerSign(
                    group: group.name, isServing: volume == nil ? servesAddress : serves,
                    isPromotable: (router?.isEligible ?? isPromotable(status)) && isServiceWhole,
                    isHeld: toldHeld,
                    epoch: record?.epoch ?? 0, grant: record?.grant ?? .none, sequence: sequence,
                    isComplete: plan.state == .primary, isBlocked: isBlocked)))
        confirmAlone(sequence, status)
        keepAddress()
    }

    /// A group without a volume: whether its address is this node's.
    private var servesAddress: Bool { router.map { $0.state == .active } ?? (plan.state == .primary) }

    /// Neither the witness nor the peer has confirmed for most of a lease: what is left of the peer's connection is
    /// not waited for, so that requests freeze before the address goes and not after it.
    func watchLease() {
        guard isPrimary, !hasDroppedLink, let until = lease.deadline, context.settings.witness != nil,
            now + Interval(nanoseconds: profile.renewal.nanoseconds / 2) >= until
        else { return }
        // A peer that still speaks is not gone; without the witness a new handshake may have to wait for it (R3).
        guard now >= peerHeard + Interval(nanoseconds: profile.renewal.nanoseconds * 3 / 2) else { return }
        hasDroppedLink = true
        // A connection made since is another one.
        if replica.link != .down, now < until + profile.renewal { volume?.post(.dropLink) }
    }

    /// Whether the peer was heard within the time of a lease.
    var isPeerHeard: Bool { isPeerUp && now < peerHeard + profile.holder }

    /// A sole member of `copies` needs nobody's word: nobody else can be granted.
    private func confirmAlone(_ sequence: UInt64, _ status: VolumeStatus) {
        guard sequence != 0, status.record?.holder == context.node, status.openRequest == nil else { return }
        if status.record?.copies == NodeSet(context.node) || context.settings.witness == nil {
            confirmed(sequence)
        }
    }

    /// The witness or the peer has confirmed that renewal.
    func confirmed(_ sequence: UInt64) {
        guard isPrimary, lease.confirmed(RenewalIdentifier(rawValue: sequence), at: now),
            let until = lease.deadline
        else { return }
        hasDroppedLink = false
        if context.settings.witness != nil { tell(.leaseExtended(until: until)) }
        if isMutedByLease, router == nil {
            isMutedByLease = false
            raiseAgain()
        }
        extendKernelLease()
        if let identifier = raising {
            raising = nil
            finishRaising(identifier)
        }
    }

    /// What the peer says of itself.
    func take(_ sign: PeerSign) {
        isPeerUp = true
        peerHeard = now
        peerSign = sign
        tell(.peerHeard(isActive: sign.isServing))
        guard sign.sequence != 0, let record = replica.record else { return }
        // Not while this node holds or asks to: whoever confirms promises not to.
        let mayConfirm =
            !isPrimary && record.epoch == sign.epoch && record.grant == sign.grant
            && record.holder == context.node.peer && replica.openRequest == nil && grantWait?.isAsked != true
        if mayConfirm, promise.renewed(by: context.node.peer, at: now) {
            peer.send(.confirmed(group: group.name, sequence: sign.sequence))
        }
    }
}
