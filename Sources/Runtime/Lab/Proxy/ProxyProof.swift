import Basics
import Glibc

/// What `Tools/test` counts: what was found to hold, and what was not.
public struct ProxyProof: Sendable {
    public private(set) var passed = 0
    public private(set) var failed = 0
    public private(set) var skipped = 0

    /// Says what was looked at and whether it holds.
    mutating func check(_ holds: Bool, _ what: String) {
        if holds { passed += 1 } else { failed += 1 }
        Self.say("\(holds ? "ok:" : "failed:") \(what)")
    }

    /// The reason begins with a name of Tests/skips.txt.
    mutating func skip(_ reason: String) {
        skipped += 1
        Self.say("skipped: \(reason)")
    }

    /// Counts without a line for each.
    mutating func add(passed: Int, failed: Int) {
        self.passed += passed
        self.failed += failed
    }

    /// The line that `Tools/test` reads, last.
    public func printLine() { Self.say("\(passed) passed, \(failed) failed, \(skipped) skipped") }

    static func say(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = write(1, line, line.count)
    }
}
