import ControlPlane
import Election
import Testing

@testable import NodeRuntime

@Suite("What a node makes of its proxy's word")
struct ProxyAskerTests {
    private static func body(_ servers: Int) -> JSONValue {
        ["proxies": .array([["name": "web", "servers": .count(servers)]]), "orders": "text"]
    }

    @Test("a proxy with a server serves, one without is empty, one that is not named is gone")
    func verdicts() {
        #expect(ProxyAsker.read(Self.body(2), proxy: "web") == ProxyAnswer(answer: .serving, orders: "text"))
        #expect(ProxyAsker.read(Self.body(0), proxy: "web").answer == .empty)
        #expect(ProxyAsker.read(Self.body(2), proxy: "mail").answer == .failed)
        #expect(ProxyAsker.read(.null, proxy: "web").answer == .failed)
    }
}
