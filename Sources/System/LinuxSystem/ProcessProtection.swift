import CLinux
import Glibc

/// What keeps memory pressure from stopping the process that memory is written back through.
///
/// Call it before the first thread starts: the I/O flusher mark is each thread's own and inherited.
public enum ProcessProtection {
    /// Locks memory, marks the thread as an I/O flusher, exempts the process from the OOM killer. Each is best
    /// effort; returns what was not permitted.
    public static func apply() -> [SystemError] {
        var failures: [SystemError] = []
        if clinux_lock_memory() != 0 {
            failures.append(SystemError(operation: "mlockall", subject: "", code: errno))
        }
        if clinux_become_io_flusher() != 0 {
            failures.append(SystemError(operation: "prctl", subject: "PR_SET_IO_FLUSHER", code: errno))
        }
        do { try SmallFile.write("-1000", to: "/proc/self/oom_score_adj") } catch { failures.append(error) }
        return failures
    }

    /// Moves the calling thread out of the way of the others: nice 10, idle I/O class. Best effort.
    public static func yieldToOthers() -> [SystemError] {
        var failures: [SystemError] = []
        if clinux_set_nice(10) != 0 {
            failures.append(SystemError(operation: "setpriority", subject: "", code: errno))
        }
        if clinux_set_idle_io() != 0 {
            failures.append(SystemError(operation: "ioprio_set", subject: "", code: errno))
        }
        return failures
    }
}
