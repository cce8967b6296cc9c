public import Basics
public import Quorum

/// What requests to the witness and its answers have in common: each travels as a length of 4 bytes and that many
/// bytes of message, inside the sealed session (`Docs/Formats/witness.md`).
public enum WitnessMessage {
    /// Bytes of the length before each message.
    public static let prefixByteCount = 4
    /// The longest message: a list of `groupMaximum` groups.
    public static let byteMaximum = 128 << 10
    /// UTF-8 bytes in a group's name, at least 1.
    public static let groupNameMaximum = 64
    /// Groups that one witness keeps.
    public static let groupMaximum = 1024
    /// UTF-8 bytes in a refusal's text.
    public static let textMaximum = 255

    /// Whether a group can have this name: 1 to 64 bytes of UTF-8, no control character, no "/", no leading ".",
    /// since the witness names a file after it.
    public static func isValid(groupName name: String) -> Bool {
        1...groupNameMaximum ~= name.utf8.count && name.utf8.first != UInt8(ascii: ".")
            && name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") }
    }

    /// The length of the message that follows these 4 bytes.
    public static func length(prefix: [UInt8]) throws(FrameError) -> Int {
        var reader = ByteReader(prefix)
        let length = reader.readUInt32()
        guard reader.isComplete, length > 0 else { throw .malformed }
        guard length <= byteMaximum else {
            throw .tooLong(found: UInt64(length), maximum: UInt64(byteMaximum))
        }
        return Int(length)
    }

    /// The message with its length before it: what is sent.
    static func prefixed(_ message: [UInt8]) -> [UInt8] {
        precondition(1...byteMaximum ~= message.count, "a witness message of an impossible length")
        var writer = ByteWriter(capacity: prefixByteCount + message.count)
        writer.write(UInt32(message.count))
        writer.write(message)
        return writer.bytes
    }
}

/// Who a node is: the first message of its session with the witness.
public struct WitnessHello: Sendable, Hashable {
    /// A hash of the cluster's name: a node of another cluster is refused. The secret is proved by the session.
    public var cluster: UInt64
    public var node: NodeIndex
    /// Drawn when the node's process starts, so that the witness tells a new life from a new connection.
    public var life: Mark

    public init(cluster: UInt64, node: NodeIndex, life: Mark) {
        self.cluster = cluster
        self.node = node
        self.life = life
    }
}

/// A sign of life of a node in one group, and of the holder the wish to have its lease renewed.
public struct LeaseRenewal: Sendable, Hashable {
    /// Counts the node's renewals; the answer echoes it, so that the lease is counted from the right sending.
    public var sequence: UInt64
    /// The epoch that the node serves under; 0 when it is not Primary and asks for no lease.
    public var epoch: UInt64
    /// That epoch's grant; `none` when the epoch is 0.
    public var grant: Mark
    /// Whether the node heard its peer within the lease's time.
    public var heardPeer: Bool
    /// Whether the node has restarted and not completed a handshake since (R4).
    public var isRestarted: Bool

    public init(sequence: UInt64, epoch: UInt64, grant: Mark, heardPeer: Bool, isRestarted: Bool) {
        self.sequence = sequence
        self.epoch = epoch
        self.grant = grant
        self.heardPeer = heardPeer
        self.isRestarted = isRestarted
    }
}

/// What a node says to the witness.
public enum WitnessRequest: Sendable, Hashable {
    /// Answered by `welcome` or `refusal`; nothing else comes before it.
    case hello(WitnessHello)
    /// Answered by `record`.
    case read(group: String)
    /// Answered by `answer`.
    case change(group: String, ArbiterRequest)
    /// Answered by `renewed`.
    case renew(group: String, LeaseRenewal)
    /// For `init` and `adopt` only; answered by `record` with what stands then.
    case create(group: String, ArbiterRecord)
    /// The node knows this record; answered by `record`.
    case told(group: String, ArbiterRecord)
    /// The holder of this grant serves no more; answered by `record`.
    case release(group: String, epoch: UInt64, grant: Mark)
    /// Answered by `groups`.
    case list
}

/// Why the witness does not serve a session or a message at all. Refusals of a change travel in `answer`.
public enum WitnessRefusal: UInt8, Sendable, Hashable, CaseIterable {
    /// The node speaks another version or needs features that the witness does not know.
    case unsupportedVersion = 1
    /// The node belongs to another cluster.
    case wrongCluster = 2
    /// Something else came before `hello`, or a second `hello`.
    case unexpected = 3
    /// A message that is none.
    case malformed = 4
    /// The record could not be made durable: nothing was granted.
    case storageFailed = 5
    /// The witness keeps `groupMaximum` groups already.
    case tooManyGroups = 6
}

/// A group as the witness lists it.
public struct WitnessGroup: Sendable, Hashable {
    public var name: String
    /// `nil` where no record was ever created.
    public var record: ArbiterRecord?
    /// Whether a node told of a newer record: nothing is granted until the group is reseeded.
    public var isRolledBack: Bool

    public init(name: String, record: ArbiterRecord?, isRolledBack: Bool) {
        self.name = name
        self.record = record
        self.isRolledBack = isRolledBack
    }
}

/// What the witness says to a node.
public enum WitnessAnswer: Sendable, Hashable {
    /// The mark of the witness's process: requests that another life left unanswered are dropped.
    case welcome(life: Mark)
    case record(group: String, ArbiterRecord?)
    /// The answer to the request of that identifier.
    case answer(group: String, identifier: Mark, ArbiterAnswer)
    /// The answer to the renewal of that sequence; `lease` counts from when the renewal was sent, and is nothing
    /// where it is not confirmed.
    case renewed(group: String, sequence: UInt64, confirmed: Bool, lease: Interval)
    /// `group` is empty where the refusal concerns the session; `text` is for the operator.
    case refusal(WitnessRefusal, group: String, text: String)
    case groups([WitnessGroup])
}
