/// A seeded generator (xoshiro256**, Blackman and Vigna 2018): the same seed gives the same numbers everywhere.
///
/// Cores and the simulator take it as an argument; nothing in Core draws from the system. Not for secrets.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// The sequence of `seed`; the four words come from SplitMix64, as the authors advise.
    public init(seed: UInt64) {
        var mix = seed
        func next() -> UInt64 {
            mix &+= 0x9E37_79B9_7F4A_7C15
            var word = mix
            word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
            return word ^ word >> 31
        }
        state = (next(), next(), next(), next())
    }

    /// A sequence of its own for `label`, so that a draw added in one place does not shift the others.
    public init(seed: UInt64, label: StaticString) {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in label.description.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        self.init(seed: seed ^ hash)
    }

    /// The next 64 bits of the sequence.
    public mutating func next() -> UInt64 {
        let result = Self.rotate(state.1 &* 5, 7) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = Self.rotate(state.3, 45)
        return result
    }

    /// A number in `0..<bound`; `bound` is at least 1. The bias of at most bound / 2^64 does not matter here.
    public mutating func below(_ bound: Int) -> Int {
        Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// True once in `times` draws, on average; never for 0.
    public mutating func chance(in times: Int) -> Bool { times > 0 && below(times) == 0 }

    private static func rotate(_ word: UInt64, _ count: UInt64) -> UInt64 {
        word << count | word >> (64 - count)
    }
}
