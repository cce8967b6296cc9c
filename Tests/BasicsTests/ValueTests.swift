import Basics
import Testing

/// The small values that everything else counts with.
struct ValueTests {
    @Test("an address is read in its one form", arguments: ["0.0.0.0", "192.168.56.100", "255.255.255.255"])
    func address(text: String) throws {
        let address = try #require(IPv4Address(parsing: text))
        #expect(address.description == text)
        #expect(IPv4Address(bytes: address.bytes) == address)
    }

    @Test(
        "anything else is no address",
        arguments: [
            "", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1..2.3", "+1.2.3.4", "1.2.3.4 ", "::1",
        ])
    func notAnAddress(text: String) { #expect(IPv4Address(parsing: text) == nil) }

    @Test("a prefix holds its own network and no other")
    func prefix() throws {
        let network = try #require(IPv4Prefix(parsing: "192.168.56.100/24"))
        #expect(network.contains(IPv4Address(192, 168, 56, 1)))
        #expect(!network.contains(IPv4Address(192, 168, 57, 1)))
        #expect(IPv4Prefix(parsing: "10.0.0.1")?.length == 32)
        #expect(IPv4Prefix(parsing: "10.0.0.1/0")?.contains(IPv4Address(1, 2, 3, 4)) == true)
        for text in ["10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/", "/24", "10.0.0.1/24/24"] {
            #expect(IPv4Prefix(parsing: text) == nil)
        }
    }

    @Test("units that a range touches, and those that it covers")
    func units() {
        let range = ByteRange(offset: 4095, length: 4098)
        #expect(range.units(of: 4096) == 0..<3)
        #expect(range.wholeUnits(of: 4096) == 1..<2)
        #expect(ByteRange(offset: 1, length: 2).wholeUnits(of: 4096).isEmpty)
        #expect(range.aligned(to: 4096) == ByteRange(offset: 0, length: 12288))
        #expect(range.overlaps(ByteRange(offset: 8192, length: 1)))
        #expect(!range.overlaps(ByteRange(offset: 8193, length: 1)))
    }

    @Test("time does not go round, nor below zero")
    func time() {
        let late = Instant(nanoseconds: .max - 5)
        #expect(late + .seconds(1) == .never)
        #expect(Instant(nanoseconds: 5).since(late) == Interval(nanoseconds: 0))
        #expect(late.since(Instant(nanoseconds: 5)) == Interval(nanoseconds: .max - 10))
    }

    /// The first two numbers of seed 0, by a second transcription of the two algorithms in another language.
    @Test("the generator gives the same numbers everywhere, and labels give others")
    func generator() {
        var random = SeededGenerator(seed: 0)
        let first = (0..<2).map { _ in random.next() }
        #expect(first == [0x99EC_5F36_CB75_F2B4, 0xBF6E_1F78_4956_452A])
        var one = SeededGenerator(seed: 0, label: "disk")
        var other = SeededGenerator(seed: 0, label: "network")
        let (left, right) = (one.next(), other.next())
        #expect(left != right)
        for bound in [1, 2, 7, 1000] {
            let drawn = (0..<100).map { _ in random.below(bound) }
            #expect(drawn.allSatisfy { (0..<bound).contains($0) })
        }
        let never = random.chance(in: 0)
        #expect(!never)
    }
}
