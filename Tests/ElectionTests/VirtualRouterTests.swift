import Basics
import Election
import Testing

/// A router under test and the clock that it is shown.
struct RouterBench {
    var router: VirtualRouter
    var now = Instant(nanoseconds: 1_000_000_000_000)
    static let peer = IPv4Address(10, 77, 0, 2)

    init(
        priority: UInt8 = 100, interval: UInt16 = 100, preempts: Bool = false, isArbitrated: Bool = true,
        address: IPv4Address = IPv4Address(10, 77, 0, 1), isEligible: Bool = true
    ) {
        router = VirtualRouter(
            configuration: VirtualRouterConfiguration(
                number: 77, priority: priority, interval: interval, ownAddress: address, preempts: preempts,
                isArbitrated: isArbitrated))
        if isEligible { tell(.eligible(true)) }
    }

    @discardableResult
    mutating func tell(_ event: VirtualRouterEvent, after pause: Interval = .milliseconds(0))
        -> [VirtualRouterAction]
    {
        now = now + pause
        return router.handle(event, at: now)
    }

    /// Jumps to the next wake-up.
    @discardableResult
    mutating func wait() -> [VirtualRouterAction] {
        now = max(now, router.nextWakeup)
        return router.handle(.wake, at: now)
    }

    /// Sends the wake-ups that fall due until then, and gathers their actions.
    mutating func run(for time: Interval) -> [VirtualRouterAction] {
        let end = now + time
        var actions: [VirtualRouterAction] = []
        while router.nextWakeup <= end { actions += wait() }
        now = end
        return actions
    }

    static func advert(_ priority: UInt8, interval: UInt16 = 100) -> VirtualRouterEvent {
        .heard(
            VRRPAdvertisement(
                virtualRouter: 77, priority: priority, interval: interval, addresses: [CapturedFrame.shared]),
            from: peer)
    }

    /// Active with the address raised, and the first round of announcements over.
    static func active(
        priority: UInt8 = 100, isArbitrated: Bool = true, address: IPv4Address = IPv4Address(10, 77, 0, 1)
    ) -> RouterBench {
        var bench = RouterBench(priority: priority, isArbitrated: isArbitrated, address: address)
        bench.tell(.started)
        bench.wait()
        bench.tell(.granted)
        bench.tell(.promoted)
        _ = bench.run(for: .seconds(3))
        return bench
    }
}

extension [VirtualRouterAction] {
    /// Without the journal's lines.
    var deeds: [VirtualRouterAction] { filter { if case .note = $0 { false } else { true } } }
    /// Whether a deed tells a neighbour that this node is there.
    var speaks: Bool {
        contains {
            switch $0 {
            case .sendAdvertisement, .announce: true
            default: false
            }
        }
    }
}

@Suite("The virtual router as a backup")
struct BackupTests {
    @Test("the skew and the down interval keep microseconds")
    func times() {
        #expect(RouterBench(priority: 100, interval: 100).router.downInterval == .microseconds(3_609_375))
        #expect(RouterBench(priority: 100, interval: 10).router.downInterval == .microseconds(360_937))
        #expect(RouterBench(priority: 100, interval: 1).router.skew == .microseconds(6093))
        #expect(RouterBench(priority: 254, interval: 1).router.skew == .microseconds(78))
    }

    @Test("boot is Backup, at whatever priority, and silent", arguments: [1, 100, 254] as [UInt8])
    func boot(priority: UInt8) {
        var bench = RouterBench(priority: priority)
        #expect(!bench.tell(.started).speaks)
        #expect(bench.router.state == .backup)
        #expect(bench.router.nextWakeup == bench.now + bench.router.downInterval)
    }

