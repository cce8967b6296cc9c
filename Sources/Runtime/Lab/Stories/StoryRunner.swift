import Basics
import Glibc

/// One live test: real processes in a lab of its own, told as a story.
public struct LiveStory: Sendable {
    public let name: String
    /// Whether it starts the product.
    let needsProduct: Bool
    let body: @Sendable (StoryRun) throws(LabError) -> Void

    init(
        _ name: String, needsProduct: Bool = true,
        _ body: @escaping @Sendable (StoryRun) throws(LabError) -> Void
    ) {
        self.name = name
        self.needsProduct = needsProduct
        self.body = body
    }
}

/// All live stories.
public enum LiveStories {
    /// Those of one run; the full matrix has more variants.
    public static func all(full: Bool) -> [LiveStory] {
        labItself() + kills() + cuts(full: full) + isolation() + pauses(full: full) + refusals()
            + verbs(full: full) + disks(full: full) + pairs() + pinned() + boots(full: full)
    }
}

/// Runs stories one after the other, each in a lab of its own, and says what came of it.
public struct StoryRunner {
    private let lab: LabTopology
    private let full: Bool
    private let keep: Bool

    public init(lab: LabTopology, full: Bool, keep: Bool) {
        self.lab = lab
        self.full = full
        self.keep = keep
    }

    /// Every reason to skip that there is, by its name in Tests/skips.txt.
    public static let possibleSkips = [
        "namespaces: may not make a network and mount namespace here",
        "nftables: the kernel lets nobody write nftables rules for a bridge here",
        "fuse: the kernel or the machine offers no FUSE",
        "loop: the kernel or the machine offers no loop devices",
    ]

    /// Why no story can run here; nil when all can.
    func reasonToSkip() throws(LabError) -> String? {
        let space = ["unshare", "--net", "--mount", "--pid", "--fork"]
        if try ChildProcess.run(space + ["true"]).status != 0 { return Self.possibleSkips[0] }
        if try ChildProcess.run(space + ["nft", "add", "table", "bridge", "probe"]).status != 0 {
            return Self.possibleSkips[1]
        }
        if access("/dev/fuse", R_OK | W_OK) != 0 { return Self.possibleSkips[2] }
        if access("/dev/loop-control", R_OK | W_OK) != 0 { return Self.possibleSkips[3] }
        return nil
    }

    /// Runs them; false when one failed.
    public mutating func run(_ stories: [LiveStory]) throws(LabError) -> Bool {
        var passed = 0
        var failed: [String] = []
        var skipped = 0
        var claims: [Interval] = []
        let reason = try reasonToSkip()
        guard access(lab.product, X_OK) == 0 || !stories.contains(where: \.needsProduct) else {
            throw LabError("there is no product at \(lab.product): build it, or set TANDEM_BINARY")
        }
        for story in stories {
            if let reason {
                print("skipped: \(reason)  (\(story.name))")
                skipped += 1
                continue
            }
            let begin = LabClock.now()
            let run = StoryRun(lab: lab, full: full)
            defer { if let time = run.claimTime { claims.append(time) } }
            run.isTalking = environmentVariable("TANDEM_LAB_TALK") != nil
            do {
                try story.body(run)
                run.stopObservers()
                try clean()
                print("ok      \(story.name)  (\(LabClock.now().since(begin).text))")
                // The full matrix is a record: it keeps the order of events of each story.
                for line in full ? run.lines : run.figures { print("        \(line)") }
                passed += 1
            } catch {
                run.stopObservers()
                print("FAILED  \(story.name): \(error)")
                for line in run.lines where !run.isTalking { print("        \(line)") }
                printEvents()
                failed.append(story.name)
                if keep {
                    print("        kept: \(lab.directory.path)")
                    break
                }
                _ = try lab.wipe()
            }
            fflush(nil)
        }
        printClaims(claims)
        for name in failed { print("again: Tools/parts/live short '\(name)'") }
        print("\(passed) passed, \(failed.count) failed, \(skipped) skipped")
        return failed.isEmpty
    }

    /// What lease x 1.1 + 60 ms allows is the aim; one story in twenty may be an outlier.
    private func printClaims(_ times: [Interval]) {
        guard !times.isEmpty else { return }
        let sorted = times.sorted()
        let aim = Interval.milliseconds(1160)
        print(
            "two machines answered for the address: median \(sorted[sorted.count / 2].text), longest"
                + " \(sorted[sorted.count - 1].text), \(sorted.filter { $0 > aim }.count) of \(sorted.count)"
                + " stories above \(aim.text)")
    }

    private func clean() throws(LabError) {
        let remains = try lab.wipe()
        if !remains.isEmpty { throw LabError("the story left behind: \(remains.joined(separator: "; "))") }
    }

    /// The last words of every daemon.
    private func printEvents() {
        for name in LabTopology.daemonNames {
            let log = TextFile.read(lab.directory.daemonLog(name)) ?? ""
            for line in log.split(separator: "\n").suffix(25) { print("        \(name)| \(line)") }
        }
    }
}
