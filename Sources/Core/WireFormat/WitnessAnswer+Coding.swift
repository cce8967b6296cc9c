import Basics
import Quorum

extension WitnessAnswer {
    private enum Code: UInt8 {
        case welcome = 65
        case record, answer, renewed, refusal, groups
    }

    /// The message with its length before it: what is sent. A name or count that cannot be is the caller's fault; a
    /// refusal's text is cut to what fits.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 160)
        switch self {
        case .welcome(let life):
            writer.write(Code.welcome.rawValue)
            ProtocolVersion.encode(into: &writer)
            writer.write(life)
        case .record(let group, let record):
            writer.write(Code.record.rawValue)
            writer.write(groupName: group)
            Self.encode(record, into: &writer)
        case .answer(let group, let identifier, let answer):
            writer.write(Code.answer.rawValue)
            writer.write(groupName: group)
            writer.write(identifier)
            Self.encode(answer, into: &writer)
        case .renewed(let group, let sequence, let confirmed, let lease):
            writer.write(Code.renewed.rawValue)
            writer.write(groupName: group)
            writer.write(sequence)
            writer.write(confirmed)
            writer.write(lease.nanoseconds)
        case .refusal(let reason, let group, let text):
            writer.write(Code.refusal.rawValue)
            writer.write(reason.rawValue)
            if group.isEmpty { writer.write(text: "") } else { writer.write(groupName: group) }
            writer.write(text: Self.cut(text))
        case .groups(let groups):
            precondition(groups.count <= WitnessMessage.groupMaximum, "more groups than a witness keeps")
            writer.write(Code.groups.rawValue)
            writer.write(UInt16(groups.count))
            for group in groups {
                writer.write(groupName: group.name)
                writer.write(group.isRolledBack)
                Self.encode(group.record, into: &writer)
            }
        }
        return WitnessMessage.prefixed(writer.bytes)
    }

    /// The answer of a message, without the length before it. Bytes too few or too many are refused.
    public static func decode(_ message: [UInt8]) throws(FrameError) -> WitnessAnswer {
        guard let first = message.first else { throw .malformed }
        guard let code = Code(rawValue: first) else { throw .unknownKind(first) }
        var reader = ByteReader(message, from: 1)
        let answer: WitnessAnswer?
        switch code {
        case .welcome:
            try ProtocolVersion.check(&reader)
            answer = .welcome(life: reader.readMark())
        case .record:
            let group = reader.readGroupName()
            answer = .record(group: group, decodeRecord(from: &reader))
        case .answer:
            let group = reader.readGroupName()
            let identifier = reader.readMark()
            answer = decodeAnswer(from: &reader).map { .answer(group: group, identifier: identifier, $0) }
        case .renewed:
            let group = reader.readGroupName()
            let sequence = reader.readUInt64()
            let confirmed = reader.readBool()
            answer = .renewed(
                group: group, sequence: sequence, confirmed: confirmed,
                lease: Interval(nanoseconds: reader.readUInt64()))
        case .refusal: answer = decodeRefusal(from: &reader)
        case .groups: answer = try decodeGroups(from: &reader)
        }
        guard let answer, reader.isComplete else { throw .malformed }
        return answer
    }

    /// As many whole characters as fit.
    private static func cut(_ text: String) -> String {
        var text = text
        while text.utf8.count > WitnessMessage.textMaximum { text.removeLast() }
        return text
    }

    private static func encode(_ record: ArbiterRecord?, into writer: inout ByteWriter) {
        writer.write(record != nil)
        record?.encode(into: &writer)
    }

    /// Invalidates the reader if the record is none.
    private static func decodeRecord(from reader: inout ByteReader) -> ArbiterRecord? {
        reader.readBool() ? ArbiterRecord(from: &reader) : nil
    }

    /// 0 and the record for a grant; the refusal's number and what stood then for a refusal.
    private static func encode(_ answer: ArbiterAnswer, into writer: inout ByteWriter) {
        switch answer {
        case .granted(let record):
            writer.write(0 as UInt8)
            record.encode(into: &writer)
        case .refused(let reason, let record):
            writer.write(reason.rawValue)
            encode(record, into: &writer)
        }
    }

    private static func decodeAnswer(from reader: inout ByteReader) -> ArbiterAnswer? {
        let verdict = reader.readUInt8()
        if verdict == 0 { return ArbiterRecord(from: &reader).map { .granted($0) } }
        guard let reason = ArbiterRefusal(rawValue: verdict) else { return nil }
        return .refused(reason, decodeRecord(from: &reader))
    }

    private static func decodeRefusal(from reader: inout ByteReader) -> WitnessAnswer? {
        let reason = WitnessRefusal(rawValue: reader.readUInt8())
        let group = reader.readText()
        let text = reader.readText()
        guard let reason, group.isEmpty || WitnessMessage.isValid(groupName: group) else { return nil }
        return .refusal(reason, group: group, text: text)
    }

    private static func decodeGroups(from reader: inout ByteReader) throws(FrameError) -> WitnessAnswer {
        let count = Int(reader.readUInt16())
        guard count <= WitnessMessage.groupMaximum else {
            throw .tooLong(found: UInt64(count), maximum: UInt64(WitnessMessage.groupMaximum))
        }
        var groups: [WitnessGroup] = []
        while groups.count < count, reader.isValid {
            let name = reader.readGroupName()
            let isRolledBack = reader.readBool()
            groups.append(
                WitnessGroup(name: name, record: decodeRecord(from: &reader), isRolledBack: isRolledBack))
        }
        return .groups(groups)
    }
}