    @Test("silence asks for a promotion, and nothing is sent before the grant")
    func silence() {
        var bench = RouterBench()
        bench.tell(.started)
        let down = bench.router.downInterval
        #expect(bench.wait().deeds == [.startPromotion(.silence(down))])
        #expect(bench.router.state == .candidate)
        #expect(bench.router.nextWakeup == .never)
        #expect(bench.tell(.wake, after: .seconds(60)).deeds.isEmpty)
        #expect(bench.tell(.granted).deeds == [.sendAdvertisement(priority: 100)])
        #expect(
            bench.run(for: .milliseconds(2500)).deeds == [
                .sendAdvertisement(priority: 100), .sendAdvertisement(priority: 100),
            ])
        #expect(bench.tell(.promoted).deeds == [.announce(.request)])
    }

    @Test("a node whose copy may not be promoted never asks and never advertises")
    func notEligible() {
        var bench = RouterBench(isEligible: false)
        bench.tell(.started)
        let actions = bench.run(for: .seconds(100))
        #expect(actions == [.note(.suspectedWhileNotEligible)])
        #expect(bench.router.state == .backup)
        #expect(bench.tell(.peerResigned).deeds.isEmpty)
        #expect(bench.run(for: .seconds(100)).deeds.isEmpty)
    }

    @Test("becoming eligible after the suspicion asks a skew later")
    func eligibleLater() {
        var bench = RouterBench(isEligible: false)
        bench.tell(.started)
        _ = bench.run(for: .seconds(10))
        bench.tell(.eligible(true))
        #expect(bench.router.nextWakeup == bench.now + bench.router.skew)
        #expect(bench.wait().deeds.count == 1)
        #expect(bench.router.state == .candidate)
    }

    @Test("an advertisement restarts the timer and teaches its interval")
    func advertisement() {
        var bench = RouterBench()
        bench.tell(.started)
        bench.tell(RouterBench.advert(90, interval: 10), after: .seconds(3))
        #expect(bench.router.downInterval == .microseconds(360_937))
        #expect(bench.router.nextWakeup == bench.now + .microseconds(360_937))
    }

    @Test("without preempt an inferior Active is left alone; with it, it is not")
    func preempt() {
        for preempts in [false, true] {
            var bench = RouterBench(priority: 200, preempts: preempts)
            bench.tell(.started)
            var asked = false
            for _ in 0..<20 {
                asked =
                    asked
                    || bench.tell(RouterBench.advert(100), after: .milliseconds(300)).deeds
                        .contains(.startPromotion(.preemption))
            }
            #expect(asked == preempts)
        }
    }

    @Test("a node that is not eligible does not preempt either")
    func preemptNotEligible() {
        var bench = RouterBench(priority: 200, preempts: true, isEligible: false)
        bench.tell(.started)
        for _ in 0..<20 {
            #expect(bench.tell(RouterBench.advert(100), after: .milliseconds(300)).deeds.isEmpty)
        }
    }

    @Test("priority 0, or the peer's own word, asks a skew later")
    func resignation() {
        for event in [RouterBench.advert(0), .peerResigned] {
            var bench = RouterBench()
            bench.tell(.started)
            bench.tell(event)
            #expect(bench.router.nextWakeup == bench.now + bench.router.skew)
            #expect(bench.wait().deeds == [.startPromotion(.resignation)])
        }
    }

    @Test("the Active heard on any channel postpones the suspicion, a peer that is not Active does not")
    func otherChannels() {
        var bench = RouterBench()
        bench.tell(.started)
        for _ in 0..<30 {
            #expect(bench.tell(.peerHeard(isActive: true), after: .milliseconds(900)).deeds.isEmpty)
        }
        #expect(bench.router.state == .backup)
        for _ in 0..<30 { bench.tell(.peerHeard(isActive: false), after: .milliseconds(900)) }
        #expect(bench.router.state == .candidate)
    }

    @Test("an Active that is heard on another channel only is told once: adverts are blocked")
    func blocked() {
        var bench = RouterBench()
        bench.tell(.started)
        var notes: [VirtualRouterAction] = []
        for _ in 0..<30 { notes += bench.tell(.peerHeard(isActive: true), after: .milliseconds(900)) }
        #expect(notes == [.note(.advertisementsBlocked)])
        #expect(bench.router.areAdvertisementsBlocked)
        #expect(bench.tell(RouterBench.advert(100)) == [.note(.advertisementsArrive)])
    }

    @Test("a peer that becomes Active after a long quiet time is no alarm")
    func noFalseAlarm() {
        var bench = RouterBench(isEligible: false)
        bench.tell(.started)
        _ = bench.run(for: .seconds(100))
        #expect(bench.tell(.peerHeard(isActive: true)) == [])
        #expect(!bench.router.areAdvertisementsBlocked)
    }

    @Test("a refusal backs off: the down interval, or what the arbiter said, and the skew")
    func refused() {
        var bench = RouterBench()
        bench.tell(.started)
        bench.wait()
        bench.tell(.refused(retryAfter: nil))
        #expect(bench.router.state == .backup)
        #expect(bench.router.nextWakeup == bench.now + bench.router.downInterval)
        bench.wait()
        bench.tell(.refused(retryAfter: .milliseconds(70)))
        #expect(bench.router.nextWakeup == bench.now + .milliseconds(70) + bench.router.skew)
    }

    @Test("a late wake-up looks at what lies unread before it suspects, but only once in a row")
    func lateWakeup() {
        var bench = RouterBench(interval: 10)
        bench.tell(.started)
        let first = bench.tell(.wake, after: .seconds(5))
        #expect(first.deeds.isEmpty)
        #expect(bench.router.lateWakeups == 1)
        #expect(bench.router.state == .backup)
        #expect(bench.tell(.wake, after: .seconds(5)).deeds.count == 1)
        #expect(bench.router.state == .candidate)
    }

    @Test("without a link silence means nothing")
    func linkDown() {
        var bench = RouterBench()
        bench.tell(.started)
        bench.tell(.link(isUp: false))
        #expect(bench.run(for: .seconds(100)).deeds.isEmpty)
        bench.tell(.link(isUp: true))
        #expect(bench.router.nextWakeup == bench.now + bench.router.downInterval)
    }
}

