/// One kind of load, as fio makes it.
public struct BenchWorkload: Hashable, Sendable {
    public let name: String
    /// fio's word for the pattern.
    let pattern: String
    /// Bytes of a request.
    let block: Int
    let depth: Int
    /// Bytes of the file that are used.
    let area: UInt64
    let flushes: Bool

    static let mebibyte: UInt64 = 1 << 20
    /// Extents of 4 MiB that the bench lets the activity log cover.
    static let activityLogExtents = 32
    /// Bytes that the log covers.
    static let covered = UInt64(activityLogExtents) * 4 * mebibyte

    static let write1 = BenchWorkload("4 KiB random write, depth 1", "randwrite", 4096, 1)
    static let write16 = BenchWorkload("4 KiB random write, depth 16", "randwrite", 4096, 16)
    static let wide = BenchWorkload(
        "4 KiB random write, depth 16, over 4 x the activity log", "randwrite", 4096, 16, area: 4 * covered)
    static let read1 = BenchWorkload("4 KiB random read, depth 1", "randread", 4096, 1)
    static let read16 = BenchWorkload("4 KiB random read, depth 16", "randread", 4096, 16)
    static let streamWrite = BenchWorkload("1 MiB streaming write, depth 4", "write", 1 << 20, 4)
    static let streamRead = BenchWorkload("1 MiB streaming read, depth 4", "read", 1 << 20, 4)
    static let flushed = BenchWorkload("4 KiB random write, fsync each", "randwrite", 4096, 1, flushes: true)

    /// All, in the order of the table.
    static let all = [write1, write16, wide, read1, read16, streamWrite, streamRead, flushed]
    /// Those that a pair of writes and a network can be a floor of.
    static let onNetwork = [write1, write16, streamWrite]

    private init(
        _ name: String, _ pattern: String, _ block: Int, _ depth: Int, area: UInt64 = covered * 3 / 4,
        flushes: Bool = false
    ) {
        self.name = name
        self.pattern = pattern
        self.block = block
        self.depth = depth
        self.area = area
        self.flushes = flushes
    }

    /// The call that loads `file` for that time.
    func fio(_ file: String, milliseconds: UInt64) -> [String] {
        [
            "fio", "--name=load", "--filename=\(file)", "--rw=\(pattern)", "--bs=\(block)",
            "--iodepth=\(depth)",
            "--ioengine=\(depth == 1 ? "psync" : "libaio")", "--direct=1", "--size=\(area)", "--time_based",
            "--runtime=\(milliseconds)ms", "--randrepeat=0", "--norandommap", "--output-format=terse",
            "--terse-version=3",
        ] + (flushes ? ["--fsync=1"] : [])
    }

    /// The call that fills a file before it is measured.
    static func fill(_ file: String) -> [String] {
        [
            "fio", "--name=fill", "--filename=\(file)", "--rw=write", "--bs=1M", "--iodepth=4",
            "--ioengine=libaio",
            "--direct=1", "--size=\(4 * covered)", "--output-format=terse", "--terse-version=3",
        ]
    }

    /// Requests a second of fio's terse output, version 3; nil when fio failed.
    static func requestsPerSecond(_ output: String) -> Double? {
        for line in output.split(separator: "\n") where line.hasPrefix("3;") {
            let fields = line.split(separator: ";", omittingEmptySubsequences: false)
            guard fields.count > 48, fields[4] == "0", let reads = Double(fields[7]),
                let writes = Double(fields[48])
            else { return nil }
            // The 8th field is whole numbers only; bandwidth over block would say no more.
            return reads + writes
        }
        return nil
    }
}
