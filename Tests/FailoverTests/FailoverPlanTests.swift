import Basics
import Failover
import Testing

@Suite("Promote and demote")
struct FailoverPlanTests {
    @Test("a promotion goes from the grant to the address, which nothing serves after")
    func promotion() {
        var machine = FakeMachine(FakeMachine.targets)
        machine.tell(.promote)
        #expect(machine.performed == FakeMachine.promotion)
        #expect(machine.plan.state == .primary)
        #expect(machine.outcomes == [.promoted])
        #expect(machine.violations.isEmpty)
    }

    @Test("a demotion is the exact reverse, the address first and the grant last")
    func demotion() {
        var machine = FakeMachine.primary()
        machine.tell(.demote)
        #expect(machine.performed == FakeMachine.demotion)
        #expect(machine.plan.state == .secondary)
        #expect(machine.outcomes == [.demoted(.demote)])
        #expect(machine.exists.isEmpty)
        #expect(machine.violations.isEmpty)
    }

    @Test("a deposition is mute first, then fails the device, then takes down what may block on it")
    func deposition() {
        var machine = FakeMachine.primary()
        machine.tell(.deposed)
        #expect(machine.performed == FakeMachine.deposition)
        #expect(machine.failed == ["one", "two"])
        #expect(machine.exists == ["granted"])
        #expect(machine.violations.isEmpty)
        #expect(machine.outcomes == [.demoted(.deposed)])
    }

    @Test("the deliberate mistake is noticed by what it breaks")
    func addressFirst() {
        var machine = FakeMachine(FakeMachine.targets, break: .addressRaisedFirst)
        machine.tell(.promote)
        #expect(!machine.violations.isEmpty)
        var sound = FakeMachine(FakeMachine.targets)
        sound.tell(.promote)
        #expect(sound.violations.isEmpty)
    }

    @Test("an address that is raised before the server answers is noticed")
    func addressBeforeServer() {
        var machine = FakeMachine(FakeMachine.targets, break: .addressRaisedBeforeServer)
        machine.tell(.promote)
        #expect(machine.performed.suffix(2) == ["start nfsd", "tickle clients of 192.168.56.100"])
        #expect(machine.violations.map { $0.hasSuffix("without server") } == [true])
    }

