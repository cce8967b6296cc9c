/// Prints what a bench measured: absolute figures once, ratios beside their targets.
struct BenchTable {
    let results: BenchResults
    let onDisk: Bool

    func print() {
        Swift.print("")
        Swift.print(
            "Medians of alternating rounds, copies \(onDisk ? "on the disk" : "in memory"). Times in us at depth 1,"
                + " otherwise requests a second; 1 MiB in MB/s. In brackets: ratio to the plain file.")
        for workload in BenchWorkload.all {
            let measured = results.layers.filter { results.rate($0, workload) != nil }
            guard !measured.isEmpty else { continue }
            Swift.print("\n\(workload.name)")
            for layer in measured {
                guard let rate = results.rate(layer, workload) else { continue }
                var ratio = ""
                if let plain = results.rate(.plain, workload) { ratio = "(\(Self.figure(rate / plain)))" }
                Swift.print(
                    "  " + Self.left(layer.rawValue, 24) + Self.right(Self.absolute(rate, workload), 14)
                        + "  " + ratio)
            }
        }
        printCosts()
        printTargets()
    }

    private func printCosts() {
        let layers = results.layers.filter { results.costs[$0] != nil }
        guard !layers.isEmpty else { return }
        Swift.print("\nA 4 KiB write costs: us of processor, context switches, system calls; primary | peer")
        for layer in layers {
            for workload in [BenchWorkload.write1, .write16] {
                guard let (primary, peer) = results.costs[layer]?[workload] else { continue }
                let name = "\(layer.rawValue), depth \(workload.depth)"
                Swift.print(
                    "  " + Self.left(name, 32) + Self.text(primary) + " | "
                        + (peer.map { Self.text($0) } ?? "-"))
            }
        }
    }

    private func printTargets() {
        Swift.print("\n" + Self.left("Target", 62) + Self.right("measured", 10) + Self.right("target", 10))
        var short = 0
        for target in BenchTarget.all(results, onDisk: onDisk) {
            let sign = target.isCeiling ? "<=" : ">="
            var verdict = "not measured"
            if let reached = target.reached {
                verdict = reached >= 1 ? "reached" : "reached to \(Self.figure(reached))"
                if reached < BenchTarget.explained {
                    verdict += ", below 0.7: wants a page in Docs/Decisions"
                    short += 1
                }
            }
            let measured = target.measured.map { Self.figure($0) } ?? "-"
            Swift.print(
                Self.left(target.name, 62) + Self.right(measured, 10)
                    + Self.right("\(sign) \(Self.figure(target.target))", 10) + "  " + verdict)
        }
        if short > 0 { Swift.print("\(short) targets are reached to less than 0.7") }
    }

    static func absolute(_ rate: Double, _ workload: BenchWorkload) -> String {
        if workload.block > 4096 { return "\(Int(rate * Double(workload.block) / 1e6)) MB/s" }
        return workload.depth == 1 && !workload.flushes ? "\(figure(1e6 / rate)) us" : "\(Int(rate)) /s"
    }

    private static func text(_ cost: BenchCost) -> String {
        let calls = cost.systemCalls.map { figure($0) } ?? "-"
        return "\(figure(cost.processor)) us, \(figure(cost.contextSwitches)), \(calls)"
    }

    /// Two digits behind the point.
    static func figure(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e12 else { return "-" }
        let hundredths = Int((value * 100).rounded())
        let fraction = String(abs(hundredths) % 100 + 100).dropFirst()
        return "\(hundredths < 0 ? "-" : "")\(abs(hundredths) / 100).\(fraction)"
    }

    private static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }
}
