import CLinux
import ControlPlane
import Glibc
import LinuxSystem
import WireFormat

/// The witness's records on disk: one file a group, replaced durably (`Docs/Formats/witness.md`).
///
/// While it lives no other witness can use the directory.
struct WitnessStore: ~Copyable {
    let directory: String
    private let cluster: UInt64
    private let disk: WitnessDisk
    private let lock: Descriptor

    /// Takes the directory for this process, made if it is missing.
    init(directory: String, cluster: UInt64, disk: WitnessDisk) throws(WitnessError) {
        lock = try Self.locked(directory)
        self.directory = directory
        self.cluster = cluster
        self.disk = disk
    }

    private static func locked(_ directory: String) throws(WitnessError) -> Descriptor {
        do throws(SystemError) { try FileTree.makeDirectory(directory, mode: 0o700) } catch {
            throw failure(error)
        }
        let path = directory + "/lock"
        let number = clinux_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard number >= 0 else {
            throw failure(SystemError(operation: "open", subject: path, code: errno))
        }
        let lock = Descriptor(adopting: number)
        guard clinux_lock_exclusive(lock.raw) == 0 else {
            if errno == EWOULDBLOCK { throw .alreadyRunning(directory: directory) }
            throw .system(SystemError(operation: "flock", subject: path, code: errno))
        }
        return lock
    }

    private static func failure(_ error: SystemError) -> WitnessError {
        let isForbidden = error.code == EACCES || error.code == EPERM || error.code == EROFS
        return isForbidden ? .notPermitted(path: error.subject) : .system(error)
    }

    private func path(_ group: String) -> String { "\(directory)/\(group).record" }

    /// The stored record of a group; nil when there is none. One that is damaged or foreign is an error, never none.
    func load(_ group: String) throws(WitnessError) -> WitnessRecordFile? {
        let path = path(group)
        let number = clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard number >= 0 else {
            if errno == ENOENT { return nil }
            if errno == EACCES { throw .notPermitted(path: path) }
            throw .system(SystemError(operation: "open", subject: path, code: errno))
        }
        let file = Descriptor(adopting: number)
        var bytes = [UInt8](repeating: 0, count: WitnessRecordFile.byteCount + 1)
        let count = read(file.raw, &bytes, bytes.count)
        guard count >= 0 else {
            throw .system(SystemError(operation: "read", subject: path, code: errno))
        }
        let stored: WitnessRecordFile
        do throws(WitnessRecordError) {
            stored = try WitnessRecordFile.decode(Array(bytes[..<count]))
        } catch {
            throw .badRecord(path: path, error)
        }
        guard stored.cluster == cluster, stored.group == group else { throw .foreignRecord(path: path) }
        return stored
    }

    /// Makes the record durable. On an error the old one stands, or the new one does.
    func store(_ record: WitnessRecordFile) throws(SystemError) {
        let bytes = record.encoded()
        var omitted: Set<FileTree.ReplaceCall> = []
        if disk.omitted.contains(.record) { omitted.insert(.synced) }
        if disk.omitted.contains(.recordName) { omitted.insert(.nameSynced) }
        try FileTree.replace(path(record.group), with: bytes, omitting: omitted) { call in
            switch call {
            case .written: disk.recorder?(.written(bytes))
            case .synced: disk.recorder?(.synced(.record))
            case .renamed: disk.recorder?(.renamed)
            case .nameSynced: disk.recorder?(.synced(.recordName))
            }
        }
    }
}
