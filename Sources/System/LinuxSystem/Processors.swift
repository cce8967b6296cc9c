import Glibc

/// The machine's processors.
public enum Processors {
    /// How many are online; 1 when the machine does not say.
    public static var count: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
