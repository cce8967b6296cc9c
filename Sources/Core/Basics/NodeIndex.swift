/// One of the two nodes of a cluster, by its place in the settings (sorted by name).
///
/// A cluster has two nodes and never more, so a node is one bit and a set of nodes is a byte.
@frozen
public enum NodeIndex: UInt8, Sendable, CaseIterable, Hashable {
    case first = 0
    case second = 1

    /// The other node.
    @inlinable
    public var peer: NodeIndex { self == .first ? .second : .first }
}

/// A set of nodes: who holds current data, who was heard.
@frozen
public struct NodeSet: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8

    @inlinable
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The set of this node alone.
    @inlinable
    public init(_ node: NodeIndex) { rawValue = 1 << node.rawValue }

    /// Both nodes.
    public static let both = NodeSet(rawValue: 3)

    /// Whether the node is in the set.
    @inlinable
    public func contains(_ node: NodeIndex) -> Bool { rawValue >> node.rawValue & 1 == 1 }

    /// How many nodes the set holds.
    @inlinable
    public var count: Int { rawValue.nonzeroBitCount }
}
