/// Why bytes from the network were not taken. Each case's text says in a sentence what was found; the connection ends.
public enum FrameError: Error, Sendable, Hashable {
    /// The bytes do not begin a frame of Tandem's.
    case foreign
    case unsupportedVersion(theirs: UInt16, ours: UInt16)
    /// The other side requires features that this one does not know; both feature words.
    case unsupportedFeatures(theirs: UInt32, ours: UInt32)
    /// A kind of frame or message that there is none of.
    case unknownKind(UInt8)
    /// A length or count beyond the stated maximum.
    case tooLong(found: UInt64, maximum: UInt64)
    /// The bytes ended before the values did, or went on after them, or a value is none that is allowed.
    case malformed
    /// The checksum does not fit: the bytes were altered on the way.
    case damaged
}

extension FrameError: CustomStringConvertible {
    /// One sentence for the operator.
    public var description: String {
        switch self {
        case .foreign:
            "the other side does not speak Tandem's protocol"
        case .unsupportedVersion(let theirs, let ours):
            "the other side speaks protocol version \(theirs) and this one version \(ours)"
        case .unsupportedFeatures(let theirs, let ours):
            "the other side uses features 0x\(String(theirs, radix: 16)) and this one knows"
                + " 0x\(String(ours, radix: 16)) only"
        case .unknownKind(let kind):
            "the other side sent a message of kind \(kind), which there is none of"
        case .tooLong(let found, let maximum):
            "the other side sent a length of \(found) where at most \(maximum) is allowed"
        case .malformed:
            "the other side sent a message whose contents are not allowed"
        case .damaged:
            "a message was altered on the way: its checksum does not fit"
        }
    }
}
