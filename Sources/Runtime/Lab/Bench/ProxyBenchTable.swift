import Glibc

/// What wrk tells of one load.
struct ProxyBenchLoad {
    var requests = 0.0
    var requestsPerSecond = 0.0
    /// Microseconds.
    var median = 0.0
    /// Microseconds.
    var slowest99 = 0.0
    /// Answers of another status, and connections that broke.
    var failures = 0

    /// Reads wrk's output; nil when it is none.
    init?(_ output: String) {
        for line in output.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let first = words.first else { continue }
            switch first {
            case "50%": median = Self.microseconds(words.last ?? "") ?? -1
            case "99%": slowest99 = Self.microseconds(words.last ?? "") ?? -1
            case "Requests/sec:": requestsPerSecond = Double(words.last ?? "") ?? 0
            case "Non-2xx", "Socket":
                failures += line.split { !$0.isNumber }.reduce(0) { $0 + (Int($1) ?? 0) }
            default: if words.count > 2, words[1] == "requests" { requests = Double(first) ?? 0 }
            }
        }
        guard requests > 0, requestsPerSecond > 0 else { return nil }
    }

    private static func microseconds(_ text: Substring) -> Double? {
        for (unit, factor) in [("us", 1.0), ("ms", 1e3), ("s", 1e6)] where text.hasSuffix(unit) {
            return Double(text.dropLast(unit.count)).map { $0 * factor }
        }
        return nil
    }
}

/// Processor time of a process so far.
struct ProxyBenchCost {
    /// Nanoseconds, all threads, as the scheduler counts them.
    var nanoseconds = 0.0
    /// Of the clock ticks, the part outside the kernel.
    var userTicks = 0.0
    var systemTicks = 0.0

    static func now(of process: Int32) -> ProxyBenchCost {
        var cost = ProxyBenchCost()
        for task in TextFile.names(in: "/proc/\(process)/task") {
            let text = TextFile.read("/proc/\(process)/task/\(task)/schedstat") ?? ""
            cost.nanoseconds += text.split(separator: " ").first.flatMap { Double($0) } ?? 0
        }
        let text = TextFile.read("/proc/\(process)/stat") ?? ""
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        if fields.count > 13 {
            cost.userTicks = Double(fields[12]) ?? 0
            cost.systemTicks = Double(fields[13]) ?? 0
        }
        return cost
    }

    static func - (left: ProxyBenchCost, right: ProxyBenchCost) -> ProxyBenchCost {
        ProxyBenchCost(
            nanoseconds: left.nanoseconds - right.nanoseconds, userTicks: left.userTicks - right.userTicks,
            systemTicks: left.systemTicks - right.systemTicks)
    }
}

/// One measurement of one program.
struct ProxyBenchSample {
    let load: ProxyBenchLoad
    let cost: ProxyBenchCost
    /// Microseconds of processor a request.
    var processor: Double { cost.nanoseconds / 1000 / load.requests }
    /// The part of it outside the kernel.
    var user: Double { processor * cost.userTicks / max(1, cost.userTicks + cost.systemTicks) }
}

/// All that was measured.
struct ProxyBenchResults {
    private(set) var samples: [ProxyBenchSubject: [ProxyBenchSample]] = [:]
    /// Kilobytes resident: without connections, and with them.
    var memory: [ProxyBenchProgram: (before: Int, after: Int)] = [:]

    mutating func add(_ sample: ProxyBenchSample, of subject: ProxyBenchSubject) {
        samples[subject, default: []].append(sample)
    }

    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return .nan }
        return (sorted[sorted.count / 2] + sorted[(sorted.count - 1) / 2]) / 2
    }

    /// The ratios of one figure, each within a round.
    func ratios(
        _ subject: ProxyBenchSubject, over other: ProxyBenchSubject, _ figure: (ProxyBenchSample) -> Double
    ) -> [Double] {
        zip(samples[subject] ?? [], samples[other] ?? []).map { figure($0) / figure($1) }
    }
}

/// Prints them: absolute figures once, ratios beside their targets.
struct ProxyBenchTable {
    let results: ProxyBenchResults
    let programs: [ProxyBenchProgram]
    let modes: [ProxyBenchMode]
    let connections: Int

    func print() {
        Swift.print("\nMedians of the rounds; processor time in us a request, latency in us.")
        row(["", "us/request", "user", "kernel", "requests/s", "median", "99 %"])
        for mode in modes {
            for program in programs {
                let subject = ProxyBenchSubject(program: program, mode: mode)
                guard let samples = results.samples[subject] else { continue }
                func median(_ figure: (ProxyBenchSample) -> Double) -> Double {
                    ProxyBenchResults.median(samples.map(figure))
                }
                row([
                    subject.name, BenchTable.figure(median(\.processor)), BenchTable.figure(median(\.user)),
                    BenchTable.figure(median { $0.processor - $0.user }),
                    "\(Int(median(\.load.requestsPerSecond)))", "\(Int(median(\.load.median)))",
                    "\(Int(median(\.load.slowest99)))",
                ])
            }
        }
        printRatios()
        guard !results.memory.isEmpty else { return }
        Swift.print(
            "\nMemory resident, in kB: at the start, with \(connections) idle connections, for each of them")
        for program in programs {
            guard let (before, after) = results.memory[program] else { continue }
            let each = BenchTable.figure(Double(after - before) / Double(max(1, connections)))
            row([program.rawValue, "\(before)", "\(after)", each])
        }
    }

    private func printRatios() {
        Swift.print("\nRatios to HAProxy, each within a round: median [least .. most]")
        for mode in modes {
            let haproxy = ProxyBenchSubject(program: .haproxy, mode: mode)
            for program in programs where program != .haproxy {
                let subject = ProxyBenchSubject(program: program, mode: mode)
                let processor = results.ratios(subject, over: haproxy, \.processor)
                let rate = results.ratios(subject, over: haproxy, \.load.requestsPerSecond)
                guard !processor.isEmpty else { continue }
                var verdict = ""
                if program == .tandem {
                    let target = mode == .tcp ? 1.0 : 1.15
                    let isReached = ProxyBenchResults.median(processor) <= target
                    verdict =
                        "  target <= \(BenchTable.figure(target)): \(isReached ? "reached" : "not reached")"
                }
                Swift.print(
                    "  \(subject.name): processor time \(Self.spread(processor)), rate \(Self.spread(rate))\(verdict)"
                )
            }
        }
    }

    private static func spread(_ values: [Double]) -> String {
        let (least, most) = (values.min() ?? .nan, values.max() ?? .nan)
        return "\(BenchTable.figure(ProxyBenchResults.median(values))) "
            + "[\(BenchTable.figure(least)) .. \(BenchTable.figure(most))]"
    }

    private func row(_ cells: [String]) {
        var line = "  " + cells[0] + String(repeating: " ", count: max(1, 26 - cells[0].count))
        for cell in cells.dropFirst() {
            line += String(repeating: " ", count: max(1, 12 - cell.count)) + cell
        }
        Swift.print(line)
    }
}
