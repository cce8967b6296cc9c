public import ArgumentParser
import Glibc
public import Simulation

/// Runs the daemon's own cores on a fake disk, network and clock; says which promise was broken, and by which seed.
@main
struct TandemSimulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tandem-simulate",
        abstract:
            "Run two nodes, a witness and their clients from one seed, under faults, and judge every answer.",
        discussion: """
            A violation prints the line that runs its seed again, and the last 200 lines of its trace; the exit status \
            is then 1. The same seed gives the same run, everywhere.
            """)

    @Option(help: "The first seed, decimal or 0x...") var seed: Seed = Seed(value: 1)
    @Option(help: "How many seeds; without --seconds: 1.") var count: UInt64?
    @Option(help: "Stop after that many seconds.") var seconds: Double?
    @Option(help: "The world: arbiter, none or beyond; without it, by the seed.") var profile: Profile.Kind?
    @Option(name: .customLong("break"), help: "A deliberate fault, by name; --list-breaks names them.")
    var fault: String?
    @Option(help: "Keep position and counts in this file and go on where it stands.") var resume: String?
    @Option(help: "Run the seeds of this file: `PROFILE SEED` a line, # begins a comment.") var past: String?
    @Flag(help: "Print the whole trace of the seed.") var trace = false
    @Flag(help: "Run each seed twice and compare the traces' hashes.") var twice = false
    @Flag(help: "Fail when a branch, a row or a verdict was never reached.") var complete = false
    @Flag(help: "Names of the deliberate faults.") var listBreaks = false

    func validate() throws {
        if let fault, DeliberateBreak(named: fault) == nil {
            throw ValidationError("there is no break '\(fault)'; --list-breaks names them")
        }
        if trace, count ?? 1 > 1 { throw ValidationError("--trace is for one seed") }
    }

    func run() throws {
        if listBreaks {
            for fault in DeliberateBreak.all { print(fault.name) }
            return
        }
        let campaign = Campaign(kind: profile, fault: fault.flatMap(DeliberateBreak.init(named:)))
        if trace {
            for line in campaign.trace(of: seed.value) { print(line) }
        }
        if let past { return try runPast(past) }
        try runSeeds(campaign)
    }

    private func runPast(_ path: String) throws {
        var ran = 0
        for line in try readText(path).split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: " ")
            guard words.count >= 2, let kind = Profile.Kind(rawValue: String(words[0])),
                let seed = UInt64(words[1])
            else { throw ValidationError("\(path): expected PROFILE SEED, found '\(line)'") }
            var campaign = Campaign(kind: kind, fault: fault.flatMap(DeliberateBreak.init(named:)))
            if let violation = campaign.run(seed) { throw report(violation, seed, campaign) }
            ran += 1
        }
        print("\(ran) seeds that failed once, no violation")
    }

    private func runSeeds(_ start: Campaign) throws {
        var campaign = start
        var progress = Progress(next: seed.value)
        if let resume, access(resume, F_OK) == 0 {
            guard let read = Progress(text: try readText(resume)) else {
                throw ValidationError("\(resume) is no file of --resume")
            }
            progress = read
            campaign.coverage = read.coverage
        }
        let limit = count ?? (seconds == nil && resume == nil ? 1 : UInt64.max)
        let end = limit == .max ? UInt64.max : seed.value + limit
        let clock = ContinuousClock()
        let begin = clock.now
        let seedsBefore = campaign.coverage.seeds
        var saved = begin
        while progress.next < end {
            if let seconds, clock.now - begin >= .seconds(seconds) { break }
            if twice, campaign.traceHash(of: progress.next) != campaign.traceHash(of: progress.next) {
                print("seed \(progress.next): two runs differ")
                throw ExitCode(1)
            }
            if let violation = campaign.run(progress.next) {
                throw report(violation, progress.next, campaign)
            }
            progress.next += 1
            if let resume, clock.now - saved > .seconds(5) {
                saved = clock.now
                progress.coverage = campaign.coverage
                try writeText(progress.text, to: resume)
            }
        }
        progress.coverage = campaign.coverage
        if let resume { try writeText(progress.text, to: resume) }
        let elapsed = Double((clock.now - begin) / .microseconds(1)) / 1_000_000
        summarize(campaign.coverage, ran: campaign.coverage.seeds - seedsBefore, in: elapsed)
        if complete, !campaign.coverage.missing.isEmpty {
            print("never reached: \(campaign.coverage.missing.joined(separator: ", "))")
            throw ExitCode(1)
        }
    }

    private func summarize(_ coverage: Coverage, ran: Int, in seconds: Double) {
        for line in coverage.lines { print(line) }
        let rate = Int(Double(ran) / max(seconds, 0.001))
        print("\(coverage.seeds) seeds, \(coverage.events) events, no violation; \(rate) seeds a second")
    }

    private func report(_ violation: Violation, _ seed: UInt64, _ campaign: Campaign) -> ExitCode {
        if !trace {
            for line in campaign.trace(of: seed).suffix(200) { print(line) }
        }
        print("\(violation.invariant): \(violation.text)")
        print("violated after \(campaign.coverage.seeds) seeds: \(violation.invariant)")
        print(campaign.replayLine(of: seed))
        return ExitCode(1)
    }
}

/// A seed as people write it.
struct Seed: ExpressibleByArgument {
    var value: UInt64

    init(value: UInt64) { self.value = value }

    init?(argument: String) {
        let parsed = argument.hasPrefix("0x") ? UInt64(argument.dropFirst(2), radix: 16) : UInt64(argument)
        guard let parsed else { return nil }
        value = parsed
    }

    var defaultValueDescription: String { String(value) }
}

extension Profile.Kind: ExpressibleByArgument {}
