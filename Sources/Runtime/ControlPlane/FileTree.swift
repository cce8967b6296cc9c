import Glibc
public import LinuxSystem

/// Directories of the daemons' own.
public enum FileTree {
    /// Makes a directory with those above it; one that is there is left as it is.
    public static func makeDirectory(_ path: String, mode: UInt32) throws(SystemError) {
        if access(path, F_OK) == 0 { return }
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try makeDirectory(String(path[..<slash]), mode: mode)
        }
        guard mkdir(path, mode_t(mode)) == 0 || errno == EEXIST else {
            throw SystemError(operation: "make directory", subject: path, code: errno)
        }
    }
}
