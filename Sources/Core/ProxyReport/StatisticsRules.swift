public import Balancing

/// Who may see the statistics page and who may give orders there: the rules, without a socket.
///
/// Without the right user and password nothing is told but that they are asked for, whatever the path. An order is a
/// POST that carries the token of this process, which only a page of this process can have shown, and that the browser
/// does not call another site's. What is not an order changes nothing.
public struct StatisticsRules: Sendable {
    /// A request, as far as it matters here.
    public struct Request: Sendable {
        public var method: String
        /// The target as it was sent, "/;csv".
        public var target: String
        public var host: String?
        public var authorization: String?
        public var origin: String?
        /// The value of Sec-Fetch-Site.
        public var fetchSite: String?
        public var body: [UInt8]

        public init(
            method: String, target: String, host: String? = nil, authorization: String? = nil,
            origin: String? = nil, fetchSite: String? = nil, body: [UInt8] = []
        ) {
            self.method = method
            self.target = target
            self.host = host
            self.authorization = authorization
            self.origin = origin
            self.fetchSite = fetchSite
            self.body = body
        }
    }

    /// What is wanted of a server.
    public struct Order: Sendable, Equatable {
        public var proxy: String
        public var server: String
        public var state: BackendPool.AdminState

        public init(proxy: String, server: String, state: BackendPool.AdminState) {
            self.proxy = proxy
            self.server = server
            self.state = state
        }
    }

    /// What is done about a request.
    public enum Decision: Sendable, Equatable {
        /// 401: the user and password are missing or wrong.
        case unauthorized
        /// The page; `note` is the word of the last order, `refreshes` whether it loads itself anew.
        case page(note: String?, refreshes: Bool)
        case csv
        case json
        /// The order is carried out and the page asked for anew (303).
        case order(Order)
        /// 403, and why.
        case forbidden(String)
        case badRequest(String)
        case notFound
        /// 405: GET, HEAD or POST.
        case methodNotAllowed
    }

    /// Bytes of an order at most.
    public static let bodyMaximum = 4096

    private let credentials: [UInt8]
    private let key: KeyedHash
    /// What the forms of the page carry: 32 hexadecimal digits.
    public let token: String

    /// `key` is random and of this process alone. A user has no colon; a password is not empty.
    public init(user: String, password: String, key: KeyedHash) {
        precondition(!password.isEmpty, "a page without a password answers nobody")
        credentials = Array("\(user):\(password)".utf8)
        self.key = key
        let halves = ["statistics order 1", "statistics order 2"].map { key.hash(Array($0.utf8)) }
        token = String(decoding: halves.flatMap { StickyCookie.text($0) }, as: UTF8.self)
    }

    /// What is done about a request.
    public func decide(_ request: Request) -> Decision {
        guard isAuthorized(request.authorization) else { return .unauthorized }
        switch request.method {
        case "GET", "HEAD": return show(request.target)
        case "POST": return judge(request)
        default: return .methodNotAllowed
        }
    }

    private func show(_ target: String) -> Decision {
        let parts = target.split(separator: ";", omittingEmptySubsequences: false).map(String.init)
        switch (parts.first, parts.count) {
        case ("/csv", 1), ("/stats.csv", 1): return .csv
        case ("/json", 1): return .json
        case ("/", _): break
        default: return .notFound
        }
        if parts.contains("csv") { return .csv }
        if parts.contains("json") { return .json }
        let note = parts.first { $0.hasPrefix("st=") }.map { String($0.dropFirst(3)) }
        return .page(note: note, refreshes: !parts.contains("norefresh"))
    }

    // RFC 7617: the scheme's name in any case, one space or more, base64 of "user:password".
    private func isAuthorized(_ field: String?) -> Bool {
        guard let field else { return false }
        let parts = field.split(separator: " ")
        guard parts.count == 2, parts[0].lowercased() == "basic", let given = Base64Text.decode(parts[1])
        else {
            return false
        }
        return Self.isEqual(given, credentials)
    }

