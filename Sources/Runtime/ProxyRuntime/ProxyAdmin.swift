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

    public init() {}

    /// What is wanted of a server.
    public subscript(_ name: Name) -> Entry {
        get { entries[name] ?? Entry() }
        set { entries[name] = newValue == Entry() ? nil : newValue }
    }
}

// The file: a head with the version, a line a server, and a last line without which it is not whole.
extension ProxyAdmin {
    static let head = "tandem proxy admin 1"
    static let end = "end"

    /// The text of the file.
    public var text: String {
        let lines = entries.sorted { "\($0.key)" < "\($1.key)" }.map { name, entry in
            "\(name.proxy) \(name.server) \(entry.state.rawValue)"
                + (entry.weight.map { " weight \($0.value) over \($0.over)" } ?? "")
        }
        return ([Self.head] + lines + [Self.end]).joined(separator: "\n") + "\n"
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
            let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
            guard words.count == 3 || words.count == 7, let state = BackendPool.AdminState(rawValue: words[2])
            else { throw ProxyAdminError(reason: "line \(index + 1) is not understood") }
            var entry = Entry(state: state)
            if words.count == 7 {
                guard words[3] == "weight", words[5] == "over", let value = Self.weight(words[4]),
                    let over = Self.weight(words[6])
                else { throw ProxyAdminError(reason: "line \(index + 1) is not understood") }
                entry.weight = Weight(value: value, over: over)
            }
            self[Name(proxy: words[0], server: words[1])] = entry
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
