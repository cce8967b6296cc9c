import Quorum
import Replication

/// Many runs, one after the other, with their counts.
public struct Campaign: Sendable {
    /// The world of every seed; nil: by the seed.
    public var kind: Profile.Kind?
    public var fault: DeliberateBreak?
    public var coverage = Coverage()

    public init(kind: Profile.Kind? = nil, fault: DeliberateBreak? = nil) {
        self.kind = kind
        self.fault = fault
    }

    /// The world that a seed is run in.
    public func profile(of seed: UInt64) -> Profile {
        kind.map { Profile($0, fault: fault) } ?? Profile(ofSeed: seed, fault: fault)
    }

    /// Runs one seed; the violation, if there was one.
    public mutating func run(_ seed: UInt64) -> Violation? {
        let world = World(seed: seed, profile: profile(of: seed))
        let violation = world.run()
        coverage.merge(world.coverage)
        return violation
    }

    /// The trace of a seed, line by line.
    public func trace(of seed: UInt64) -> [String] {
        let world = World(seed: seed, profile: profile(of: seed), tracing: true)
        _ = world.run()
        return world.trace
    }

    /// A number made of every action and its time: two runs of one seed that differ anywhere differ here.
    public func traceHash(of seed: UInt64) -> UInt64 {
        let world = World(seed: seed, profile: profile(of: seed))
        _ = world.run()
        return world.traceHash
    }

    /// The command that runs this seed again.
    public func replayLine(of seed: UInt64) -> String {
        let fault = fault.map { " --break \($0.name)" } ?? ""
        return "tandem-simulate --profile \(profile(of: seed).kind.rawValue) --seed \(seed)\(fault)"
    }
}
