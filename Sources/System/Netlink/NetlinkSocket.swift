import CLinux
import Glibc
import LinuxSystem

/// A socket to one of the kernel's netlink families, for requests that are answered at once.
struct NetlinkSocket: ~Copyable {
    enum Family: Int32 {
        case route = 0
        case diagnostics = 4
        case netfilter = 12
    }

    static let request: UInt16 = 1
    static let acknowledge: UInt16 = 4
    static let dump: UInt16 = 0x300
    static let replace: UInt16 = 0x100
    static let create: UInt16 = 0x400

    /// The kernel answers within microseconds; waiting for ever would only hide a mistake of ours.
    private static let timeoutMilliseconds: UInt32 = 2000
    private static let dumpAttempts = 5

    let descriptor: Descriptor
    private var sequence: UInt32 = 0

    init(_ family: Family) throws(SystemError) {
        let number = clinux_netlink_socket(family.rawValue, 0, Self.timeoutMilliseconds)
        guard number >= 0 else { throw SystemError(operation: "netlink socket", subject: "", code: errno) }
        descriptor = Descriptor(adopting: number)
    }

    mutating func nextSequence() -> UInt32 {
        sequence &+= 1
        return sequence
    }

    /// Sends what was built and waits for the acknowledgement of the message with that sequence number. An
    /// error of any message with a number from `first` on is thrown.
    func transact(
        _ bytes: [UInt8], from first: UInt32, to last: UInt32, _ operation: String, _ subject: String
    )
        throws(SystemError)
    {
        try send(bytes, operation, subject)
        while true {
            for reply in try receive(operation, subject)
            where reply.sequence >= first && reply.sequence <= last {
                guard let code = reply.errorCode else { continue }
                guard code == 0 else { throw SystemError(operation: operation, subject: subject, code: code) }
                if reply.sequence == last { return }
            }
        }
    }

    /// All messages that answer a dump; a dump that the kernel calls interrupted is repeated.
    mutating func dump(
        _ operation: String, request build: (UInt32) -> [UInt8]
    ) throws(SystemError) -> [NetlinkReply] {
        for _ in 0..<Self.dumpAttempts {
            let number = nextSequence()
            try send(build(number), operation, "")
            var replies: [NetlinkReply] = []
            var isComplete = false
            var wasInterrupted = false
            while !isComplete {
                for reply in try receive(operation, "") where reply.sequence == number {
                    if reply.flags & NetlinkReply.interruptedFlag != 0 { wasInterrupted = true }
                    if let code = reply.errorCode, code != 0 {
                        throw SystemError(operation: operation, subject: "", code: code)
                    }
                    if reply.type == NetlinkReply.done { isComplete = true } else { replies.append(reply) }
                }
            }
            if !wasInterrupted { return replies }
        }
        throw SystemError(operation: operation, subject: "", code: EINTR)
    }

    private func send(_ bytes: [UInt8], _ operation: String, _ subject: String) throws(SystemError) {
        guard Glibc.send(descriptor.raw, bytes, bytes.count, 0) == bytes.count else {
            throw SystemError(operation: operation, subject: subject, code: errno)
        }
    }

    private func receive(_ operation: String, _ subject: String) throws(SystemError) -> [NetlinkReply] {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(descriptor.raw, &buffer, buffer.count, 0)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw SystemError(operation: operation, subject: subject, code: errno) }
            return NetlinkReply.all(in: Array(buffer[..<count]))
        }
    }
}
