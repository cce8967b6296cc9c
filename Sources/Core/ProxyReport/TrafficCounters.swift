public import Basics

/// How one request, or one connection in TCP mode, has ended: what is counted of it.
public struct TrafficRecord: Sendable {
    /// The server that it was last given to; nil when it reached none.
    public var server: Int?
    /// The status of the answer; -1 when nothing was answered, 0 in TCP mode.
    public var status: Int
    /// Whether the answer is the server's and not the proxy's own.
    public var isFromServer: Bool
    public var bytesIn: UInt64
    public var bytesOut: UInt64
    /// Milliseconds, each -1 where it was not reached.
    public var times: (queue: Int, connect: Int, response: Int, total: Int)
    /// The two letters of the log: who ended it, and in which phase.
    public var ending: String

    public init(
        server: Int?, status: Int, isFromServer: Bool, bytesIn: UInt64, bytesOut: UInt64,
        times: (queue: Int, connect: Int, response: Int, total: Int), ending: String
    ) {
        self.server = server
        self.status = status
        self.isFromServer = isFromServer
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
        self.times = times
        self.ending = ending
    }
}

/// Answers by the first digit of their status.
public struct ResponseCounts: Sendable, Equatable {
    public var informational: UInt64 = 0
    public var successful: UInt64 = 0
    public var redirected: UInt64 = 0
    public var clientError: UInt64 = 0
    public var serverError: UInt64 = 0
    public var other: UInt64 = 0

    public init() {}

    /// One more answer.
    mutating func note(_ status: Int) {
        switch status {
        case 200..<300: successful += 1
        case 300..<400: redirected += 1
        case 400..<500: clientError += 1
        case 500..<600: serverError += 1
        case 100..<200: informational += 1
        default: other += 1
        }
    }
}

/// What an ending of the log counts as.
public struct EndingVerdict: Sendable, Equatable {
    /// The client's request was no request, was cut off or came too slowly.
    public var requestError = false
    /// The server's answer was none, was cut off or came too slowly.
    public var responseError = false
    /// The client went away before the end.
    public var clientAbort = false
    /// The server went away inside its answer.
    public var serverAbort = false
    /// No server was reached, and none is to blame for it.
    public var unplaced = false
    /// It ended before a server was asked for.
    public var neverAsked = false

    /// The verdict on the two letters.
    public init(_ ending: String) {
        let letters = Array(ending.utf8.prefix(2))
        guard letters.count == 2 else { return }
        let (who, phase) = (letters[0], letters[1])
        let (client, server, proxy) = (UInt8(ascii: "C"), UInt8(ascii: "S"), UInt8(ascii: "P"))
        // A small letter: the party was too slow.
        let party = who | 0x20 == client | 0x20 ? client : who | 0x20 == server | 0x20 ? server : who
        neverAsked = phase == UInt8(ascii: "R")
        switch phase {
        case UInt8(ascii: "R"): requestError = party == client || party == proxy
        case UInt8(ascii: "Q"): unplaced = party == server
        case UInt8(ascii: "C"): unplaced = party == server
        case UInt8(ascii: "H"), UInt8(ascii: "D"): responseError = party == server || party == proxy
        default: break
        }
        clientAbort = party == client && phase != UInt8(ascii: "R")
        serverAbort = who == server && phase == UInt8(ascii: "D")
    }
}

/// What is counted of one server, and of all of them together.
public struct TrafficCounters: Sendable, Equatable {
    public var bytesIn: UInt64 = 0
    public var bytesOut: UInt64 = 0
    public var responses = ResponseCounts()
    /// Requests that have ended.
    public var requests: UInt64 = 0
    /// Connections that could not be made; for all servers together also requests that found none.
    public var connectionErrors: UInt64 = 0
    public var responseErrors: UInt64 = 0
    public var clientAborts: UInt64 = 0
    public var serverAborts: UInt64 = 0
    /// Sent once more to the same server.
    public var retries: UInt64 = 0
    /// Given to another server after this one had failed.
    public var redispatches: UInt64 = 0
    /// Connections begun for requests.
    public var connects: UInt64 = 0
    /// Requests that went over a kept connection.
    public var reuses: UInt64 = 0
    /// Chosen by the method, not by a cookie.
    public var balanced: UInt64 = 0
    public var sessionRate = RateMeter()
    public var queueTime = SlidingAverage()
    public var connectTime = SlidingAverage()
    public var responseTime = SlidingAverage()
    public var totalTime = SlidingAverage()
    /// When the last request was placed; nil before the first.
    public var lastSession: Instant?

    public init() {}

    /// One was placed.
    mutating func placed(isBalanced: Bool, second: UInt64, at now: Instant) {
        sessionRate.note(second: second)
        if isBalanced { balanced += 1 }
        lastSession = now
    }

    /// One has ended that went well, or whose ending is looked at elsewhere.
    mutating func ended(_ record: borrowing TrafficRecord, countsStatus: Bool) {
        requests += 1
        bytesIn += record.bytesIn
        bytesOut += record.bytesOut
        if countsStatus { responses.note(record.status) }
        if record.times.queue >= 0 { queueTime.note(UInt64(record.times.queue)) }
        if record.times.connect >= 0 { connectTime.note(UInt64(record.times.connect)) }
        if record.times.response >= 0 { responseTime.note(UInt64(record.times.response)) }
        if record.times.total >= 0 { totalTime.note(UInt64(record.times.total)) }
    }

    /// The same one, when it did not go well.
    mutating func blamed(_ verdict: EndingVerdict) {
        if verdict.responseError { responseErrors += 1 }
        if verdict.clientAbort { clientAborts += 1 }
        if verdict.serverAbort { serverAborts += 1 }
    }
}
