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
}
