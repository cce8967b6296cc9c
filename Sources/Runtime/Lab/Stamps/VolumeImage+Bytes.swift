import CLinux
import Glibc

/// A copy of a volume, read from outside, and comparisons of two.
public struct VolumeImage: ~Copyable, Sendable {
    private let file: Int32
    private let path: String

    /// Opens a backing file for reading.
    public init(_ path: String) throws(LabError) {
        let number = clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard number >= 0 else { throw LabError("open \(path)", code: errno) }
        file = number
        self.path = path
        // The daemon writes around the page cache.
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
    }

    deinit { close(file) }

    /// What stamped block number `block` holds.
    public borrowing func content(of block: UInt64) throws(LabError) -> StampedBlock.Content {
        StampedBlock.content(of: try words(of: block))
    }

    /// The 512 words of block number `block`.
    public borrowing func words(of block: UInt64) throws(LabError) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: StampedBlock.wordCount)
        let file = self.file
        let count = words.withUnsafeMutableBytes {
            pread(file, $0.baseAddress, StampedBlock.size, off_t(block) * off_t(StampedBlock.size))
        }
        guard count == StampedBlock.size else {
            throw LabError("read block \(block) of \(path)", code: errno)
        }
        return words
    }

    /// The 4 KiB blocks in which two files differ, the first `most` of them, and how many in all.
    ///
    /// Files of different length differ in all that one of them lacks.
    public static func differences(
        _ left: String, _ right: String, most: Int = 16
    ) throws(LabError) -> (count: Int, first: [UInt64]) {
        let one = try VolumeImage(left)
        let two = try VolumeImage(right)
        let size = 1 << 20
        var first = [UInt8](repeating: 0, count: size)
        var second = first
        var count = 0
        var blocks: [UInt64] = []
        var offset = 0
        while true {
            let got = pread(one.file, &first, size, off_t(offset))
            let other = pread(two.file, &second, size, off_t(offset))
            guard got >= 0, other >= 0 else { throw LabError("read \(got < 0 ? left : right)", code: errno) }
            let longest = max(got, other)
            if longest == 0 { return (count, blocks) }
            for begin in stride(from: 0, to: longest, by: StampedBlock.size) {
                let end = min(begin + StampedBlock.size, longest)
                let isEqual = first[begin..<end].withUnsafeBytes { left in
                    second[begin..<end].withUnsafeBytes { right in
                        guard let left = left.baseAddress, let right = right.baseAddress else { return true }
                        return memcmp(left, right, end - begin) == 0
                    }
                }
                if end <= min(got, other) && isEqual { continue }
                count += 1
                if blocks.count < most { blocks.append(UInt64(offset + begin) / UInt64(StampedBlock.size)) }
            }
            offset += longest
        }
    }
}
