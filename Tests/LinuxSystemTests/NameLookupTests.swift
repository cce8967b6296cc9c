import LinuxSystem
import Testing

@Suite("names of machines")
struct NameLookupTests {
    @Test("an address stands for itself, this machine's name has one, and a name that cannot be has none")
    func lookup() {
        #expect(NameLookup.addresses(of: "192.0.2.7").map(\.host) == ["192.0.2.7"])
        #expect(NameLookup.addresses(of: "2001:db8::7").map(\.host) == ["2001:db8::7"])
        #expect(NameLookup.addresses(of: "localhost").contains { $0.host == "127.0.0.1" || $0.host == "::1" })
        // RFC 6761 6.4: no resolver asks anybody for it.
        #expect(NameLookup.addresses(of: "nobody.invalid").isEmpty)
    }
}
