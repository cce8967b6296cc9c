import Basics
import Quorum

extension WitnessRequest {
    private enum Code: UInt8 {
        case hello = 1
        case read, change, renew, create
        // 6 is not given to anything again: it overwrote a record from afar.
        case told = 7
        case release, list
    }

    /// The message with its length before it: what is sent. A name that is none is the caller's fault.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 160)
        switch self {
        case .hello(let hello):
            writer.write(Code.hello.rawValue)
            ProtocolVersion.encode(into: &writer)
            writer.write(hello.node.rawValue)
            writer.write(hello.cluster)
            writer.write(hello.life)
        case .read(let group):
            Self.begin(.read, group, &writer)
        case .change(let group, let request):
            Self.begin(.change, group, &writer)
            request.encode(into: &writer)
        case .renew(let group, let renewal):
            Self.begin(.renew, group, &writer)
            writer.write(renewal.sequence)
            writer.write(renewal.epoch)
            writer.write(renewal.grant)
            writer.write(renewal.heardPeer)
            writer.write(renewal.isRestarted)
        case .create(let group, let record):
            Self.begin(.create, group, &writer)
            record.encode(into: &writer)
        case .told(let group, let record):
            Self.begin(.told, group, &writer)
            record.encode(into: &writer)
        case .release(let group, let epoch, let grant):
            Self.begin(.release, group, &writer)
            writer.write(epoch)
            writer.write(grant)
        case .list:
            writer.write(Code.list.rawValue)
        }
        return WitnessMessage.prefixed(writer.bytes)
    }

    private static func begin(_ code: Code, _ group: String, _ writer: inout ByteWriter) {
        writer.write(code.rawValue)
        writer.write(groupName: group)
    }

    /// The request of a message, without the length before it. Bytes too few or too many are refused.
    public static func decode(_ message: [UInt8]) throws(FrameError) -> WitnessRequest {
        guard let first = message.first else { throw .malformed }
        guard let code = Code(rawValue: first) else { throw .unknownKind(first) }
        var reader = ByteReader(message, from: 1)
        let request: WitnessRequest?
        switch code {
        case .hello: request = try decodeHello(from: &reader)
        case .list: request = .list
        default: request = decodeGroupRequest(code, from: &reader)
        }
        guard let request, reader.isComplete else { throw .malformed }
        return request
    }

    private static func decodeHello(from reader: inout ByteReader) throws(FrameError) -> WitnessRequest? {
        try ProtocolVersion.check(&reader)
        guard let node = NodeIndex(rawValue: reader.readUInt8()) else { return nil }
        let cluster = reader.readUInt64()
        return .hello(WitnessHello(cluster: cluster, node: node, life: reader.readMark()))
    }

    private static func decodeGroupRequest(_ code: Code, from reader: inout ByteReader) -> WitnessRequest? {
        let group = reader.readGroupName()
        switch code {
        case .hello, .list: return nil
        case .read: return .read(group: group)
        case .change: return ArbiterRequest(from: &reader).map { .change(group: group, $0) }
        case .renew:
            let sequence = reader.readUInt64()
            let epoch = reader.readUInt64()
            let grant = reader.readMark()
            let heardPeer = reader.readBool()
            return .renew(
                group: group,
                LeaseRenewal(
                    sequence: sequence, epoch: epoch, grant: grant, heardPeer: heardPeer,
                    isRestarted: reader.readBool()))
        case .create: return ArbiterRecord(from: &reader).map { .create(group: group, $0) }
        case .told: return ArbiterRecord(from: &reader).map { .told(group: group, $0) }
        case .release:
            let epoch = reader.readUInt64()
            return .release(group: group, epoch: epoch, grant: reader.readMark())
        }
    }
}
