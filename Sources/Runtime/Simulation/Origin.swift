import Basics
import DiskFormat
import Quorum

/// What a copy holds when a run begins: with a witness what `init` makes; without one, whatever two disks may bring.
struct Origin {
    var generations = GenerationTuple(current: .zeroes, bitmap: .none, history: [])
    var condition = CopyCondition.consistent
    /// Whether the copy holds data of its own, which the other does not have.
    var hasData = false

    private init() {}

    private init(
        _ current: UInt64, bitmap: UInt64 = 0, history: [UInt64] = [], condition: CopyCondition = .consistent,
        hasData: Bool = false
    ) {
        generations = GenerationTuple(
            current: Generation(rawValue: current), bitmap: Generation(rawValue: bitmap),
            history: history.map(Generation.init(rawValue:)))
        self.condition = condition
        self.hasData = hasData
    }

    /// Two origins for the nodes, in either order.
    static func draw(_ profile: Profile, _ random: inout SeededGenerator) -> [Origin] {
        guard !profile.hasArbiter else { return [Origin(), Origin()] }
        let fresh = Origin(0, condition: .inconsistent)
        let pair: [Origin]
        switch random.below(16) {
        case 0: pair = [fresh, fresh]
        case 1, 2: pair = [Origin(10, hasData: true), fresh]
        case 3, 4: pair = [Origin(30, history: [20, 10], hasData: true), Origin(10)]
        case 5:
            pair = [
                Origin(30, history: [20, 10], hasData: true), Origin(40, history: [50, 20], hasData: true),
            ]
        case 6: pair = [Origin(30, hasData: true), Origin(40, hasData: true)]
        default: pair = [Origin(), Origin()]
        }
        return random.chance(in: 2) ? pair : pair.reversed()
    }
}