    private func judge(_ request: Request) -> Decision {
        guard request.target.split(separator: ";", omittingEmptySubsequences: false).first == "/" else {
            return .notFound
        }
        // "none": the person typed the address. Any other word is another site's doing.
        if let site = request.fetchSite, site != "same-origin", site != "none" {
            return .forbidden("the browser says that another site sent this")
        }
        if let origin = request.origin {
            guard let host = request.host, origin == "http://\(host)" || origin == "https://\(host)" else {
                return .forbidden("the order comes from a page of another origin")
            }
        }
        guard let form = FormText.parse(request.body) else { return .badRequest("this is no form") }
        guard let given = form["token"], Self.isEqual(Array(given.utf8), Array(token.utf8)) else {
            return .forbidden(
                "the page is older than this proxy, or the order is not the page's; load it anew")
        }
        guard let proxy = form["b"], let server = form["s"], let action = form["action"] else {
            return .badRequest("an order names b (proxy), s (server) and action")
        }
        switch action {
        case "ready": return .order(Order(proxy: proxy, server: server, state: .ready))
        case "drain": return .order(Order(proxy: proxy, server: server, state: .drain))
        case "maint", "maintenance":
            return .order(Order(proxy: proxy, server: server, state: .maintenance))
        default: return .badRequest("action is ready, drain or maint")
        }
    }

    /// Compares in a time that depends on the given bytes alone: a guess tells nothing of how near it was.
    static func isEqual(_ given: [UInt8], _ secret: [UInt8]) -> Bool {
        var difference = given.count ^ secret.count
        for index in given.indices { difference |= Int(given[index] ^ secret[index % secret.count]) }
        return difference == 0
    }
}

/// Base64 (RFC 4648 4).
public enum Base64Text {
    /// The bytes; nil when the text is not base64, or not of whole groups of four.
    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        var (bits, count, padding) = (UInt32(0), 0, 0)
        for byte in text.utf8 {
            if byte == 0x3D {
                padding += 1
            } else {
                guard padding == 0, let value = value(byte) else { return nil }
                bits = bits << 6 | value
            }
            count += 1
            guard count % 4 == 0 else { continue }
            switch padding {
            case 0: bytes += [UInt8(bits >> 16), UInt8(bits >> 8 & 0xFF), UInt8(bits & 0xFF)]
            case 1: bytes += [UInt8(bits >> 10 & 0xFF), UInt8(bits >> 2 & 0xFF)]
            case 2: bytes.append(UInt8(bits >> 4 & 0xFF))
            default: return nil
            }
            bits = 0
        }
        return count % 4 == 0 && padding <= 2 ? bytes : nil
    }

    private static func value(_ byte: UInt8) -> UInt32? {
        switch byte {
        case 0x41...0x5A: UInt32(byte - 0x41)
        case 0x61...0x7A: UInt32(byte - 0x61 + 26)
        case 0x30...0x39: UInt32(byte - 0x30 + 52)
        case 0x2B: 62
        case 0x2F: 63
        default: nil
        }
    }
}

/// A form as browsers send it: `application/x-www-form-urlencoded`.
enum FormText {
    /// Names and values; nil when a name comes twice, an escape is broken or a value is not UTF-8.
    static func parse(_ body: [UInt8]) -> [String: String]? {
        var form: [String: String] = [:]
        for pair in body.split(separator: 0x26) {
            let parts = pair.split(separator: 0x3D, maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = decode(parts[0]), let value = decode(parts.count > 1 ? parts[1] : []) else {
                return nil
            }
            guard form.updateValue(value, forKey: name) == nil else { return nil }
        }
        return form
    }

    private static func decode(_ text: ArraySlice<UInt8>) -> String? {
        var bytes: [UInt8] = []
        var cursor = text.startIndex
        while cursor < text.endIndex {
            let byte = text[cursor]
            cursor += 1
            guard byte == 0x25 else {
                bytes.append(byte == 0x2B ? 0x20 : byte)
                continue
            }
            guard cursor + 1 < text.endIndex, let high = digit(text[cursor]),
                let low = digit(text[cursor + 1])
            else { return nil }
            bytes.append(high << 4 | low)
            cursor += 2
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }
}
