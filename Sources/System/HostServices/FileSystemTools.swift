public import Basics
import Glibc
public import LinuxSystem

/// How a file-system check went.
public enum FileSystemCheck: Sendable, Hashable {
    /// The superblock does not ask for one, or the type has none that we run.
    case notNeeded
    /// Clean, or corrected without a question.
    case clean(corrected: Bool)
    /// e2fsck could not repair it without a person: the file system must not be mounted.
    case failed(CommandResult)
}

/// The distribution's tools for file systems.
public struct FileSystemTools: Sendable {
    public let runner: CommandRunner

    public init(runner: CommandRunner = CommandRunner()) { self.runner = runner }

    private static let extendedTypes = ["ext2", "ext3", "ext4"]

    /// Makes a file system, over whatever is there. Throws ENOENT when mkfs.TYPE is not installed.
    public func make(_ type: String, on device: String, options: [String] = [], deadline: Interval)
        throws(SystemError) -> CommandResult
    {
        let quiet = Self.extendedTypes.contains(type) ? ["-q", "-F"] : []
        return try runner.run(["mkfs.\(type)"] + quiet + options + [device], deadline: deadline)
    }

    /// The type of what is on a device, by blkid's probe; nil for nothing known.
    public func type(of device: String, deadline: Interval) throws(SystemError) -> String? {
        let result = try runner.run(["blkid", "-p", "-o", "value", "-s", "TYPE", device], deadline: deadline)
        let word = result.output.split(whereSeparator: \.isNewline).first.map(String.init)
        return result.isSuccess ? word : nil
    }

    /// Runs `e2fsck -p` when the superblock asks for more than its journal's replay. `cancel`: see
    /// `CommandRunner`.
    public func checkIfNeeded(_ type: String, on device: String, deadline: Interval, cancel: Int32? = nil)
        throws(SystemError) -> FileSystemCheck
    {
        guard Self.extendedTypes.contains(type) else { return .notNeeded }
        guard let superblock = try ExtendedSuperblock.read(device) else {
            throw SystemError(operation: "no \(type) file system on", subject: device, code: EINVAL)
        }
        guard superblock.asksForCheck else { return .notNeeded }
        let result = try runner.run(["e2fsck", "-p", device], deadline: deadline, cancel: cancel)
        // e2fsck(8): 0 clean, 1 corrected; 2 wants a reboot, which concerns a mounted root only.
        switch result.end {
        case .exited(0): return .clean(corrected: false)
        case .exited(1), .exited(2), .exited(3): return .clean(corrected: true)
        case .exited, .signalled, .timedOut, .cancelled, .unresponsive: return .failed(result)
        }
    }
}
