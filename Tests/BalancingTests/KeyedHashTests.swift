import Balancing
import Testing

@Suite("the keyed hash and the cookie")
struct KeyedHashTests {
    // The first vectors of the authors' reference implementation: key 00...0f, input 00, 00 01, ...
    @Test("the hash is SipHash-2-4")
    func vectors() {
        let hash = KeyedHash(key: (0..<16).map { UInt8($0) })
        #expect(hash.hash([]) == 0x726F_DB47_DD0E_0E31)
        #expect(hash.hash([0]) == 0x74F8_39C5_93DC_67FD)
        #expect(hash.hash((0..<8).map { UInt8($0) }) == 0x93F5_F579_9A93_2462)
        #expect(hash.hash((0..<15).map { UInt8($0) }) == 0xA129_CA61_49BE_45E5)
    }

    @Test("two words hash as their sixteen bytes do")
    func words() {
        let hash = KeyedHash(key: (0..<16).map { UInt8($0) })
        let bytes = (0..<16).map { UInt8($0) }
        #expect(hash.hash(bytes) == hash.hash(0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908))
    }

    @Test("a cookie's text is read back, and nothing else is one")
    func cookieText() {
        let key = KeyedHash(key: [UInt8](repeating: 7, count: 16))
        let number = StickyCookie.number(proxy: "web", server: "web1", key: key)
        let text = StickyCookie.text(number)
        #expect(text.count == 16)
        #expect(StickyCookie.parse(text) == number)
        #expect(StickyCookie.parse(text.dropLast()) == nil)
        #expect(StickyCookie.parse(text + [0x30]) == nil)
        #expect(StickyCookie.parse(Array("0123456789ABCDEF".utf8)) == nil)
        #expect(StickyCookie.number(proxy: "web", server: "web2", key: key) != number)
        #expect(StickyCookie.number(proxy: "we", server: "bweb1", key: key) != number)
        let other = KeyedHash(key: [UInt8](repeating: 8, count: 16))
        #expect(StickyCookie.number(proxy: "web", server: "web1", key: other) != number)
    }
}
