import LinuxSystem

// What was read, without a copy: a span of a class's array must be lent for a closure's time.

extension ProxySocket {
    /// Lends what has been read; the body may not read or drop more.
    func withInput<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
        input.withUnsafeBufferPointer { body($0.span) }
    }

    /// send(2) of the output from `start` on, which is not its end.
    func send(from start: Int) throws(SystemError) -> SocketTransfer {
        let outcome = output.withUnsafeBytes { raw -> Result<SocketTransfer, SystemError> in
            do throws(SystemError) {
                let rest = UnsafeRawBufferPointer(rebasing: raw[start...])
                return .success(try stream?.write(rest) ?? .wouldBlock)
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }
}

/// One buffer for the reads of all sockets of a loop: an idle connection then holds none.
final class ReadScratch {
    /// Bytes of one read.
    static let size = 16 << 10

    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)

    deinit { buffer.deallocate() }

    /// recv(2), appended to `bytes`.
    func read(_ stream: inout SocketStream?, appendingTo bytes: inout [UInt8]) throws(SystemError)
        -> SocketTransfer
    {
        guard let transfer = try stream?.read(into: buffer) else { return .wouldBlock }
        if case .moved(let count) = transfer {
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        return transfer
    }
}
