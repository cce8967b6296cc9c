public import Basics

extension Settings {
    /// An IPv4 or IPv6 address, as its 4 or 16 bytes in network order.
    public struct IPAddress: Sendable, Hashable {
        /// 4 or 16 bytes.
        public let bytes: [UInt8]

        /// The address of 4 or 16 bytes; nil for another count.
        public init?(bytes: [UInt8]) {
            guard bytes.count == 4 || bytes.count == 16 else { return nil }
            self.bytes = bytes
        }

        /// The address written as `text`: dotted quad (RFC 6943 strict form) or RFC 4291 section 2.2; no zone.
        public init?(_ text: String) {
            guard let bytes = text.contains(":") ? Self.version6(text) : Self.version4(text) else {
                return nil
            }
            self.bytes = bytes
        }

        /// Whether it is an IPv4 address.
        public var isVersion4: Bool { bytes.count == 4 }

        /// The same as the elector and the address step take it; nil for IPv6.
        public var version4: IPv4Address? { IPv4Address(bytes: bytes) }

        /// 32 or 128.
        public var bitCount: Int { bytes.count * 8 }

        /// 0.0.0.0 or ::.
        public var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }

        /// Whether it is a multicast address.
        public var isMulticast: Bool { isVersion4 ? bytes[0] >> 4 == 14 : bytes[0] == 0xFF }
    }
}

extension Settings.IPAddress {
    private static func version4(_ text: some StringProtocol) -> [UInt8]? {
        IPv4Address(parsing: text)?.bytes
    }

    private static func version6(_ text: String) -> [UInt8]? {
        let halves = text.split(separator: "::", omittingEmptySubsequences: false).map(String.init)
        guard halves.count <= 2, let head = groups(halves[0], last: halves.count == 1) else { return nil }
        guard halves.count == 2 else { return head.count == 16 ? head : nil }
        guard let tail = groups(halves[1], last: true), head.count + tail.count <= 14 else { return nil }
        return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
    }

    /// The bytes of `a:b:c`; where the address ends with it (`last`), its last part may be a dotted quad.
    private static func groups(_ text: String, last: Bool) -> [UInt8]? {
        guard !text.isEmpty else { return [] }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var bytes: [UInt8] = []
        for (index, part) in parts.enumerated() {
            if last, index == parts.count - 1, part.contains(".") {
                guard let quad = version4(part) else { return nil }
                bytes += quad
            } else {
                guard (1...4).contains(part.count), part.allSatisfy(\.isHexDigit),
                    part.utf8.count == part.count,
                    let group = UInt16(part, radix: 16)
                else { return nil }
                bytes += [UInt8(group >> 8), UInt8(group & 0xFF)]
            }
        }
        return bytes
    }
}

extension Settings.IPAddress: CustomStringConvertible {
    /// Dotted quad, or the form of RFC 5952: small letters, the longest run of zero groups as `::`.
    public var description: String {
        if isVersion4 { return bytes.map { String($0) }.joined(separator: ".") }
        let groups = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        var longest = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start >= 2, end - start > longest.count { longest = start..<end }
            start = max(end, start + 1)
        }
        let text = { (range: Range<Int>) in groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        return longest.isEmpty
            ? text(0..<8) : text(0..<longest.lowerBound) + "::" + text(longest.upperBound..<8)
    }
}
