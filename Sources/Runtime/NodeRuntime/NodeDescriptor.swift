import Glibc
import LinuxSystem

extension Descriptor {
    /// Another number for the same open file, closed on exec.
    func duplicate() throws(SystemError) -> Descriptor {
        let number = fcntl(raw, F_DUPFD_CLOEXEC, 3)
        guard number >= 0 else {
            throw SystemError(operation: "duplicate", subject: "a descriptor", code: errno)
        }
        return Descriptor(adopting: number)
    }
}
