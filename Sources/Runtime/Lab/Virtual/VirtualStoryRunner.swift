import Basics
import Glibc

/// Runs stories in virtual machines one after the other, each in a lab of its own.
public struct VirtualStoryRunner {
    let lab: VirtualLab
    /// Keep the lab of a story that failed.
    let keep: Bool
    /// How many times a story that can be repeated does what it is about.
    let repeats: Int

    public init(lab: VirtualLab, keep: Bool, repeats: Int = 1) {
        self.lab = lab
        self.keep = keep
        self.repeats = repeats
    }

    /// Runs them; false when one failed. The last line is `N passed, N failed, N skipped`.
    public func run(_ stories: [VirtualStory]) throws(LabError) -> Bool {
        var failed: [String] = []
        for story in stories {
            let begin = LabClock.now()
            let run = VirtualStoryRun(lab: lab)
            run.repeats = repeats
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

    /// Runs deliberate breaks; false when one was not found. A line each, `found NAME what`, and the last line as above.
    public func run(_ breaks: [VirtualBreak]) throws(LabError) -> Bool {
        var missed = 0
        for one in breaks {
            let begin = LabClock.now()
            var broken = lab
            broken.mistake = one.mistake
            let run = VirtualStoryRun(lab: broken)
            run.isTalking = environmentVariable("TANDEM_LAB_TALK") != nil
            var outcome = "nothing was noticed"
            var isFound = false
            do {
                try one.prepare(run)
                do {
                    try one.judge(run)
                } catch {
                    isFound = true
                    outcome = "\(error)"
                }
            } catch {
                outcome = "the story did not come so far: \(error)"
            }
            if !isFound {
                missed += 1
                for line in run.lines where !run.isTalking { print("        \(line)") }
            }
            let name = one.name + String(repeating: " ", count: max(1, 28 - one.name.utf8.count))
            print(
                "\(isFound ? "found    " : "not found")  \(name)\(outcome)  \(LabClock.now().since(begin).text)"
            )
            fflush(nil)
            _ = try lab.wipe()
        }
        print("\(breaks.count - missed) passed, \(missed) failed, 0 skipped")
        return missed == 0
    }

    /// The last words of every daemon.
    private func printLogs() {
        for name in VirtualLab.machineNames {
            let log = TextFile.read(lab.place.port(1, of: name)) ?? ""
            for line in log.split(separator: "\n").suffix(25) { print("        \(name)| \(line)") }
        }
    }
}
