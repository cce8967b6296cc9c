public import Basics

/// How the last check of a server has ended, in HAProxy's words.
public struct CheckResult: Sendable, Equatable {
    /// The word of the statistics.
    public enum Status: String, Sendable, CaseIterable {
        /// The connection stood.
        case layer4OK = "L4OK"
        case layer4Timeout = "L4TOUT"
        /// The connection was refused, or no way leads there.
        case layer4Connection = "L4CON"
        case layer7OK = "L7OK"
        case layer7Timeout = "L7TOUT"
        /// What came is no answer.
        case layer7Response = "L7RSP"
        /// The answer has another status than asked for.
        case layer7Status = "L7STS"

        /// A sentence for people.
        public var description: String {
            switch self {
            case .layer4OK: "Layer4 check passed"
            case .layer4Timeout: "Layer4 timeout"
            case .layer4Connection: "Layer4 connection problem"
            case .layer7OK: "Layer7 check passed"
            case .layer7Timeout: "Layer7 timeout"
            case .layer7Response: "Layer7 invalid response"
            case .layer7Status: "Layer7 wrong status"
            }
        }

        /// Whether it speaks for the server.
        public var isPassed: Bool { self == .layer4OK || self == .layer7OK }
    }

    public var status: Status
    /// The status of the answer, where one came.
    public var code: Int?
    public var duration: Interval

    public init(_ status: Status, code: Int? = nil, duration: Interval) {
        self.status = status
        self.code = code
        self.duration = duration
    }

    /// "L7OK/200 in 3ms", as HAProxy's page has it.
    public var text: String {
        "\(status.rawValue)\(code.map { "/\($0)" } ?? "") in \(duration.wholeMilliseconds)ms"
    }
}

/// Since when something is as it is, and how long it was down in all.
public struct StateClock: Sendable, Equatable {
    public private(set) var isDown = false
    public private(set) var changedAt: Instant
    /// From up to down.
    public private(set) var downs: UInt64 = 0
    private var downBefore = Interval(nanoseconds: 0)

    /// It begins as neither up nor down: what is not yet known is not counted as down.
    public init(at now: Instant) { changedAt = now }

    /// What it is now; the same as before changes nothing.
    public mutating func note(isDown: Bool, at now: Instant) {
        guard isDown != self.isDown else { return }
        if isDown {
            downs += 1
        } else {
            downBefore = downtime(at: now)
        }
        self.isDown = isDown
        changedAt = now
    }

    /// All the time it was down.
    public func downtime(at now: Instant) -> Interval {
        guard isDown else { return downBefore }
        return Interval(nanoseconds: downBefore.nanoseconds + now.since(changedAt).nanoseconds)
    }
}
