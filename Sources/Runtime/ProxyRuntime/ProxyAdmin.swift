public import Balancing

/// What the operator wants of servers beside the settings, by their names: what survives a reload and a restart.
///
/// The settings win: a weight holds while the settings have the weight that it replaced, and a server that they do not
/// name is forgotten.
public struct ProxyAdmin: Sendable, Equatable {
    /// A server by its proxy's name and its own.
    public struct Name: Sendable, Hashable, CustomStringConvertible {
        public var proxy: String
        public var server: String

        public init(proxy: String, server: String) {
            self.proxy = proxy
            self.server = server
        }

        public var description: String { "\(proxy)/\(server)" }
    }

    /// Another weight than the settings'.
    public struct Weight: Sendable, Equatable {
        /// 0 ... 256
        public var value: Int
        /// What the settings had when it was given.
        public var over: Int

        public init(value: Int, over: Int) {
            self.value = value
            self.over = over
        }
    }

    /// What is wanted of one server.
    public struct Entry: Sendable, Equatable {
        public var state = BackendPool.AdminState.ready
        public var weight: Weight?

        public init(state: BackendPool.AdminState = .ready, weight: Weight? = nil) {
            self.state = state
            self.weight = weight
        }
    }

    /// Those of whom something is wanted that the settings do not say.
    public private(set) var entries: [Name: Entry] = [:]

    /// Which order of all was the latest of each server: the pair keeps the higher one. A server that is ready again
    /// keeps its number, or the other proxy's older order would come back.
    public private(set) var turns: [Name: UInt64] = [:]

    public init() {}

    /// What is wanted of a server.
    public subscript(_ name: Name) -> Entry {
        get { entries[name] ?? Entry() }
        set { entries[name] = newValue == Entry() ? nil : newValue }
    }
}

// The pair.
extension ProxyAdmin {
    /// The operator orders something of a server: later than all that is known here.
    public mutating func order(_ entry: Entry, of name: Name) {
        self[name] = entry
        turns[name] = (turns.values.max() ?? 0) + 1
    }

    /// Takes over an entry of earlier orders, with its place among them.
    mutating func keep(_ entry: Entry, of name: Name, from earlier: ProxyAdmin) {
        self[name] = entry
        turns[name] = earlier.turns[name]
    }

    /// Takes over what was ordered later at the other proxy, and gives the servers that it was ordered of. Of two orders
    /// with one number, given while the proxies did not hear each other, both proxies choose the same.
    public mutating func merge(_ other: ProxyAdmin) -> [Name] {
        other.turns.compactMap { name, turn in
            let own = turns[name] ?? 0
            guard turn > own || turn == own && line(name) < other.line(name) else { return nil }
            let isNews = self[name] != other[name]
            self[name] = other[name]
            turns[name] = turn
            return isNews ? name : nil
        }
    }
}

// The file: a head with the version, a line a server, and a last line without which it is not whole.
extension ProxyAdmin {
    static let head = "tandem proxy admin 1"
    static let end = "end"

    private func line(_ name: Name) -> String {
        let entry = self[name]
        return "\(name.proxy) \(name.server) \(entry.state.rawValue)"
            + (entry.weight.map { " weight \($0.value) over \($0.over)" } ?? "")
            + (turns[name].map { " turn \($0)" } ?? "")
    }

    /// The text of the file.
    public var text: String {
        let names = Set(entries.keys).union(turns.keys).sorted { "\($0)" < "\($1)" }
        return ([Self.head] + names.map { line($0) } + [Self.end]).joined(separator: "\n") + "\n"
    }

    /// Reads ``text``; the error says what is wrong with it.
    public init(text: String) throws(ProxyAdminError) {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.first.map(String.init) == Self.head else {
            throw ProxyAdminError(reason: "its first line is not '\(Self.head)'")
        }
        guard lines.count >= 3, lines.removeLast().isEmpty, lines.removeLast() == Self.end else {
            throw ProxyAdminError(reason: "it is cut off")
        }
        for (index, line) in lines.enumerated().dropFirst() {
            var words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
            let unknown = ProxyAdminError(reason: "line \(index + 1) is not understood")
            var turn: UInt64?
            if words.count >= 5, words[words.count - 2] == "turn" {
                guard let number = UInt64(words[words.count - 1]) else { throw unknown }
                turn = number
                words.removeLast(2)
            }
            guard words.count == 3 || words.count == 7, let state = BackendPool.AdminState(rawValue: words[2])
            else { throw unknown }
            var entry = Entry(state: state)
            if words.count == 7 {
                guard words[3] == "weight", words[5] == "over", let value = Self.weight(words[4]),
                    let over = Self.weight(words[6])
                else { throw unknown }
                entry.weight = Weight(value: value, over: over)
            }
            let name = Name(proxy: words[0], server: words[1])
            self[name] = entry
            turns[name] = turn
        }
    }

    /// A weight as it is written; nil for anything else.
    static func weight(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text).flatMap { (0...256).contains($0) ? $0 : nil }
    }
}

/// Why a file is no record of what the operator wanted.
public struct ProxyAdminError: Error, Equatable, Sendable {
    public var reason: String
}
