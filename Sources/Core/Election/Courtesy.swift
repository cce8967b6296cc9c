public import Basics

/// How long the node that is not preferred lets the other one take a group first, when both come up.
///
/// Counted from when this node could have taken it, and only while the other one is there and nothing keeps it: one that
/// is silent, blocked or held back is not waited for. Behind an address with a service the other's may still be starting;
/// when it has not come up in time its node is blocked, and that ends the courtesy.
public struct Courtesy: Sendable, Hashable {
    /// What the other node says of itself.
    public enum Other: Sendable, Hashable, CaseIterable {
        /// It was not heard lately.
        case silent
        /// Something on its machine is in the way, or its operator holds it back.
        case hindered
        /// Nothing is in its way.
        case free
    }

    /// How long it lasts at most.
    public let length: Interval

    private static let usual = Interval.milliseconds(1500)

    /// `service`: the rules by which services behind the address are watched, nil without one.
    public init(service: ServiceRules?) {
        length = Interval(nanoseconds: Self.usual.nanoseconds + (service?.startup.nanoseconds ?? 0))
    }

    /// Whether this node, which could take the group since `since`, leaves it to the other one.
    public func isDue(to other: Other, since: Instant, at now: Instant) -> Bool {
        other == .free && now < since + length
    }
}
