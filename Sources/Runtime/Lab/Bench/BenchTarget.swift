/// One line of the targets: a ratio of two measured figures and what it must reach.
public struct BenchTarget: Sendable {
    public let name: String
    /// What the ratio must reach.
    public let target: Double
    /// Whether less is better, as with times.
    public let isCeiling: Bool
    /// The measured ratio; nil when something of it was not measured.
    public let measured: Double?

    /// How much of the target was reached: 1 is all of it.
    public var reached: Double? {
        guard let measured, measured > 0 else { return nil }
        return isCeiling ? target / measured : measured / target
    }

    /// Below this share of a target a page in Docs/Decisions says why.
    public static let explained = 0.7

    /// All targets, from what was measured; `onDisk` are those against the plain file on a real disk.
    static func all(_ results: BenchResults, onDisk: Bool) -> [BenchTarget] {
        onDisk ? disk(results) : memory(results)
    }

    private static func floor(
        _ name: String, _ target: Double, _ results: BenchResults, _ layer: BenchLayer,
        over other: BenchLayer,
        _ workload: BenchWorkload
    ) -> BenchTarget {
        var ratio: Double?
        if let one = results.rate(layer, workload), let two = results.rate(other, workload) {
            ratio = one / two
        }
        return BenchTarget(name: name, target: target, isCeiling: false, measured: ratio)
    }

    /// Times at depth 1: of `layer`, over the sum of those of `others`.
    private static func ceiling(
        _ name: String, _ target: Double, _ results: BenchResults, _ layer: BenchLayer,
        over others: [BenchLayer]
    ) -> BenchTarget {
        let times = others.compactMap { results.rate($0, .write1).map { 1 / $0 } }
        var ratio: Double?
        if let one = results.rate(layer, .write1), times.count == others.count {
            ratio = 1 / one / times.reduce(0, +)
        }
        return BenchTarget(name: name, target: target, isCeiling: true, measured: ratio)
    }

    private static func memory(_ all: BenchResults) -> [BenchTarget] {
        let costs = all.costs[.replicated]?[.write16]
        var targets = [
            ceiling("alone, time at depth 1, over C FUSE", 1.05, all, .alone, over: [.passthrough]),
            ceiling(
                "alone loop, time at depth 1, over C loop", 1.10, all, .aloneLoop, over: [.passthroughLoop]),
            floor("alone, depth 16, over C FUSE", 1.1, all, .alone, over: .passthrough, .write16),
            floor(
                "alone loop, depth 16, over C loop", 1.0, all, .aloneLoop, over: .passthroughLoop, .write16),
            floor("alone, 1 MiB write, over C FUSE", 0.9, all, .alone, over: .passthrough, .streamWrite),
            floor(
                "alone loop, 1 MiB write, over C loop", 0.9, all, .aloneLoop, over: .passthroughLoop,
                .streamWrite),
        ]
        let pairs: [(String, BenchLayer, BenchLayer)] = [
            ("plain", .replicated, .replicatedLoop), ("sealed", .sealed, .sealedLoop),
        ]
        for (name, raw, loop) in pairs {
            targets += [
                ceiling(
                    "two (\(name)), time at depth 1, over C + network", 0.75, all, raw,
                    over: [.passthrough, .network]),
                ceiling(
                    "two (\(name)) loop, time at depth 1, over C loop + network", 0.80, all, loop,
                    over: [.passthroughLoop, .network]),
                floor("two (\(name)), depth 16, over network", 0.75, all, raw, over: .network, .write16),
                floor(
                    "two (\(name)) loop, depth 16, over network", 0.50, all, loop, over: .network, .write16),
                floor("two (\(name)), depth 16, over C FUSE", 0.60, all, raw, over: .passthrough, .write16),
                floor(
                    "two (\(name)) loop, depth 16, over C loop", 0.70, all, loop, over: .passthroughLoop,
                    .write16),
                floor(
                    "two (\(name)), 1 MiB write, over network", 0.9, all, raw, over: .network, .streamWrite),
                floor(
                    "two (\(name)) loop, 1 MiB write, over network", 0.8, all, loop, over: .network,
                    .streamWrite),
            ]
        }
        var share: Double?
        if let own = all.costs[.alone]?[.write16], let other = all.costs[.passthrough]?[.write16] {
            share = own.primary.processor / other.primary.processor
        }
        func limit(_ name: String, _ target: Double, _ measured: Double?) -> BenchTarget {
            BenchTarget(name: name, target: target, isCeiling: true, measured: measured)
        }
        return targets + [
            limit("alone, processor time at depth 16, over C FUSE", 0.7, share),
            limit("two (plain), depth 16: primary's us of processor a write", 5, costs?.primary.processor),
            limit("two (plain), depth 16: peer's us of processor a write", 2.5, costs?.peer?.processor),
            limit(
                "two (plain), depth 16: primary's context switches a write", 0.3,
                costs?.primary.contextSwitches),
            limit(
                "two (plain), depth 16: peer's context switches a write", 0.3, costs?.peer?.contextSwitches),
        ]
    }

    private static func disk(_ all: BenchResults) -> [BenchTarget] {
        [
            floor("alone, depth 1, over the plain file", 0.80, all, .alone, over: .plain, .write1),
            floor("alone loop, depth 1, over the plain file", 0.70, all, .aloneLoop, over: .plain, .write1),
            floor("alone, depth 16, over the plain file", 0.95, all, .alone, over: .plain, .write16),
            floor("alone loop, depth 16, over the plain file", 0.80, all, .aloneLoop, over: .plain, .write16),
            floor("alone, 1 MiB write, over the plain file", 0.80, all, .alone, over: .plain, .streamWrite),
            floor(
                "alone loop, 1 MiB write, over the plain file", 0.80, all, .aloneLoop, over: .plain,
                .streamWrite),
        ]
    }
}
