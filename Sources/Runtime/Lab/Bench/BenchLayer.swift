/// What is loaded: from the plain file to the replicated volume under a file system.
public enum BenchLayer: String, CaseIterable, Sendable {
    case plain = "plain file"
    case passthrough = "C FUSE"
    case passthroughLoop = "C loop+ext4"
    case network = "network floor"
    case alone = "alone"
    case aloneLoop = "alone loop+ext4"
    case replicated = "two, plain"
    case replicatedLoop = "two, plain loop+ext4"
    case sealed = "two, sealed"
    case sealedLoop = "two, sealed loop+ext4"

    /// Whether the product runs in it.
    var needsProduct: Bool {
        switch self {
        case .plain, .passthrough, .passthroughLoop, .network: false
        default: true
        }
    }

    /// Whether the load goes to a file on ext4 on a loop device, not to the device's file itself.
    var usesLoop: Bool {
        switch self {
        case .passthroughLoop, .aloneLoop, .replicatedLoop, .sealedLoop: true
        default: false
        }
    }

    var isAlone: Bool { self == .alone || self == .aloneLoop }
    var transport: String { self == .sealed || self == .sealedLoop ? "sealed" : "plain" }
}

/// What serving one request cost, beside its time.
public struct BenchCost: Sendable {
    /// Microseconds of processor time a write.
    public var processor = 0.0
    public var contextSwitches = 0.0
    public var systemCalls: Double?
}

/// What was measured so far.
public struct BenchResults: Sendable {
    /// Requests a second, one for each round.
    private var rates: [BenchLayer: [BenchWorkload: [Double]]] = [:]
    /// Costs of the primary's and of the peer's process at depth 1 and 16.
    public internal(set) var costs: [BenchLayer: [BenchWorkload: (primary: BenchCost, peer: BenchCost?)]] =
        [:]

    public init() {}

    /// Notes one round.
    public mutating func add(_ rate: Double, _ layer: BenchLayer, _ workload: BenchWorkload) {
        rates[layer, default: [:]][workload, default: []].append(rate)
    }

    /// The median of the rounds; nil when there was none.
    public func rate(_ layer: BenchLayer, _ workload: BenchWorkload) -> Double? {
        guard let all = rates[layer]?[workload]?.sorted(), !all.isEmpty else { return nil }
        return all.count % 2 == 1 ? all[all.count / 2] : (all[all.count / 2 - 1] + all[all.count / 2]) / 2
    }

    /// The layers that were measured, in order.
    public var layers: [BenchLayer] { BenchLayer.allCases.filter { rates[$0] != nil } }
}
