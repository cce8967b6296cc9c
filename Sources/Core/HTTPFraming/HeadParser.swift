/// Reads the head of one message, in as many pushes as its bytes take to come.
///
/// It decides where the head ends, what it means for the connection and the body, and whether it may be believed.
/// It does not decide what is done about it, and copies nothing. What is refused here is what two readers could
/// read in two ways: that is how requests are smuggled. RFC 9112 numbers stand beside each rule.
///
/// States: leading empty lines (requests only) -> start line -> fields -> done or refused, for good until `reset`.
public struct HeadParser: Sendable {
    /// What a push has led to.
    public enum Progress: Sendable, Equatable {
        /// The head is not complete; push again with more.
        case incomplete
        /// `head` holds it.
        case complete
        /// It is refused; the connection cannot be read on.
        case refused(HTTPFault)
    }

    /// Empty lines that are skipped before a request (RFC 9112 2.2: at least one).
    static let emptyLineMaximum = 4

    public private(set) var head: MessageHead
    private let limits: HTTPLimits
    /// Bytes that were looked at.
    private var scanned = 0
    private var lineStart = 0
    private var emptyLines = 0
    private var hasStartLine = false
    private var verdict = Progress.incomplete

    public init(_ kind: MessageHead.Kind, limits: HTTPLimits = HTTPLimits()) {
        head = MessageHead(kind: kind)
        self.limits = limits
    }

    /// Makes it ready for the next message.
    public mutating func reset() {
        head.reset()
        (scanned, lineStart, emptyLines, hasStartLine) = (0, 0, 0, false)
        verdict = .incomplete
    }

    /// Whether bytes of a message were seen: a connection that ends now ends inside one.
    public var hasBegun: Bool { hasStartLine || scanned > lineStart }

    /// Looks at what has come. `bytes` are all bytes of the message so far, from its first; what an earlier push
    /// had is unchanged.
    public mutating func push(_ bytes: Span<UInt8>) -> Progress {
        guard verdict == .incomplete else { return verdict }
        do throws(HTTPFault) {
            while scanned < bytes.count, verdict == .incomplete {
                try step(bytes, bytes[scanned])
                passOver(bytes)
            }
        } catch {
            verdict = .refused(error)
        }
        return verdict
    }

    /// Goes on to the next byte that `step` must look at: most bytes of a head are inside a line and within its limits.
    private mutating func passOver(_ bytes: Span<UInt8>) {
        guard scanned > lineStart, bytes[scanned - 1] != ByteClass.carriageReturn else { return }
        var end = min(bytes.count, limits.head - 1)
        if !hasStartLine { end = min(end, lineStart + limits.startLine + 1) }
        var place = scanned
        while place < end {
            let byte = bytes[place]
            if byte == ByteClass.lineFeed || byte == ByteClass.carriageReturn { break }
            place += 1
        }
        scanned = place
    }

    private mutating func step(_ bytes: Span<UInt8>, _ byte: UInt8) throws(HTTPFault) {
        if byte == ByteClass.lineFeed {
            // RFC 9112 2.2 lets a recipient take a bare LF; one that does not cannot be made to disagree with the
            // origin about where a line ends.
            guard scanned > lineStart, bytes[scanned - 1] == ByteClass.carriageReturn else {
                throw .bareLineFeed
            }
            let line = lineStart..<(scanned - 1)
            scanned += 1
            lineStart = scanned
            try take(bytes, line)
            return
        }
        if scanned > lineStart, bytes[scanned - 1] == ByteClass.carriageReturn { throw .bareCarriageReturn }
        if !hasStartLine, scanned == lineStart, byte != ByteClass.carriageReturn {
            // Other protocols (a TLS hello, say) are refused at once and do not wait for a line end.
            guard ByteClass.isToken(byte) else { throw .badStartLine }
        }
        scanned += 1
        if !hasStartLine, scanned - lineStart > limits.startLine + 1 { throw .startLineTooLong }
        if scanned >= limits.head { throw .headTooLarge }
    }

    private mutating func take(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(HTTPFault) {
        if !hasStartLine {
            if line.isEmpty {
                emptyLines += 1
                guard head.kind == .request, emptyLines <= Self.emptyLineMaximum else { throw .emptyLines }
                return
            }
            if line.count > limits.startLine { throw .startLineTooLong }
            switch head.kind {
            case .request: try head.readRequestLine(bytes, line)
            case .response: try head.readStatusLine(bytes, line)
            }
            hasStartLine = true
        } else if line.isEmpty {
            head.length = scanned
            try head.finish(bytes)
            verdict = .complete
        } else {
            guard head.fields.count < limits.fields else { throw .headTooLarge }
            try head.readField(bytes, line)
        }
    }
}
