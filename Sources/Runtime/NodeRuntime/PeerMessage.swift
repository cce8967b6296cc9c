import Basics

/// What a node says of one group each renewal period, on the session between the nodes.
struct PeerSign: Sendable, Equatable {
    var group: String
    /// Whether it is Primary and serves (its requests are not frozen).
    var isServing: Bool
    /// Whether it could become Primary now.
    var isPromotable: Bool
    /// Whether the operator keeps it from becoming Primary by itself.
    var isHeld: Bool
    /// The epoch that it knows, and that epoch's grant; 0 and `none` without a record.
    var epoch: UInt64
    var grant: Mark
    /// Its renewal, which the peer confirms; 0 when it asks for no lease.
    var sequence: UInt64
    /// Whether its promotion is complete: device, mount and address are there.
    var isComplete = false
    /// Whether something on its machine keeps it from serving: a mount point in use, what is left of an old role.
    var isBlocked = false
}

/// What travels on the session between the nodes, inside the sealed channel.
enum PeerMessage: Sendable, Equatable {
    /// First, from both: version, the mark of the settings, the process.
    case hello(version: UInt16, node: NodeIndex, settings: UInt64, life: Mark)
    /// The canonical lines of the sender's settings, where the marks differ.
    case lines([String])
    case sign(PeerSign)
    /// The receiver's renewal is confirmed: the sender will not become holder while the lease lasts.
    case confirmed(group: String, sequence: UInt64)
    /// The sender gave the role up: no need to wait for its lease to end.
    case resigned(group: String)
    /// The next data connection of this group will name that token (`transport: plain`).
    case token(group: String, Mark)
    case tokenTaken(group: String)
    /// The sender's operator wants the group to move to the sender.
    case wanted(group: String)
    /// The sender's operator wants the group to move to the receiver.
    case offered(group: String)
    /// What was asked for does not come true, or the sender's promotion has failed: why, in a sentence.
    case failed(group: String, text: String)
    /// What the operator wants of the servers of the sender's proxy, as its file has it.
    case orders(group: String, text: String)

    static let version: UInt16 = 3
    /// Settings longer than this are compared by their mark alone.
    private static let lineBytesMaximum = 48 << 10

    private enum Code: UInt8 {
        case hello = 1
        case lines, sign, confirmed, resigned, token, tokenTaken, wanted, offered, failed, orders
    }

    var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 96)
        switch self {
        case .hello(let version, let node, let settings, let life):
            writer.write(Code.hello.rawValue)
            writer.write(version)
            writer.write(node.rawValue)
            writer.write(settings)
            writer.write(life)
        case .lines(let lines):
            writer.write(Code.lines.rawValue)
            var used = 0
            for line in lines where used + line.utf8.count + 2 <= Self.lineBytesMaximum {
                used += line.utf8.count + 2
                Self.write(line, &writer)
            }
        case .sign(let sign):
            writer.write(Code.sign.rawValue)
            Self.write(sign.group, &writer)
            writer.write(sign.isServing)
            writer.write(sign.isPromotable)
            writer.write(sign.isHeld)
            writer.write(sign.epoch)
            writer.write(sign.grant)
            writer.write(sign.sequence)
            writer.write(sign.isComplete)
            writer.write(sign.isBlocked)
        case .confirmed(let group, let sequence):
            writer.write(Code.confirmed.rawValue)
            Self.write(group, &writer)
            writer.write(sequence)
        case .resigned(let group): Self.write(.resigned, group, &writer)
        case .token(let group, let mark):
            Self.write(.token, group, &writer)
            writer.write(mark)
        case .tokenTaken(let group): Self.write(.tokenTaken, group, &writer)
        case .wanted(let group): Self.write(.wanted, group, &writer)
        case .offered(let group): Self.write(.offered, group, &writer)
        case .failed(let group, let text):
            Self.write(.failed, group, &writer)
            Self.write(text, &writer)
        case .orders(let group, let text):
            Self.write(.orders, group, &writer)
            Self.write(text, &writer)
        }
        return writer.bytes
    }

    private static func write(_ code: Code, _ group: String, _ writer: inout ByteWriter) {
        writer.write(code.rawValue)
        write(group, &writer)
    }

    private static func write(_ text: String, _ writer: inout ByteWriter) {
        writer.write(UInt16(clamping: text.utf8.count))
        writer.write(Array(text.utf8.prefix(Int(UInt16.max))))
    }

    private static func text(_ reader: inout ByteReader) -> String {
        let count = Int(reader.readUInt16())
        return String(decoding: reader.readBytes(count), as: UTF8.self)
    }

    /// The message of these bytes; nil when they are none.
    init?(_ bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard let code = Code(rawValue: reader.readUInt8()) else { return nil }
        switch code {
        case .hello:
            let version = reader.readUInt16()
            guard let node = NodeIndex(rawValue: reader.readUInt8()) else { return nil }
            let settings = reader.readUInt64()
            self = .hello(version: version, node: node, settings: settings, life: reader.readMark())
        case .lines:
            var lines: [String] = []
            while reader.isValid, reader.remaining > 0 { lines.append(Self.text(&reader)) }
            self = .lines(lines)
        case .sign:
            let group = Self.text(&reader)
            let flags = (reader.readBool(), reader.readBool(), reader.readBool())
            let epoch = reader.readUInt64()
            let grant = reader.readMark()
            let sequence = reader.readUInt64()
            let isComplete = reader.readBool()
            self = .sign(
                PeerSign(
                    group: group, isServing: flags.0, isPromotable: flags.1, isHeld: flags.2, epoch: epoch,
                    grant: grant, sequence: sequence, isComplete: isComplete, isBlocked: reader.readBool()))
        case .confirmed:
            let group = Self.text(&reader)
            self = .confirmed(group: group, sequence: reader.readUInt64())
        case .resigned: self = .resigned(group: Self.text(&reader))
        case .token:
            let group = Self.text(&reader)
            self = .token(group: group, reader.readMark())
        case .tokenTaken: self = .tokenTaken(group: Self.text(&reader))
        case .wanted: self = .wanted(group: Self.text(&reader))
        case .offered: self = .offered(group: Self.text(&reader))
        case .failed:
            let group = Self.text(&reader)
            self = .failed(group: group, text: Self.text(&reader))
        case .orders:
            let group = Self.text(&reader)
            self = .orders(group: group, text: Self.text(&reader))
        }
        guard reader.isComplete else { return nil }
    }
}
