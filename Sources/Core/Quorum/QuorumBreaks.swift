/// Deliberate faults of the arbiter, for the tests that must find them. Never set outside a test.
public struct QuorumBreaks: OptionSet, Sendable, Hashable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// A restarted member is granted solo while the other lives and has not restarted.
    public static let soloGrantWhileOtherIntact = QuorumBreaks(rawValue: 1 << 0)
    /// A witness without a record takes over what it is told.
    public static let emptiedWitnessCreatesRecord = QuorumBreaks(rawValue: 1 << 1)
    /// A grant is told and not made durable: the fdatasync of the witness's store is left out. For who stores.
    public static let grantNotStored = QuorumBreaks(rawValue: 1 << 2)
}
