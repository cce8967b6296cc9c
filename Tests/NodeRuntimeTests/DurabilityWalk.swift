import Basics
import Replication
import Testing

/// A story that one seed tells: writes and flushes, a peer that is lost and comes back, switchovers, a peer that takes
/// over, power cuts of either machine that keep a seeded part of what was not flushed.
struct DurabilityWalk {
    private let story: DurabilityStory
    private var random: SeededGenerator
    /// Whether the device's node is the only copy.
    private var isAlone = false

    init(_ story: DurabilityStory, seed: UInt64) {
        self.story = story
        random = SeededGenerator(seed: seed)
    }

    /// Makes so many steps, and ends connected, with both copies whole and nobody Primary.
    mutating func walk(steps: Int) throws {
        try story.connect()
        try story.promote(random.chance(in: 2) ? .first : .second)
        for _ in 0..<steps {
            try writeSome()
            guard let primary = story.primary else { return }
            switch random.below(6) {
            case 0: continue
            case 1: try story.flush()
            case 2: try losePeer(primary)
            case 3: if isAlone { try meet(primary) } else { try story.handOver() }
            case 4: try cutOther(primary)
            default: try cutHolder(primary)
            }
            try story.readAll()
        }
        if isAlone, let primary = story.primary { try meet(primary) }
        try story.flush()
        try story.demote()
    }

    private mutating func writeSome() throws {
        for _ in 0..<1 + random.below(6) {
            // Few blocks, so that they are met again; some runs cross from one extent to the next.
            let extent = random.below(8)
            let block = extent * BlockSize.blocksPerExtent + random.below(3) * 511
            try story.write(block, count: extent < 7 ? 1 + random.below(3) : 1)
        }
        if random.chance(in: 3) { try story.flush() }
    }

    private mutating func choice() -> DurabilityChoice {
        switch random.below(4) {
        case 0: .none
        case 1: .all
        default: .some(seed: random.next())
        }
    }

    private mutating func losePeer(_ primary: NodeIndex) throws {
        guard !isAlone else { return }
        try story.disconnect()
        try story.waitAlone(primary)
        isAlone = true
    }

    private mutating func meet(_ primary: NodeIndex) throws {
        try story.connect()
        if random.chance(in: 2) { try writeSome() }
        try story.waitBoth(primary)
        isAlone = false
    }

    private mutating func cutOther(_ primary: NodeIndex) throws {
        try story.cutPower(primary.peer, data: choice(), metadata: choice())
        if !isAlone { try story.waitAlone(primary) }
        isAlone = true
        if random.chance(in: 2) { try meet(primary) }
    }

    private mutating func cutHolder(_ primary: NodeIndex) throws {
        try story.cutPower(primary, data: choice(), metadata: choice())
        if isAlone {
            // The only copy: it needs nobody.
            try story.promote(primary)
        } else if random.chance(in: 2) {
            // The other takes over alone.
            try story.promote(primary.peer)
            isAlone = true
            if random.chance(in: 2) { try meet(primary.peer) }
        } else {
            try story.connect()
            try story.promote(random.chance(in: 2) ? primary : primary.peer)
        }
    }
}
