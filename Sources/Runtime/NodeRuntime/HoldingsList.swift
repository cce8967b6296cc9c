import Basics
import ControlPlane
import Failover
import LinuxSystem

/// What NFS clients hold, in a file on the volume itself: the next holder reads it, and knows whom to wait for.
///
/// A line each: `locks 3`, `client 2 NAME`. A list that is lost costs a whole grace period and nothing else.
struct HoldingsList {
    private static let name = "nfs-holdings"
    /// Numbers change all the time; each change costs the file system a commit.
    private static let pause = Interval.seconds(2)
    /// What the file says; nil when that is not known.
    private var written: ClientHoldings?
    private var nextWrite = Instant(nanoseconds: 0)

    /// Writes it into a directory on the volume when it has changed: who comes or goes at once, how much each holds after
    /// a pause.
    mutating func update(_ held: ClientHoldings, in directory: String, at now: Instant) {
        guard held != written else { return }
        guard now >= nextWrite || held.states.keys != written?.states.keys else { return }
        do throws(SystemError) {
            try FileTree.replace("\(directory)/\(Self.name)", with: Array(Self.text(held).utf8))
            written = held
            nextWrite = now + Self.pause
        } catch {
            // A full or failing file system tells it elsewhere; the list is tried again.
            written = nil
        }
    }

    static func text(_ held: ClientHoldings) -> String {
        "locks \(held.locks)\n"
            + held.states.map { "client \($0.value) \($0.key)\n" }.sorted().joined()
    }

    /// What the last holder wrote down; nil when there is no whole list.
    static func read(in directory: String) -> ClientHoldings? {
        guard let text = try? SmallFile.read("\(directory)/\(name)") else { return nil }
        return parse(text)
    }

    static func parse(_ text: String) -> ClientHoldings? {
        var held = ClientHoldings()
        var hasLocks = false
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count >= 2, let count = Int(words[1]) else { return nil }
            switch (words[0], words.count) {
            case ("locks", 2):
                held.locks = count
                hasLocks = true
            case ("client", 3): held.states[String(words[2])] = count
            default: return nil
            }
        }
        return hasLocks && text.hasSuffix("\n") ? held : nil
    }
}
