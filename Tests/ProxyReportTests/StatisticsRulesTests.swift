import Balancing
import Testing

@testable import ProxyReport

@Suite("who may see the statistics, and who may give orders there")
struct StatisticsRulesTests {
    let rules = StatisticsRules(
        user: "admin", password: "secret:x", key: KeyedHash(key: [UInt8](repeating: 3, count: 16)))
    /// "admin:secret:x"
    let right = "Basic YWRtaW46c2VjcmV0Ong="

    func get(_ target: String, _ authorization: String?) -> StatisticsRules.Decision {
        rules.decide(.init(method: "GET", target: target, authorization: authorization))
    }

    func post(
        _ body: String, target: String = "/", origin: String? = nil, site: String? = nil,
        host: String? = "localhost:1",
        authorization: String? = nil
    ) -> StatisticsRules.Decision {
        rules.decide(
            .init(
                method: "POST", target: target, host: host, authorization: authorization ?? right,
                origin: origin, fetchSite: site, body: Array(body.utf8)))
    }

    var order: String { "token=\(rules.token)&b=web&s=web1&action=drain" }
    let drained = StatisticsRules.Decision.order(.init(proxy: "web", server: "web1", state: .drain))

    @Test(
        "without the right user and password nothing is answered, whatever is asked for",
        arguments: [
            nil, "", "Basic", "Basic !", "Basic YWRtaW46c2VjcmV0Ong", "Bearer YWRtaW46c2VjcmV0Ong=",
            // admin:secret:y, admin:secret:, admin:secret:xx, root:secret:x, and nothing at all
            "Basic YWRtaW46c2VjcmV0Onk=", "Basic YWRtaW46c2VjcmV0Og==", "Basic YWRtaW46c2VjcmV0Onh4",
            "Basic cm9vdDpzZWNyZXQ6eA==", "Basic ", "Basic YWRtaW46c2VjcmV0Ong= x",
        ])
    func refused(_ field: String?) {
        for target in ["/", "/;csv", "/json", "/nothing"] { #expect(get(target, field) == .unauthorized) }
        let request = StatisticsRules.Request(
            method: "POST", target: "/", authorization: field, body: Array(order.utf8))
        #expect(rules.decide(request) == .unauthorized)
        #expect(rules.decide(.init(method: "DELETE", target: "/", authorization: field)) == .unauthorized)
    }

    @Test("with them each path has its answer")
    func paths() {
        #expect(get("/", right) == .page(note: nil, refreshes: true))
        #expect(get("/", "bAsIc  YWRtaW46c2VjcmV0Ong=") == .page(note: nil, refreshes: true))
        #expect(get("/;norefresh", right) == .page(note: nil, refreshes: false))
        #expect(get("/;st=DONE", right) == .page(note: "DONE", refreshes: true))
        for target in ["/;csv", "/csv", "/;csv;norefresh"] { #expect(get(target, right) == .csv) }
        for target in ["/;json", "/json"] { #expect(get(target, right) == .json) }
        for target in ["", "//", "/x", "/csv/", "*"] { #expect(get(target, right) == .notFound) }
        #expect(
            rules.decide(.init(method: "PUT", target: "/", authorization: right)) == .methodNotAllowed)
        #expect(
            rules.decide(.init(method: "HEAD", target: "/", authorization: right))
                == .page(note: nil, refreshes: true))
    }

    @Test("an order needs the token of this process")
    func token() {
        #expect(post(order) == drained)
        let other = StatisticsRules(
            user: "admin", password: "secret:x", key: KeyedHash(key: [UInt8](repeating: 4, count: 16)))
        #expect(other.token != rules.token && rules.token.utf8.count == 32)
        for token in ["", other.token, String(rules.token.dropLast()), rules.token + "0"] {
            guard case .forbidden = post("token=\(token)&b=web&s=web1&action=drain") else {
                Issue.record("token '\(token)' was taken")
                continue
            }
        }
        guard case .forbidden = post("b=web&s=web1&action=drain") else {
            Issue.record("no token was taken")
            return
        }
    }

    @Test("an order that the browser calls another site's is refused though it has the token")
    func origins() {
        #expect(post(order, origin: "http://localhost:1", site: "same-origin") == drained)
        #expect(post(order, origin: "https://localhost:1") == drained)
        #expect(post(order, site: "none") == drained)
        for origin in [
            "http://localhost", "http://localhost:2", "http://localhost:1.example.com", "null",
            "http://evil.example.com", "",
        ] {
            guard case .forbidden = post(order, origin: origin) else {
                Issue.record("origin '\(origin)' was taken")
                continue
            }
        }
        for site in ["cross-site", "same-site", ""] {
            guard case .forbidden = post(order, site: site) else {
                Issue.record("site '\(site)' was taken")
                continue
            }
        }
        guard case .forbidden = post(order, origin: "http://localhost:1", host: nil) else {
            Issue.record("an origin without a host was taken")
            return
        }
    }

    @Test("orders are read as browsers write them, and nothing else is one")
    func forms() {
        let token = "token=\(rules.token)"
        #expect(
            post("\(token)&b=a%2Bb&s=web+1&action=maint")
                == .order(.init(proxy: "a+b", server: "web 1", state: .maintenance)))
        #expect(
            post("action=ready&s=x&b=y&\(token)") == .order(.init(proxy: "y", server: "x", state: .ready)))
        for body in [
            "", "\(token)", "\(token)&b=web&s=web1", "\(token)&b=web&s=web1&action=stop",
            "\(token)&b=web&s=%zz&action=drain", "\(token)&b=%&s=a&action=drain",
            "\(token)&b=web&b=other&s=web1&action=drain", "\(token)&b=web&s=%ff&action=drain",
        ] {
            switch post(body) {
            case .badRequest, .forbidden: break
            case let other: Issue.record("'\(body)' gave \(other)")
            }
        }
        #expect(post(order, target: "/csv") == .notFound)
        #expect(get("/?\(order)", right) == .notFound)
        let asked = StatisticsRules.Request(
            method: "GET", target: "/", authorization: right, body: Array(order.utf8))
        #expect(rules.decide(asked) == .page(note: nil, refreshes: true))
    }

    @Test("base64 is read whole or not at all")
    func base64() {
        #expect(Base64Text.decode("") == [] && Base64Text.decode("AA==") == [0])
        #expect(Base64Text.decode("aGk=") == [0x68, 0x69] && Base64Text.decode("aGkh") == Array("hi!".utf8))
        #expect(Base64Text.decode("+/+/") == [0xFB, 0xFF, 0xBF])
        for bad in ["A", "AA", "AAA", "A===", "====", "AA=A", "AA==AAAA", "A A=", "-_==", "AAAA="] {
            #expect(Base64Text.decode(bad) == nil, "\(bad)")
        }
    }
}