@Suite("The virtual router as the Active")
struct ActiveTests {
    @Test("an inferior advertisement is answered at once, and the address announced again")
    func inferior() {
        var bench = RouterBench.active()
        let actions = bench.tell(RouterBench.advert(50))
        #expect(actions.deeds == [.confirmGrant, .sendAdvertisement(priority: 100), .announce(.request)])
        #expect(actions.contains(.note(.contested(by: RouterBench.peer, priority: 50))))
        #expect(bench.router.state == .active)
    }

    @Test("with an arbiter a superior advertisement asks it, and steps down for nobody")
    func superiorArbitrated() {
        var bench = RouterBench.active()
        #expect(bench.tell(RouterBench.advert(200)).deeds.first == .confirmGrant)
        #expect(bench.router.state == .active)
    }

    @Test("without an arbiter a superior one wins, by priority or by the higher address")
    func superiorAlone() {
        for priority in [101, 100] as [UInt8] {
            var bench = RouterBench.active(isArbitrated: false)
            #expect(
                bench.tell(RouterBench.advert(priority)).deeds == [
                    .startDemotion(.superior(RouterBench.peer))
                ])
            #expect(bench.tell(RouterBench.advert(priority)).deeds.isEmpty)
            #expect(!bench.run(for: .seconds(30)).speaks)
            bench.tell(.demoted(resigns: false))
            #expect(bench.router.state == .backup)
        }
        var higher = RouterBench.active(isArbitrated: false, address: IPv4Address(10, 77, 0, 3))
        #expect(higher.tell(RouterBench.advert(100)).speaks)
    }

    @Test("a storm of adverts begins one round of announcements a second")
    func storm() {
        var bench = RouterBench.active()
        var announcements = 0
        for _ in 0..<300 {
            let actions = bench.tell(RouterBench.advert(50), after: .milliseconds(10))
            announcements += actions.deeds.count { if case .announce = $0 { true } else { false } }
        }
        // Rounds of 0, 20, 100, 500, 1000 ms within three seconds.
        #expect(announcements <= 20)
    }

    @Test("a heal and a foreign claim announce again", arguments: [VirtualRouterEvent.healed, .foreignClaim])
    func heal(event: VirtualRouterEvent) {
        var bench = RouterBench.active()
        #expect(bench.tell(event).deeds == [.announce(.request)])
        #expect(bench.run(for: .milliseconds(600)).contains(.announce(.reply)))
    }

    @Test(
        "a lease that is over mutes before anything else, whatever the event",
        arguments: [
            .wake, RouterBench.advert(50), RouterBench.advert(0), RouterBench.advert(200), .healed, .promoted,
            .peerResigned, .foreignClaim, .eligible(false),
        ] as [VirtualRouterEvent])
    func mutes(event: VirtualRouterEvent) {
        var bench = RouterBench.active()
        bench.tell(.leaseExtended(until: bench.now + .seconds(1)))
        let actions = bench.tell(event, after: .seconds(4))
        #expect(actions.first == .mute(late: .seconds(3)))
        #expect(!actions.speaks)
        #expect(!bench.run(for: .seconds(60)).speaks)
        #expect(bench.router.isMuted)
    }

    @Test("the lease's end wakes the router by itself")
    func leaseEnd() {
        var bench = RouterBench.active()
        let until = bench.now + .milliseconds(333)
        bench.tell(.leaseExtended(until: until))
        #expect(bench.run(for: .seconds(5)).deeds.contains(.mute(late: .milliseconds(0))))
    }

    @Test("a lease that is back unmutes, advertises and announces again")
    func unmutes() {
        var bench = RouterBench.active()
        bench.tell(.leaseExtended(until: bench.now + .seconds(1)))
        bench.tell(.wake, after: .seconds(1))
        #expect(bench.tell(.leaseExtended(until: bench.now)).deeds.isEmpty)
        #expect(
            bench.tell(.leaseExtended(until: bench.now + .milliseconds(500))).deeds == [
                .unmute, .sendAdvertisement(priority: 100), .announce(.request),
            ])
    }

    @Test("a confirmation that arrives after the lease ran out mutes first, then unmutes")
    func lateConfirmation() {
        var bench = RouterBench.active()
        bench.tell(.leaseExtended(until: bench.now + .seconds(1)))
        let late = bench.tell(.leaseExtended(until: bench.now + .seconds(10)), after: .seconds(2))
        #expect(late.deeds.prefix(2) == [.mute(late: .seconds(1)), .unmute])
    }

    @Test("an orderly end resigns with priority 0, a deposition and a mute end do not")
    func ends() {
        var orderly = RouterBench.active()
        #expect(orderly.tell(.demoted(resigns: true)).deeds == [.sendAdvertisement(priority: 0)])
        #expect(orderly.router.state == .backup)
        var deposed = RouterBench.active()
        #expect(deposed.tell(.demoted(resigns: false)).deeds.isEmpty)
        var stopped = RouterBench.active()
        #expect(stopped.tell(.stopped).deeds == [.sendAdvertisement(priority: 0)])
        #expect(stopped.router.state == .initialize)
        var mute = RouterBench.active()
        mute.tell(.leaseExtended(until: mute.now + .milliseconds(1)))
        mute.tell(.wake, after: .seconds(1))
        #expect(!mute.tell(.stopped).speaks)
    }

    @Test("a promotion that failed after the grant gives way at once")
    func failedPromotion() {
        var bench = RouterBench()
        bench.tell(.started)
        bench.wait()
        bench.tell(.granted)
        #expect(bench.tell(.refused(retryAfter: .seconds(5))).deeds == [.sendAdvertisement(priority: 0)])
        #expect(bench.router.nextWakeup == bench.now + .seconds(5) + bench.router.skew)
    }

    @Test("an address that somebody removes is put back twice, then the node gives up")
    func vanished() {
        var bench = RouterBench.active()
        #expect(bench.tell(.addressVanished).deeds.first == .raiseAddress)
        #expect(bench.tell(.addressVanished).deeds.first == .raiseAddress)
        #expect(bench.tell(.addressVanished).deeds == [.startDemotion(.addressKeepsVanishing)])
        var rare = RouterBench.active()
        for _ in 0..<5 {
            #expect(rare.tell(.addressVanished, after: .seconds(11)).deeds.contains(.raiseAddress))
        }
    }

    @Test("a lost link asks for a demotion, one that is back announces again")
    func link() {
        var bench = RouterBench.active()
        #expect(bench.tell(.link(isUp: false)).deeds == [.startDemotion(.linkDown)])
        #expect(bench.tell(.link(isUp: true)).deeds.contains(.announce(.request)))
    }

    @Test("the machine's table of states and events is the one that was reviewed")
    func table() {
        let events: [(String, VirtualRouterEvent)] = [
            ("started", .started), ("stopped", .stopped), ("wake", .wake), ("eligible", .eligible(true)),
            ("heard 50", RouterBench.advert(50)), ("heard 200", RouterBench.advert(200)),
            ("heard 0", RouterBench.advert(0)), ("peer active", .peerHeard(isActive: true)),
            ("peer resigned", .peerResigned), ("granted", .granted), ("promoted", .promoted),
            ("refused", .refused(retryAfter: nil)), ("demoted", .demoted(resigns: true)),
            ("healed", .healed), ("vanished", .addressVanished),
        ]
        var lines: [String] = []
        for state in VirtualRouterState.allCases {
            for (name, event) in events {
                var bench = state == .active ? RouterBench.active() : RouterBench()
                if state == .backup || state == .candidate { bench.tell(.started) }
                if state == .candidate { bench.wait() }
                let deeds = bench.tell(event).deeds.map { "\($0)".prefix { $0 != "(" } }
                let done = deeds.isEmpty ? "-" : deeds.joined(separator: ", ")
                lines.append("\(state) | \(name) | \(bench.router.state) | \(done)")
            }
        }
        #expect(lines == reviewedTable.split(separator: "\n").map(String.init))
    }
}

