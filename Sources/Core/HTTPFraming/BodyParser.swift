/// Reads the body of one message piece by piece: which bytes are data, and where it ends.
///
/// Chunks are taken apart here and put together anew by whoever sends them on, so that nobody behind the proxy sees a
/// chunk line that it might read in another way. Chunk extensions end here (RFC 9112 7.1.1).
public struct BodyParser: Sendable {
    /// What was found next.
    public enum Step: Sendable, Equatable {
        /// Data; go on after it.
        case data(Range<Int>)
        /// All bytes are used; push more.
        case incomplete
        /// The body ended before this place.
        case end(at: Int)
        /// It is refused; the connection cannot be read on.
        case refused(HTTPFault)
    }

    private enum State: Sendable, Equatable {
        case data(UInt64)
        case untilClose
        case size(digits: Int)
        case extensions
        case sizeLineFeed
        case chunkData(UInt64)
        case dataReturn
        case dataLineFeed
        case trailer
        case trailerLineFeed
        case done
        case refused(HTTPFault)
    }

    /// The trailer fields that may go on, each line with its CRLF (RFC 9110 6.5.1).
    public private(set) var trailers: [UInt8] = []
    private var state: State
    private let limits: HTTPLimits
    /// Names of fields that end here although they come after the body.
    private let endingNames: [[UInt8]]
    private var chunkSize: UInt64 = 0
    private var lineLength = 0
    private var line: [UInt8] = []
    private var trailerBytes = 0

    /// `endingNames` are those that the message's Connection lists (RFC 9110 7.6.1).
    public init(_ length: BodyLength, limits: HTTPLimits = HTTPLimits(), endingNames: [[UInt8]] = []) {
        self.limits = limits
        self.endingNames = endingNames
        state =
            switch length {
            case .none: .done
            case .length(let count): .data(count)
            case .chunked: .size(digits: 0)
            case .untilClose: .untilClose
            }
    }

    /// Whether the body has ended.
    public var isComplete: Bool { state == .done }

    /// Whether the connection's end would be the body's (RFC 9112 8: any other end is a truncation).
    public var endsWithConnection: Bool { state == .untilClose || state == .done }

    /// What the bytes from `start` on begin with. Bytes of an earlier step are never looked at again.
    public mutating func next(_ bytes: Span<UInt8>, from start: Int) -> Step {
        var cursor = start
        while true {
            switch state {
            case .done: return .end(at: cursor)
            case .refused(let fault): return .refused(fault)
            case .data, .untilClose, .chunkData:
                guard cursor < bytes.count else { return .incomplete }
                return .data(takeData(available: cursor..<bytes.count))
            default:
                guard cursor < bytes.count else { return .incomplete }
                do throws(HTTPFault) {
                    try takeControl(bytes[cursor])
                } catch {
                    state = .refused(error)
                }
                cursor += 1
            }
        }
    }

    private mutating func takeData(available: Range<Int>) -> Range<Int> {
        switch state {
        case .data(let left):
            let count = Int(min(left, UInt64(available.count)))
            state = left > UInt64(count) ? .data(left - UInt64(count)) : .done
            return available.lowerBound..<available.lowerBound + count
        case .chunkData(let left):
            let count = Int(min(left, UInt64(available.count)))
            state = left > UInt64(count) ? .chunkData(left - UInt64(count)) : .dataReturn
            return available.lowerBound..<available.lowerBound + count
        default: return available
        }
    }

    private mutating func takeControl(_ byte: UInt8) throws(HTTPFault) {
        switch state {
        case .size(let digits): try takeSize(byte, digits: digits)
        case .extensions:
            lineLength += 1
            guard lineLength <= limits.chunkLine else { throw .headTooLarge }
            if byte == ByteClass.carriageReturn {
                state = .sizeLineFeed
            } else if !ByteClass.isFieldValue(byte) {
                throw .badChunk
            }
        case .sizeLineFeed:
            guard byte == ByteClass.lineFeed else { throw .badChunk }
            state = chunkSize > 0 ? .chunkData(chunkSize) : .trailer
        case .dataReturn:
            guard byte == ByteClass.carriageReturn else { throw .badChunk }
            state = .dataLineFeed
        case .dataLineFeed:
            guard byte == ByteClass.lineFeed else { throw .badChunk }
            (chunkSize, lineLength) = (0, 0)
            state = .size(digits: 0)
        case .trailer:
            trailerBytes += 1
            guard trailerBytes <= limits.head else { throw .headTooLarge }
            if byte == ByteClass.carriageReturn {
                state = .trailerLineFeed
            } else {
                guard ByteClass.isFieldValue(byte) else { throw .badTrailer }
                line.append(byte)
            }
        case .trailerLineFeed:
            guard byte == ByteClass.lineFeed else { throw .badTrailer }
            state = line.isEmpty ? .done : .trailer
            try endTrailer()
        case .data, .untilClose, .chunkData, .done, .refused:
            preconditionFailure("a body's data is not read byte by byte")
        }
    }

    /// 1*HEXDIG and then CRLF or an extension. At most 15 digits, so that nothing overflows (9112 7.1).
    private mutating func takeSize(_ byte: UInt8, digits: Int) throws(HTTPFault) {
        lineLength += 1
        if let value = ByteClass.hexValue(byte) {
            guard digits < 15 else { throw .badChunk }
            chunkSize = chunkSize << 4 | UInt64(value)
            state = .size(digits: digits + 1)
        } else {
            guard digits > 0 else { throw .badChunk }
            switch byte {
            case ByteClass.carriageReturn: state = .sizeLineFeed
            case ByteClass.semicolon: state = .extensions
            default: throw .badChunk
            }
        }
    }

    private mutating func endTrailer() throws(HTTPFault) {
        guard !line.isEmpty else { return }
        let colon = line.firstIndex { !ByteClass.isToken($0) } ?? line.count
        guard colon > 0, colon < line.count, line[colon] == ByteClass.colon else { throw .badTrailer }
        // 9110 6.5.1: fields of framing, routing and the connection have no meaning after the body.
        let name = FieldName.find(line.span, 0..<colon)
        let isNamed = endingNames.contains {
            line.span.equalsIgnoringCase(0..<colon, 0..<$0.count, of: $0.span)
        }
        if name == .other || name == .date, !isNamed {
            trailers += line
            trailers += [ByteClass.carriageReturn, ByteClass.lineFeed]
        }
        line.removeAll(keepingCapacity: true)
    }
}