    @Test(
        "version 3 adds its locks: kept before the server starts, told of it last, ended before the unmount")
    func locks() {
        var targets = FakeMachine.targets
        targets.export?.versions = [.three, .fourTwo]
        var machine = FakeMachine(targets)
        machine.tell(.promote)
        #expect(
            machine.performed.suffix(7) == [
                "start nfsdcld", "start statd", "export /srv/one", "start nfsd", "raise 192.168.56.100/24",
                "tickle clients of 192.168.56.100", "notify clients of 192.168.56.100",
            ])
        #expect(machine.violations.isEmpty)
        machine.performed.removeAll()
        machine.tell(.demote)
        let off = ["stop nfsd", "withdraw /srv/one", "stop statd", "stop nfsdcld", "unmount one"]
        #expect(machine.performed[2..<7] == ArraySlice(off))
        #expect(machine.violations.isEmpty && machine.exists.isEmpty)
        for step in ["start statd", "start nfsd"] {
            var failing = FakeMachine(targets)
            failing.behaviours[step] = .fails
            failing.tell(.promote)
            #expect(failing.exists.isEmpty && failing.violations.isEmpty)
        }
    }

    @Test("new locks wait for a short time where nobody says that it has reclaimed all")
    func grace() {
        var export = FakeMachine.targets.export
        #expect(export?.hasShortGrace == false && export?.hasLockRecords == false)
        export?.versions = [.fourZero, .fourTwo]
        #expect(export?.hasShortGrace == true && export?.hasLockRecords == false)
        export?.versions = [.three]
        #expect(export?.hasShortGrace == true && export?.hasLockRecords == true)
    }

    @Test("a tickle that fails, or takes too long, stops nothing")
    func tickle() {
        for behaviour in [FakeMachine.Behaviour.fails, .slow] {
            var machine = FakeMachine(FakeMachine.targets)
            machine.behaviours["tickle clients of 192.168.56.100"] = behaviour
            machine.tell(.promote)
            machine.run(for: .seconds(10))
            #expect(machine.plan.state == .primary)
            #expect(machine.outcomes == [.promoted])
        }
    }

    @Test("an export without an address of its own is served, for whoever moves the address")
    func exportAlone() {
        var targets = FakeMachine.targets
        targets.addresses = []
        #expect(
            FailoverPlans.promote(targets).suffix(3).map(\.name) == [
                "start nfsdcld", "export /srv/one", "start nfsd",
            ])
    }

    @Test("mount and address are each optional")
    func optional() {
        let bare = FailoverTargets(group: "g", volumes: [VolumeTarget(name: "v")], addresses: [])
        #expect(FailoverPlans.promote(bare).map(\.name) == ["grant", "open v", "attach v", "link v"])
        #expect(FailoverPlans.demote(bare).map(\.name) == ["unlink v", "detach v", "close v", "release"])
        let alone = FailoverTargets(
            group: "g", volumes: [], addresses: [IPv4Prefix(IPv4Address(10, 0, 0, 1), length: 24)])
        #expect(FailoverPlans.promote(alone).map(\.name) == ["grant", "raise 10.0.0.1/24"])
        #expect(
            FailoverPlans.deposed(alone).map(\.name) == ["lower 10.0.0.1/24", "disconnect 10.0.0.1"])
    }

    @Test(
        "each failing step of a promotion is undone with all before it, in reverse",
        arguments: FakeMachine.promotionNeeds)
    func promotionFails(step: String) {
        var machine = FakeMachine(FakeMachine.targets)
        machine.behaviours[step] = .fails
        machine.tell(.promote)
        let index = FakeMachine.promotion.firstIndex(of: step) ?? 0
        #expect(machine.performed == FakeMachine.promotion[...index] + FakeMachine.undone(from: step))
        #expect(machine.plan.state == .secondary)
        #expect(machine.outcomes == [.promotionFailed(step: step, .failed("as the test says"))])
        #expect(machine.exists.isEmpty)
        #expect(machine.violations.isEmpty)
    }

    @Test(
        "each step of a promotion that takes too long is stopped, and undone after it answered",
        arguments: FakeMachine.promotionNeeds)
    func promotionTimesOut(step: String) {
        var machine = FakeMachine(FakeMachine.targets)
        machine.behaviours[step] = .slow
        machine.tell(.promote)
        #expect(machine.plan.state == .running(.promote, step: step))
        machine.run(for: .seconds(700))
        #expect(machine.plan.state == .secondary)
        #expect(machine.outcomes == [.promotionFailed(step: step, .timedOut)])
        // The step took effect after it was told to stop: the undo came after that.
        #expect(machine.exists.isEmpty)
        #expect(machine.violations.isEmpty)
    }

    @Test(
        "a step that hangs in the kernel is a named safe state until it answers",
        arguments: FakeMachine.promotionNeeds)
    func promotionHangs(step: String) {
        var machine = FakeMachine(FakeMachine.targets)
        machine.behaviours[step] = .hangs
        machine.tell(.promote)
        machine.run(for: .seconds(700))
        #expect(machine.plan.state == .stuck(.undo, step: step, .unresponsive))
        let urgent = step.hasPrefix("raise")
        #expect(machine.performed.last == (urgent ? "undo \(step)" : step))
        machine.tell(.promote)
        #expect(machine.outcomes.last == .refused(.promote, machine.plan.state))
        machine.release()
        #expect(machine.plan.state == .secondary)
        #expect(machine.violations.isEmpty)
    }

    @Test(
        "each undo that fails leaves the group stuck there, and is tried until it works",
        arguments: FakeMachine.undone(from: "raise 192.168.56.100/24"))
    func undoFails(step: String) {
        var machine = FakeMachine(FakeMachine.targets)
        machine.behaviours["raise 192.168.56.100/24"] = .fails
        machine.behaviours[step] = .busy
        machine.tell(.promote)
        #expect(machine.plan.state == .stuck(.undo, step: step, .busy(pins: ["77 cat"])))
        let tries = machine.performed.count
        machine.run(for: .milliseconds(3500))
        #expect(machine.performed.count == tries + 3)
        machine.behaviours[step] = .works
        machine.tell(.retry)
        #expect(machine.plan.state == .secondary)
        #expect(machine.exists.isEmpty)
    }

    @Test(
        "each failing step of a demotion leaves the group stuck there; nothing after it is begun",
        arguments: FakeMachine.demotion.filter { !$0.hasPrefix("disconnect") && $0 != "release" })
    func demotionFails(step: String) {
        var machine = FakeMachine.primary()
        machine.behaviours[step] = .busy
        machine.tell(.demote)
        let index = FakeMachine.demotion.firstIndex(of: step) ?? 0
        #expect(machine.performed == Array(FakeMachine.demotion[...index]))
        #expect(machine.plan.state == .stuck(.demote, step: step, .busy(pins: ["77 cat"])))
        machine.run(for: .milliseconds(2500))
        #expect(machine.notes.count { if case .stuck = $0 { true } else { false } } == 1)
        machine.behaviours[step] = .works
        machine.tell(.retry)
        #expect(machine.plan.state == .secondary)
        #expect(machine.exists.isEmpty)
        #expect(machine.violations.isEmpty)
    }

    @Test(
        "each step of a deposition that takes too long is tried again after it answered",
        arguments: FakeMachine.deposition.filter { !$0.hasPrefix("disconnect") })
    func depositionTimesOut(step: String) {
        var machine = FakeMachine.primary()
        machine.behaviours[step] = .hangs
        machine.tell(.deposed)
        machine.run(for: .seconds(100))
        #expect(machine.plan.state == .stuck(.deposed, step: step, .unresponsive))
        machine.behaviours[step] = .works
        machine.release()
        #expect(machine.plan.state == .secondary)
        #expect(machine.exists == ["granted"])
        #expect(machine.violations.isEmpty)
    }

    @Test("connections that cannot be destroyed, or a grant that cannot be released, stop nothing")
    func bestEffort() {
        var machine = FakeMachine.primary()
        machine.behaviours["disconnect 192.168.56.100"] = .fails
        machine.behaviours["release"] = .fails
        machine.tell(.demote)
        #expect(machine.plan.state == .secondary)
        #expect(machine.performed == FakeMachine.demotion)
    }

    @Test(
        "a deposition during each step of a promotion takes down whatever it had made",
        arguments: FakeMachine.promotion)
    func deposedWhilePromoting(step: String) {
        var machine = FakeMachine(FakeMachine.targets)
        machine.behaviours[step] = .slow
        machine.tell(.promote)
        machine.tell(.deposed)
        machine.run(for: .seconds(100))
        #expect(machine.plan.state == .secondary)
        #expect(machine.exists.subtracting(["granted"]).isEmpty)
        #expect(machine.violations.isEmpty)
        #expect(machine.outcomes == [.promotionFailed(step: step, .cancelled), .demoted(.deposed)])
    }

    @Test("a deposed node is mute and its device failed although a step of the old plan hangs")
    func urgentSteps() {
        var machine = FakeMachine(FakeMachine.targets)
        machine.behaviours["check one"] = .hangs
        machine.tell(.promote)
        machine.tell(.deposed)
        #expect(machine.failed == ["one", "two"])
        #expect(machine.performed.suffix(2) == ["fail one", "fail two"])
        machine.run(for: .seconds(100))
        #expect(machine.plan.state == .stuck(.deposed, step: "check one", .unresponsive))
        machine.release()
        #expect(machine.plan.state == .secondary)
    }

    @Test("a deposition during a stuck demotion fails the device, which frees what was busy")
    func deposedWhileStuck() {
        var machine = FakeMachine.primary()
        machine.behaviours["unmount one"] = .busy
        machine.tell(.demote)
        machine.behaviours["unmount one"] = .works
        machine.tell(.deposed)
        #expect(machine.failed == ["one", "two"])
        #expect(machine.plan.state == .secondary)
        #expect(machine.violations.isEmpty)
    }

    @Test("a demotion during a promotion takes it back")
    func demotedWhilePromoting() {
        var machine = FakeMachine(FakeMachine.targets)
        machine.behaviours["mount one"] = .slow
        machine.tell(.promote)
        machine.tell(.demote)
        #expect(machine.plan.state == .secondary)
        #expect(machine.outcomes == [.promotionFailed(step: "mount one", .cancelled)])
        #expect(machine.exists.isEmpty)
    }

    @Test("an answer to an attempt that is over changes nothing")
    func staleAnswer() {
        var machine = FakeMachine.primary()
        machine.tell(.failed(AttemptIdentifier(rawValue: 3), .failed("late")))
        machine.tell(.succeeded(AttemptIdentifier(rawValue: 99)))
        #expect(machine.plan.state == .primary)
        #expect(machine.outcomes.isEmpty)
    }

    @Test("commands that cannot be obeyed are refused with the state, or done already")
    func refused() {
        var machine = FakeMachine.primary()
        machine.tell(.promote)
        #expect(machine.outcomes == [.refused(.promote, .primary)])
        var secondary = FakeMachine(FakeMachine.targets)
        secondary.tell(.demote)
        #expect(secondary.outcomes == [.demoted(.demote)])
        #expect(secondary.performed.isEmpty)
    }

    @Test("every step has a start and an end with its duration in the journal")
    func journal() {
        var machine = FakeMachine(FakeMachine.targets)
        machine.behaviours["mount one"] = .slow
        machine.tell(.promote)
        machine.run(for: .seconds(70))
        let started = machine.notes.compactMap {
            if case .stepStarted(_, let step) = $0 { step } else { nil }
        }
        let ended = machine.notes.compactMap {
            if case .stepEnded(_, let step, _, _) = $0 { step } else { nil }
        }
        #expect(started == machine.performed)
        #expect(ended.sorted() == started.sorted())
        #expect(machine.notes.contains(.stepEnded(.promote, step: "mount one", .seconds(60), .timedOut)))
    }

    @Test("whatever fails and whenever it is deposed, the order holds and the group comes to rest")
    func randomFaults() {
        for seed in 0..<3000 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed, label: "failover")
            var machine = FakeMachine(FakeMachine.targets)
            let names =
                FakeMachine.promotion + FakeMachine.demotion + FakeMachine.deposition
                + FakeMachine.undone(from: "raise 192.168.56.100/24")
            for _ in 0..<generator.below(4) {
                let choices: [FakeMachine.Behaviour] = [.fails, .busy, .slow, .hangs]
                machine.behaviours[names[generator.below(names.count)]] = choices[generator.below(4)]
            }
            for _ in 0..<12 {
                machine.tell([.promote, .demote, .deposed, .retry, .wake][generator.below(5)])
                machine.run(for: .milliseconds(UInt64(generator.below(20_000))))
                if generator.chance(in: 4) { machine.release() }
            }
            machine.behaviours.removeAll()
            machine.release()
            machine.run(for: .seconds(20))
            machine.tell(.deposed)
            machine.run(for: .seconds(20))
            #expect(machine.violations.isEmpty, "seed \(seed)")
            #expect(machine.plan.state == .secondary, "seed \(seed)")
            #expect(machine.exists.subtracting(["granted"]).isEmpty, "seed \(seed)")
        }
    }
}
