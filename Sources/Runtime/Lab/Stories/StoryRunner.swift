import Basics
import Glibc

/// One live test: real processes in a lab of its own, told as a story.
public struct LiveStory: Sendable {
    public let name: String
    let body: @Sendable (StoryRun) throws(LabError) -> Void

    init(_ name: String, _ body: @escaping @Sendable (StoryRun) throws(LabError) -> Void) {
        self.name = name
        self.body = body
    }
}

/// All live stories.
public enum LiveStories {
    /// Those of one run; the full matrix has more variants.
    public static func all(full: Bool) -> [LiveStory] {
        kills() + cuts(full: full) + pauses(full: full) + refusals()
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

    /// Every reason to skip that there is, with what is probed.
    public static let possibleSkips = [
        "live: no namespaces        unshare --net --mount --pid true",
        "live: no bridge filter     nft add table bridge, in a namespace of its own",
        "live: no FUSE              /dev/fuse",
        "live: no loop devices      /dev/loop-control",
        "live: no product           the binary beside tandem-lab, or TANDEM_BINARY",
    ]

    /// Why no story can run here; nil when all can.
    func reasonToSkip() -> String? {
        let space = ["unshare", "--net", "--mount", "--pid", "--fork"]
        do {
            if try ChildProcess.run(space + ["true"]).status != 0 { return "no namespaces" }
            if try ChildProcess.run(space + ["nft", "add", "table", "bridge", "probe"]).status != 0 {
                return "no bridge filter"
            }
        } catch {
            return "\(error)"
        }
        if access("/dev/fuse", R_OK | W_OK) != 0 { return "no FUSE" }
        if access("/dev/loop-control", R_OK | W_OK) != 0 { return "no loop devices" }
        if access(lab.product, X_OK) != 0 { return "no product at \(lab.product)" }
        return nil
    }

    /// Runs them; false when one failed.
    public mutating func run(_ stories: [LiveStory]) throws(LabError) -> Bool {
        var passed = 0
        var failed: [String] = []
        var skipped = 0
        let reason = reasonToSkip()
        for story in stories {
            if let reason {
                print("skipped: \(reason)  \(story.name)")
                skipped += 1
                continue
            }
            let begin = LabClock.now()
            let run = StoryRun(lab: lab, full: full)
            run.isTalking = environmentVariable("TANDEM_LAB_TALK") != nil
            do {
                try story.body(run)
                run.stopObservers()
                try clean()
                print("ok      \(story.name)  (\(LabClock.now().since(begin).text))")
                for line in run.figures { print("        \(line)") }
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
        for name in failed { print("again: Tools/parts/live short '\(name)'") }
        print("\(passed) passed, \(failed.count) failed, \(skipped) skipped")
        return failed.isEmpty
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
