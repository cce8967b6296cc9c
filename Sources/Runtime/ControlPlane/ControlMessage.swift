/// What a verb of the command line asks of the local daemon: one line of JSON.
public struct ControlRequest: Sendable, Equatable {
    /// "status", "promote", ...
    public var verb: String
    /// The group that it concerns; nil where the verb takes none, or the only group is meant.
    public var group: String?
    public var arguments: [String]

    public init(verb: String, group: String? = nil, arguments: [String] = []) {
        self.verb = verb
        self.group = group
        self.arguments = arguments
    }

    /// Bytes of a line at most, without its end.
    public static let lineMaximum = 65536

    /// One line without its end.
    public var line: String {
        let value: JSONValue = [
            "verb": .string(verb), "group": .optional(group),
            "arguments": .array(arguments.map { .string($0) }),
        ]
        return value.encoded()
    }

    /// The request of a line; nil when it is none.
    public init?(line: [UInt8]) {
        let result = Result { () throws(JSONError) in
            try JSONValue.decode(line, limit: Self.lineMaximum)
        }
        guard case .success(let value) = result, let verb = value["verb"].string else { return nil }
        self.init(
            verb: verb, group: value["group"].string,
            arguments: value["arguments"].elements.compactMap(\.string))
    }
}

/// What the daemon answers: one line of JSON, or several while it is followed.
public struct ControlReply: Sendable, Equatable {
    /// Whether it was done.
    public var isOK: Bool
    /// One sentence for the operator; may be empty when all is well.
    public var message: String
    /// What was asked for.
    public var body: JSONValue

    public init(isOK: Bool, message: String = "", body: JSONValue = .null) {
        self.isOK = isOK
        self.message = message
        self.body = body
    }

    /// It was done.
    public static func done(_ message: String = "", body: JSONValue = .null) -> ControlReply {
        ControlReply(isOK: true, message: message, body: body)
    }

    /// It was not done, and why, and what to do.
    public static func refused(_ message: String) -> ControlReply {
        ControlReply(isOK: false, message: message)
    }

    /// Bytes of a line at most, without its end.
    public static let lineMaximum = 4 << 20

    /// One line without its end.
    public var line: String {
        let value: JSONValue = ["ok": .boolean(isOK), "message": .string(message), "body": body]
        return value.encoded()
    }

    /// The reply of a line; nil when it is none.
    public init?(line: [UInt8]) {
        let result = Result { () throws(JSONError) in
            try JSONValue.decode(line, limit: Self.lineMaximum)
        }
        guard case .success(let value) = result, let isOK = value["ok"].boolean else { return nil }
        self.init(isOK: isOK, message: value["message"].string ?? "", body: value["body"])
    }
}

/// Serves the requests of the control socket: a node's daemon, or the witness.
public protocol ControlHandler: AnyObject, Sendable {
    /// Called on the server's thread: begin, and return at once. `reply` is called once, now or later, by any
    /// thread.
    func handle(_ request: ControlRequest, reply: @escaping @Sendable (ControlReply) -> Void)
}