@Suite("Two virtual routers")
struct TwoRoutersTests {
    /// Two routers, a wire that can be cut, and an arbiter that grants whoever asks while nobody holds.
    struct Pair {
        var routers: [RouterBench]
        var isCut = false
        var holder: Int?
        var now: Instant

        init(priorities: [UInt8]) {
            routers = priorities.indices.map {
                RouterBench(
                    priority: priorities[$0], interval: 10,
                    address: IPv4Address(10, 77, 0, UInt8($0 + 1)))
            }
            now = routers[0].now
            for index in routers.indices { apply(routers[index].tell(.started), of: index) }
        }

        mutating func apply(_ actions: [VirtualRouterAction], of index: Int) {
            for action in actions {
                switch action {
                case .sendAdvertisement(let priority) where !isCut:
                    let advertisement = VRRPAdvertisement(
                        virtualRouter: 77, priority: priority, interval: 10, addresses: [CapturedFrame.shared]
                    )
                    let source = routers[index].router.configuration.ownAddress
                    apply(routers[1 - index].tell(.heard(advertisement, from: source)), of: 1 - index)
                case .startPromotion:
                    guard holder == nil || holder == index else {
                        apply(routers[index].tell(.refused(retryAfter: nil)), of: index)
                        break
                    }
                    holder = index
                    apply(routers[index].tell(.granted), of: index)
                    apply(routers[index].tell(.promoted), of: index)
                default: break
                }
            }
        }

