/// SipHash-2-4 (Aumasson and Bernstein 2012): 64 bits that nobody computes without the key.
///
/// Two proxies with one key give the same cookie and choose the same server for an address, with no table between
/// them.
public struct KeyedHash: Sendable, Equatable {
    private let key: (UInt64, UInt64)

    public static func == (left: KeyedHash, right: KeyedHash) -> Bool { left.key == right.key }

    /// A key of 16 bytes or more; of a longer one the first 16 count.
    public init(key bytes: [UInt8]) {
        precondition(bytes.count >= 16, "a key has 16 bytes")
        key = (Self.word(bytes, 0, 8), Self.word(bytes, 8, 8))
    }

    /// The hash of the bytes.
    public func hash(_ bytes: [UInt8]) -> UInt64 {
        var state = State(key)
        var place = 0
        while place + 8 <= bytes.count {
            state.take(Self.word(bytes, place, 8))
            place += 8
        }
        state.take(Self.word(bytes, place, bytes.count - place) | UInt64(bytes.count & 0xFF) << 56)
        return state.finish()
    }

    /// The hash of two words: what the source hash is made of.
    public func hash(_ first: UInt64, _ second: UInt64) -> UInt64 {
        var state = State(key)
        state.take(first)
        state.take(second)
        state.take(16 << 56)
        return state.finish()
    }

    private static func word(_ bytes: [UInt8], _ start: Int, _ count: Int) -> UInt64 {
        (0..<count).reduce(0) { $0 | UInt64(bytes[start + $1]) << UInt64(8 * $1) }
    }

    private struct State {
        var v0: UInt64
        var v1: UInt64
        var v2: UInt64
        var v3: UInt64

        init(_ key: (UInt64, UInt64)) {
            v0 = key.0 ^ 0x736F_6D65_7073_6575
            v1 = key.1 ^ 0x646F_7261_6E64_6F6D
            v2 = key.0 ^ 0x6C79_6765_6E65_7261
            v3 = key.1 ^ 0x7465_6462_7974_6573
        }

        mutating func take(_ word: UInt64) {
            v3 ^= word
            round()
            round()
            v0 ^= word
        }

        mutating func finish() -> UInt64 {
            v2 ^= 0xFF
            for _ in 0..<4 { round() }
            return v0 ^ v1 ^ v2 ^ v3
        }

        private mutating func round() {
            v0 &+= v1
            v1 = v1 << 13 | v1 >> 51
            v1 ^= v0
            v0 = v0 << 32 | v0 >> 32
            v2 &+= v3
            v3 = v3 << 16 | v3 >> 48
            v3 ^= v2
            v0 &+= v3
            v3 = v3 << 21 | v3 >> 43
            v3 ^= v0
            v2 &+= v1
            v1 = v1 << 17 | v1 >> 47
            v1 ^= v2
            v2 = v2 << 32 | v2 >> 32
        }
    }
}

/// The cookie that keeps a client on its server: a keyed hash of the server's name, which names no server, needs no
/// table, and stays the same when addresses and the order of the servers change.
public enum StickyCookie {
    /// The number of the server with that name, in the proxy with that name.
    public static func number(proxy: String, server: String, key: KeyedHash) -> UInt64 {
        key.hash(Array("cookie".utf8) + [0] + Array(proxy.utf8) + [0] + Array(server.utf8))
    }

    /// 16 hexadecimal digits.
    public static func text(_ number: UInt64) -> [UInt8] {
        (0..<16).map { place in
            let digit = UInt8(number >> UInt64(60 - 4 * place) & 15)
            return digit < 10 ? 0x30 + digit : 0x57 + digit
        }
    }

    /// Reads ``text(_:)``; nil for anything else.
    public static func parse(_ text: some Collection<UInt8>) -> UInt64? {
        guard text.count == 16 else { return nil }
        var number: UInt64 = 0
        for byte in text {
            switch byte {
            case 0x30...0x39: number = number << 4 | UInt64(byte - 0x30)
            case 0x61...0x66: number = number << 4 | UInt64(byte - 0x57)
            default: return nil
            }
        }
        return number
    }
}

/// Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights by the logarithm of the draw): each server draws
/// for a client, the best draw wins. A server that goes takes only its own clients with it; one that comes takes its
/// share from each of the others.
enum Rendezvous {
    /// The cost of a draw, in units of 2^-32: 64 minus the logarithm to base 2. Whole numbers, so that every machine
    /// comes to the same answer.
    static func cost(_ draw: UInt64) -> UInt64 {
        let value = draw | 1
        let exponent = 63 - value.leadingZeroBitCount
        // The mantissa as 1.63; each squaring gives one bit of the logarithm.
        var mantissa = value << UInt64(63 - exponent)
        var fraction: UInt64 = 0
        for _ in 0..<24 {
            let square = mantissa.multipliedFullWidth(by: mantissa)
            fraction <<= 1
            if square.high >> 63 == 1 {
                mantissa = square.high
                fraction |= 1
            } else {
                mantissa = square.high << 1 | square.low >> 63
            }
        }
        let logarithm = UInt64(exponent) << 32 | fraction << 8
        return max(1, (64 << 32) - logarithm)
    }

    /// Whether the first draw, with its weight, is better than the second with its own.
    static func isBetter(_ cost: UInt64, weight: Int, than other: UInt64, weight otherWeight: Int) -> Bool {
        UInt64(weight) * other > UInt64(otherWeight) * cost
    }
}
