import Basics

/// Bodies whose wholeness shows: whose they are, filler, and a checksum of all of it at the end.
enum LoadBody {
    private static let filler: [UInt8] = {
        var generator = SeededGenerator(seed: 7)
        return (0..<(512 << 10)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    }()
    private static let sumLength = 8

    /// A body for the request of that number with about `count` bytes of filler, at most 256 KiB.
    static func make(_ id: UInt64, count: Int) -> [UInt8] {
        var body = Array("id=\(id);".utf8)
        let start = Int(id % 262_144)
        body += filler[start..<start + min(count, 262_144)]
        return body + sum(body[...])
    }

    /// Whether the body is whole and belongs to the request.
    static func holds(_ body: [UInt8], _ id: UInt64) -> Bool {
        body.starts(with: Array("id=\(id);".utf8)) && isWhole(body)
    }

    /// Whether the checksum at the end is that of the rest.
    static func isWhole(_ body: [UInt8]) -> Bool {
        guard body.count > sumLength else { return false }
        return Array(body.suffix(sumLength)) == sum(body.dropLast(sumLength))
    }

    private static func sum(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        let digits = String(Checksum.crc32c(bytes), radix: 16)
        return Array((String(repeating: "0", count: sumLength - digits.count) + digits).utf8)
    }
}