        mutating func step(until end: Instant) {
            while let index = routers.indices.min(by: {
                routers[$0].router.nextWakeup < routers[$1].router.nextWakeup
            }), routers[index].router.nextWakeup <= end {
                now = max(now, routers[index].router.nextWakeup)
                for each in routers.indices { routers[each].now = now }
                apply(routers[index].tell(.wake), of: index)
            }
            now = end
            for each in routers.indices { routers[each].now = now }
        }

        var states: [VirtualRouterState] { routers.map(\.router.state) }
    }

    @Test("the better one asks first, the other stays Backup")
    func election() {
        var pair = Pair(priorities: [100, 150])
        pair.step(until: pair.now + .seconds(2))
        #expect(pair.states == [.backup, .active])
        #expect(pair.holder == 1)
    }

    @Test("a cut makes no second Active: the arbiter refuses, again and again")
    func cut() {
        var pair = Pair(priorities: [100, 150])
        pair.step(until: pair.now + .seconds(2))
        pair.isCut = true
        pair.step(until: pair.now + .seconds(30))
        #expect(pair.states[1] == .active)
        #expect(pair.states[0] != .active)
        pair.isCut = false
        pair.step(until: pair.now + .seconds(2))
        #expect(pair.states == [.backup, .active])
    }

    @Test("a resignation moves the role within the other's skew")
    func resignation() {
        var pair = Pair(priorities: [100, 150])
        pair.step(until: pair.now + .seconds(2))
        pair.holder = nil
        let before = pair.now
        pair.apply(pair.routers[1].tell(.demoted(resigns: true)), of: 1)
        pair.step(until: before + pair.routers[0].router.skew)
        #expect(pair.states == [.active, .backup])
    }

    @Test("a better node that comes back does not take back")
    func noPreemption() {
        var pair = Pair(priorities: [100, 150])
        pair.step(until: pair.now + .seconds(2))
        pair.holder = nil
        pair.apply(pair.routers[1].tell(.stopped), of: 1)
        pair.step(until: pair.now + .seconds(2))
        #expect(pair.states == [.active, .initialize])
        pair.apply(pair.routers[1].tell(.started), of: 1)
        pair.step(until: pair.now + .seconds(20))
        #expect(pair.states == [.active, .backup])
    }
}
