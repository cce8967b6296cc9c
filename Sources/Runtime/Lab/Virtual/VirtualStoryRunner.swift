import Basics
import Glibc

/// Runs stories in virtual machines one after the other, each in a lab of its own.
public struct VirtualStoryRunner {
    let lab: VirtualLab
    /// Keep the lab of a story that failed.
    let keep: Bool

    public init(lab: VirtualLab, keep: Bool) {
        self.lab = lab
        self.keep = keep
    }

    /// Runs them; false when one failed. The last line is `N passed, N failed, N skipped`.
    public func run(_ stories: [VirtualStory]) throws(LabError) -> Bool {
        var failed: [String] = []
        for story in stories {
            let begin = LabClock.now()
            let run = VirtualStoryRun(lab: lab)
            run.isTalking = environmentVariable("TANDEM_LAB_TALK") != nil
            do {
                try story.body(run)
                let remains = try lab.wipe()
                guard remains.isEmpty else {
                    throw LabError("the story left behind: \(remains.joined(separator: "; "))")
                }
                print("ok      \(story.name)  (\(LabClock.now().since(begin).text))")
                for line in run.figures { print("        \(line)") }
            } catch {
                print("FAILED  \(story.name): \(error)")
                for line in run.lines where !run.isTalking { print("        \(line)") }
                printLogs()
                failed.append(story.name)
                if keep {
                    print("        kept: \(lab.place.directory.path)")
                    break
                }
                _ = try lab.wipe()
            }
            fflush(nil)
        }
        for name in failed { print("again: Tools/parts/vm short '\(name)'") }
        print("\(stories.count - failed.count) passed, \(failed.count) failed, 0 skipped")
        return failed.isEmpty
    }

    /// The last words of every daemon.
    private func printLogs() {
        for name in VirtualLab.machineNames {
            let log = TextFile.read(lab.place.port(1, of: name)) ?? ""
            for line in log.split(separator: "\n").suffix(25) { print("        \(name)| \(line)") }
        }
    }
}
