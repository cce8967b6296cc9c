import Balancing
import Testing

@testable import ProxyRuntime

@Suite("What the operator wants of a pair of proxies")
struct ProxyPairTests {
    private static let web1 = ProxyAdmin.Name(proxy: "web", server: "web1")
    private static let web2 = ProxyAdmin.Name(proxy: "web", server: "web2")

    private static func ordered(_ state: BackendPool.AdminState, times: Int = 1) -> ProxyAdmin {
        var admin = ProxyAdmin()
        for _ in 0..<times { admin.order(ProxyAdmin.Entry(state: state), of: web1) }
        return admin
    }

    @Test("an order reaches the other proxy, and comes back as no news")
    func reaches() {
        var (one, two) = (Self.ordered(.drain), ProxyAdmin())
        let news = two.merge(one)
        #expect(news == [Self.web1])
        #expect(two[Self.web1].state == .drain)
        let back = one.merge(two)
        #expect(back.isEmpty)
        #expect(one == two)
    }

    @Test("a server that is ready again stays so, whatever the other proxy still had")
    func readyAgain() {
        var two = Self.ordered(.drain)
        var one = two
        one.order(ProxyAdmin.Entry(), of: Self.web1)
        let older = one.merge(two)
        #expect(older.isEmpty)
        let news = two.merge(one)
        #expect(news == [Self.web1])
        #expect(two[Self.web1].state == .ready)
    }

    @Test("orders for different servers, given apart, both hold")
    func apart() {
        var one = Self.ordered(.drain)
        var two = ProxyAdmin()
        two.order(ProxyAdmin.Entry(state: .maintenance), of: Self.web2)
        let (first, second) = (one, two)
        _ = one.merge(second)
        _ = two.merge(first)
        #expect(one == two)
        #expect(one[Self.web1].state == .drain && one[Self.web2].state == .maintenance)
    }

    @Test("of two orders for one server, given apart, both proxies choose the same")
    func contradiction() {
        var (one, two) = (Self.ordered(.drain), Self.ordered(.maintenance))
        let (first, second) = (one, two)
        _ = one.merge(second)
        _ = two.merge(first)
        #expect(one == two)
    }

    @Test("the file keeps the turns, those of ready servers too")
    func file() throws {
        var admin = Self.ordered(.drain, times: 3)
        admin.order(
            ProxyAdmin.Entry(state: .maintenance, weight: ProxyAdmin.Weight(value: 7, over: 100)),
            of: Self.web2)
        admin.order(ProxyAdmin.Entry(), of: Self.web1)
        #expect(try ProxyAdmin(text: admin.text) == admin)
        #expect(admin.text.contains("web web1 ready turn 5"))
        #expect(throws: ProxyAdminError.self) {
            try ProxyAdmin(text: admin.text.replacing("turn 5", with: "turn x"))
        }
    }
}
