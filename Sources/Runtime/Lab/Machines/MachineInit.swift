import Basics
import CLinux
import Glibc

/// What runs as the first process of a machine: makes its mounts, then reaps whatever dies.
public enum MachineInit {
    /// Does not return while the machine lives.
    public static func run(name: String, directory: LabDirectory) throws(LabError) {
        guard getpid() == 1 else {
            throw LabError("machine: only the lab itself runs this, as a first process")
        }
        let host = "tandem-\(directory.mark)-\(name)"
        guard sethostname(host, host.utf8.count) == 0 else {
            throw LabError("set the host name", code: errno)
        }
        for place in ["/run", "/srv", "/dev"] {
            try mount("tmpfs", on: place, type: "tmpfs", data: "mode=755")
        }
        try TextFile.makeDirectory(LabDirectory.diskInside)
        try mount(directory.disk(name), on: LabDirectory.diskInside, type: "", flags: UInt(MS_BIND))
        try mount("sysfs", on: "/sys", type: "sysfs")
        // Not on every kernel; the product does without.
        _ = Glibc.mount("fusectl", "/sys/fs/fuse/connections", "fusectl", 0, nil)
        try makeDevices()
        try TextFile.makeDirectory("/run/tandem")
        try TextFile.makeDirectory("/dev/tandem")
        try TextFile.write("\(getpid())\n", to: directory.machine(name) + "/ready")
        clinux_lab_hold_stop_signals()
        var status: Int32 = 0
        while clinux_lab_stop_requested() == 0 {
            // No child: wait for one to be adopted.
            if waitpid(-1, &status, 0) < 0 { LabClock.nap(.milliseconds(50)) }
        }
    }

    private static func mount(
        _ source: String, on target: String, type: String, flags: UInt = 0, data: String? = nil
    ) throws(LabError) {
        guard Glibc.mount(source, target, type, flags, data) == 0 else {
            throw LabError("mount \(source) on \(target)", code: errno)
        }
    }

    private static func makeDevices() throws(LabError) {
        let characters: [(String, UInt32, UInt32)] = [
            ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9),
            ("tty", 5, 0),
            ("fuse", 10, 229), ("loop-control", 10, 237),
        ]
        for (name, major, minor) in characters
        where clinux_lab_make_node("/dev/\(name)", 0, major, minor) != 0 {
            throw LabError("make /dev/\(name)", code: errno)
        }
        for number in 0..<64 as Range<UInt32>
        where clinux_lab_make_node("/dev/loop\(number)", 1, 7, number) != 0 {
            throw LabError("make /dev/loop\(number)", code: errno)
        }
        symlink("/proc/self/fd", "/dev/fd")
        symlink("/proc/self/fd/1", "/dev/stdout")
        symlink("/proc/self/fd/2", "/dev/stderr")
        try TextFile.makeDirectory("/dev/shm")
    }
}
