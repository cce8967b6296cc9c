import ControlPlane
import Testing

@testable import ProxyRuntime

@Suite("the control socket's words about the past")
struct ProxyControlTests {
    @Test("log answers the last lines, and goes on from where one stopped")
    func lines() {
        let ring = LogRing()
        ring.add(Array("a\nb\nc\n".utf8), count: 3)
        let last = ProxyControl.lines(["last", "2"], of: ring)
        #expect(last.isOK && last.body["lines"].elements.compactMap(\.string) == ["b", "c"])
        #expect(last.body["next"].integer == 4)
        ring.add(Array("d\n".utf8), count: 1)
        let more = ProxyControl.lines(["from", "4"], of: ring)
        #expect(more.body["lines"].elements.compactMap(\.string) == ["d"])
        #expect(more.body["missed"].integer == 0)
    }

    @Test(
        "what is no request is refused with what would be one",
        arguments: [[], ["last"], ["last", "x"], ["last", "-1"], ["first", "1"], ["last", "1", "2"]])
    func refused(_ arguments: [String]) {
        let reply = ProxyControl.lines(arguments, of: LogRing())
        #expect(!reply.isOK && reply.message.contains("'last' or 'from'"))
    }
}
