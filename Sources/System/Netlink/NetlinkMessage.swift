/// Builds one netlink message: header, fixed part, attributes, nested ones closed in order. Host byte order,
/// as the kernel wants it, unless a value says "network".
struct NetlinkMessage {
    static let headerLength = 16

    private(set) var bytes: [UInt8]
    private var open: [Int] = []

    /// `type` and `flags` as in linux/netlink.h; the length is filled in by `finished`.
    init(type: UInt16, flags: UInt16, sequence: UInt32) {
        bytes = []
        append(UInt32(0))
        append(type)
        append(flags)
        append(sequence)
        append(UInt32(0))
    }

    mutating func append(_ value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    mutating func append(network value: some FixedWidthInteger) { append(value.bigEndian) }

    mutating func append(_ content: [UInt8]) { bytes += content }

    mutating func attribute(_ type: UInt16, _ content: [UInt8]) {
        append(UInt16(4 + content.count))
        append(type)
        append(content)
        pad()
    }

    mutating func attribute(_ type: UInt16, _ value: some FixedWidthInteger) {
        beginNested(type, flag: 0)
        append(value)
        endNested()
    }

    mutating func attribute(_ type: UInt16, network value: some FixedWidthInteger) {
        attribute(type, value.bigEndian)
    }

    /// A text with its zero byte.
    mutating func attribute(_ type: UInt16, text: String) { attribute(type, Array(text.utf8) + [0]) }

    /// Begins an attribute that holds attributes; `flag` is NLA_F_NESTED.
    mutating func beginNested(_ type: UInt16, flag: UInt16 = 0x8000) {
        open.append(bytes.count)
        append(UInt16(0))
        append(type | flag)
    }

    mutating func endNested() {
        let start = open.removeLast()
        put(UInt16(bytes.count - start), at: start)
        pad()
    }

    private mutating func pad() { while !bytes.count.isMultiple(of: 4) { bytes.append(0) } }

    private mutating func put(_ value: UInt16, at offset: Int) {
        bytes[offset] = UInt8(truncatingIfNeeded: value)
        bytes[offset + 1] = UInt8(value >> 8)
    }

    /// The message with its length; all nested attributes must have been ended.
    var finished: [UInt8] {
        precondition(open.isEmpty, "a nested attribute was not ended")
        var result = self
        result.put(UInt16(bytes.count), at: 0)
        return result.bytes
    }
}

/// Reads one netlink message, or the attributes in a slice of one. Damaged lengths end the reading, never
/// trap.
struct NetlinkReply {
    var type: UInt16
    var flags: UInt16
    var sequence: UInt32
    /// What follows the header.
    var body: [UInt8]

    static let done: UInt16 = 3
    static let error: UInt16 = 2
    static let interruptedFlag: UInt16 = 0x10

    /// The errno of an error message, 0 for an acknowledgement; nil for any other message.
    var errorCode: Int32? {
        guard type == Self.error, body.count >= 4 else { return nil }
        return -Int32(bitPattern: Self.word(body, 0))
    }

    /// The messages in what one receive gave.
    static func all(in bytes: [UInt8]) -> [NetlinkReply] {
        var replies: [NetlinkReply] = []
        var offset = 0
        while offset + NetlinkMessage.headerLength <= bytes.count {
            let length = Int(word(bytes, offset))
            guard length >= NetlinkMessage.headerLength, offset + length <= bytes.count else { break }
            replies.append(
                NetlinkReply(
                    type: half(bytes, offset + 4), flags: half(bytes, offset + 6),
                    sequence: word(bytes, offset + 8),
                    body: Array(bytes[(offset + NetlinkMessage.headerLength)..<(offset + length)])))
            offset += (length + 3) & ~3
        }
        return replies
    }

    /// The attributes after a fixed part of `skip` bytes, by type; of two of one type the later one.
    func attributes(after skip: Int) -> [UInt16: [UInt8]] {
        var found: [UInt16: [UInt8]] = [:]
        var offset = skip
        while offset + 4 <= body.count {
            let length = Int(Self.half(body, offset))
            guard length >= 4, offset + length <= body.count else { break }
            found[Self.half(body, offset + 2) & 0x3FFF] = Array(body[(offset + 4)..<(offset + length)])
            offset += (length + 3) & ~3
        }
        return found
    }

    static func half(_ bytes: [UInt8], _ offset: Int) -> UInt16 {
        guard offset + 2 <= bytes.count else { return 0 }
        return UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8
    }

    static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        UInt32(half(bytes, offset)) | UInt32(half(bytes, offset + 2)) << 16
    }

    /// A text attribute without its zero byte.
    static func text(_ bytes: [UInt8]?) -> String {
        String(decoding: (bytes ?? []).prefix { $0 != 0 }, as: UTF8.self)
    }
}
