import Basics
import Glibc
import LinuxSystem

/// A running process and what it was started with.
struct FoundProcess: Sendable, Hashable {
    var identifier: Int32
    /// Its command line.
    var words: [String]
}

/// Processes by the names of their programs, found in one pass over /proc.
enum ProcessSearch {
    /// The running processes with one of these names (at most 15 bytes each), by name.
    static func find(_ names: [String]) throws(SystemError) -> [String: [FoundProcess]] {
        var found: [String: [FoundProcess]] = [:]
        for process in try KernelFiles.names(in: "/proc").compactMap({ Int32($0) }) {
            // Its name first, which never waits for the process. One that ends while it is looked at is none.
            guard let short = try? KernelFiles.read("/proc/\(process)/comm") else { continue }
            let name = String(decoding: short.dropLast(), as: UTF8.self)
            guard names.contains(name), let line = try? KernelFiles.read("/proc/\(process)/cmdline") else {
                continue
            }
            let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            // One that has ended and was not waited for yet has no command line.
            guard !words.isEmpty else { continue }
            found[name, default: []].append(FoundProcess(identifier: process, words: words))
        }
        return found
    }

    /// Ends the processes of these names that were started with that word, and waits until they have ended. None is a
    /// success. Throws ETIMEDOUT for one that hangs in the kernel.
    static func end(_ names: [String], withWord word: String, within limit: Interval) throws(SystemError) {
        let begin = Instant.now()
        let gentle = begin + Interval(nanoseconds: limit.nanoseconds / 2)
        let known = try find(names).values.joined().filter { $0.words.contains(word) }.map(\.identifier)
        while case let left = known.filter(isAlive), !left.isEmpty {
            let now = Instant.now()
            guard now < begin + limit else {
                throw SystemError(
                    operation: "stop \(names[0])", subject: "process \(left[0])", code: ETIMEDOUT)
            }
            for process in left { _ = kill(process, now < gentle ? SIGTERM : SIGKILL) }
            var poll = PollSet()
            try poll.wait(until: now + .milliseconds(5))
        }
    }

    /// One that has ended and was not waited for yet holds nothing: it has no command line any more.
    private static func isAlive(_ process: Int32) -> Bool {
        guard let line = try? KernelFiles.read("/proc/\(process)/cmdline") else { return false }
        return !line.isEmpty
    }
}
