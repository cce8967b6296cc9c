import Basics
import LinuxSystem
import SecureChannel

/// A connection for data while it is being made: what is said on it before it belongs to the volume's thread.
struct PeerStream: ~Copyable {
    private let socket: Descriptor
    private let stream: SocketStream
    private var channel: SecureChannel?

    /// `channel` nil: what is said is plain (`transport: plain`).
    init(_ stream: consuming SocketStream, channel: consuming SecureChannel?) throws(PeerProblem) {
        do throws(SystemError) {
            socket = try stream.descriptor.duplicate()
        } catch {
            throw PeerProblem(text: "\(error)")
        }
        self.stream = stream
        self.channel = channel
    }

    /// Waits until both sides have proven the key, or for `deadline`.
    mutating func establish(deadline: Instant) throws(PeerProblem) {
        guard channel != nil else { return }
        while channel?.isEstablished == false {
            do throws(SecureChannelError) {
                _ = try channel?.handshake()
            } catch {
                sendRemains()
                throw PeerProblem(text: "\(error)")
            }
            try flush(deadline: deadline)
            if channel?.isEstablished == false { try fill(deadline: deadline) }
        }
        try flush(deadline: deadline)
    }

    /// Sends all of it.
    mutating func send(_ bytes: [UInt8], deadline: Instant) throws(PeerProblem) {
        guard channel != nil else {
            var rest = bytes[...]
            while !rest.isEmpty {
                switch try io({ () throws(SystemError) in try stream.write(rest) }) {
                case .moved(let count): rest = rest.dropFirst(count)
                case .wouldBlock, .ended: try wait(.writable, deadline: deadline)
                }
            }
            return
        }
        let result = bytes.withUnsafeBytes { raw in
            Result { () throws(SecureChannelError) in try channel?.write(raw) ?? false }
        }
        guard case .success(true) = result else { throw PeerProblem(text: "the greeting could not be sent") }
        try flush(deadline: deadline)
    }

    /// Receives exactly `count` bytes, 1 or more: what follows them is left for the volume's thread.
    mutating func receive(_ count: Int, deadline: Instant) throws(PeerProblem) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            if channel == nil {
                var some: [UInt8] = []
                let wanted = count - filled
                switch try io({ () throws(SystemError) in try stream.read(appendingTo: &some, limit: wanted) }
                ) {
                case .moved(let moved):
                    bytes.replaceSubrange(filled..<filled + moved, with: some)
                    filled += moved
                case .ended: throw PeerProblem(text: "the peer closed the connection")
                case .wouldBlock: try wait(.readable, deadline: deadline)
                }
                continue
            }
            let result = bytes.withUnsafeMutableBytes { raw in
                Result { () throws(SecureChannelError) in
                    try channel?.read(into: UnsafeMutableRawBufferPointer(rebasing: raw[filled...])) ?? 0
                }
            }
            switch result {
            case .success(0): try fill(deadline: deadline)
            case .success(let moved): filled += moved
            case .failure(let error): throw PeerProblem(text: "\(error)")
            }
        }
        return bytes
    }

    /// Hands the connection over.
    consuming func finished() -> PeerSocket { PeerSocket(socket: socket, channel: channel) }

    private mutating func fill(deadline: Instant) throws(PeerProblem) {
        while true {
            guard let region = channel?.receiveRegion() else { return }
            let result = Result { () throws(SystemError) in try stream.read(into: region) }
            switch result {
            case .success(.moved(let count)):
                channel?.received(count)
                return
            case .success(.ended):
                channel?.received(0)
                channel?.receivedEnd()
                return
            case .success(.wouldBlock):
                channel?.received(0)
                try wait(.readable, deadline: deadline)
            case .failure(let error):
                channel?.received(0)
                throw PeerProblem(text: "\(error)")
            }
        }
    }

    private mutating func flush(deadline: Instant) throws(PeerProblem) {
        while let output = channel?.pendingOutput, !output.isEmpty {
            switch try io({ () throws(SystemError) in try stream.write(output) }) {
            case .moved(let count): channel?.consumeOutput(count)
            case .wouldBlock, .ended: try wait(.writable, deadline: deadline)
            }
        }
    }

    /// The alert that tells the peer why; best effort.
    private mutating func sendRemains() {
        guard let output = channel?.pendingOutput, !output.isEmpty else { return }
        _ = Result { () throws(SystemError) in try stream.write(output) }
    }

    private func io(_ body: () throws(SystemError) -> SocketTransfer) throws(PeerProblem) -> SocketTransfer {
        do throws(SystemError) { return try body() } catch { throw PeerProblem(text: "\(error)") }
    }

    private func wait(_ events: PollEvents, deadline: Instant) throws(PeerProblem) {
        var poll = PollSet()
        poll.add(stream.descriptor.raw, events)
        let ready: Int
        do throws(SystemError) { ready = try poll.wait(until: deadline) } catch {
            throw PeerProblem(text: "\(error)")
        }
        if ready == 0 { throw PeerProblem(text: "no answer in time") }
    }
}

/// Why a connection to the peer could not be made, in words for the journal.
struct PeerProblem: Error {
    var text: String
}
