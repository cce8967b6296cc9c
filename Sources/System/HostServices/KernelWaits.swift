import Basics
public import LinuxSystem

/// What hangs in the kernel of this machine at this moment: tasks in the state D, which no signal reaches.
///
/// Reads files that never wait for the task that they tell of (`stat` and `wchan`, proc(5)). Any thread.
public enum KernelWaits {
    /// As many as a line of the journal can hold.
    static let limit = 8

    /// One "NAME in FUNCTION" for each such process, and for each such thread of this one: "nfsd in
    /// folio_wait_bit_common". Without root, FUNCTION is 0.
    public static func list() throws(SystemError) -> [String] {
        try list(under: ["/proc/self/task", "/proc"])
    }

    static func list(under directories: [String]) throws(SystemError) -> [String] {
        var found: [String] = []
        for directory in directories {
            for task in try KernelFiles.names(in: directory) where task.allSatisfy(\.isNumber) {
                guard found.count < limit else { return found }
                // One that ends while it is looked at waits for nothing.
                guard let name = waiting(text("\(directory)/\(task)/stat")) else { continue }
                let line = "\(name) in \(text("\(directory)/\(task)/wchan"))"
                if !found.contains(line) { found.append(line) }
            }
        }
        return found
    }

    /// The name in a `stat` whose state is D: "12 (a name) D 2 ...".
    private static func waiting(_ stat: String) -> String? {
        guard let open = stat.firstIndex(of: "("), let close = stat.lastIndex(of: ")"),
            stat[close...].hasPrefix(") D ")
        else { return nil }
        return String(stat[stat.index(after: open)..<close])
    }

    private static func text(_ path: String) -> String {
        guard let bytes = try? KernelFiles.read(path) else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }
}
