import Basics
import Glibc
import LinuxSystem
import NodeRuntime
import Quorum
import Replication
import SecureChannel
import Testing

/// Two copies of one volume in one process, with a socket between them.
final class VolumePair {
    let first: TestVolume
    let second: TestVolume
    private let isSealed: Bool

    init(
        folder: Folder, sealed: Bool, size: UInt64 = 32 << 20, freezeTimeout: Interval = .seconds(5),
        hasArbiter: Bool = false
    ) throws {
        isSealed = sealed
        first = try TestVolume(
            folder: folder, copies: .both, size: size, freezeTimeout: freezeTimeout, hasArbiter: hasArbiter)
        second = try TestVolume(
            folder: folder, name: "peer.img", node: .second, copies: .both, size: size,
            freezeTimeout: freezeTimeout, hasArbiter: hasArbiter)
    }

    /// Gives both ends of a new connection to the two threads, and waits until they have compared their copies.
    func connect() throws {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        try #require(socketpair(AF_UNIX, kind, 0, &ends) == 0)
        let one = Descriptor(adopting: ends[0])
        let other = Descriptor(adopting: ends[1])
        if isSealed {
            var channels = try Self.channels()
            first.volume.post(.link(PeerSocket(socket: one, channel: channels.client.take())))
            second.volume.post(.link(PeerSocket(socket: other, channel: channels.server.take())))
        } else {
            first.volume.post(.link(PeerSocket(socket: one, channel: nil)))
            second.volume.post(.link(PeerSocket(socket: other, channel: nil)))
        }
        for end in [first, second] {
            let _: HandshakeRow = try end.reports.first("the handshake") { report in
                if case .note(.handshake(let row)) = report { row } else { nil }
            }
        }
    }

    /// Connects them and serves the device on the first one: its file, open for reading and writing.
    func open() throws -> Descriptor {
        try connect()
        try first.promote()
        try first.serve()
        return Descriptor(adopting: Glibc.open(first.file, O_RDWR))
    }

    /// Ends what `open` began, and both threads.
    func close(_ file: consuming Descriptor) throws {
        file.close()
        try first.unmount()
        stop()
    }

    /// Cuts the connection and waits until the first one knows.
    func cut() throws {
        first.volume.post(.dropLink)
        let _: Bool = try first.reports.first("the loss") { report in
            if case .linkClosed = report { true } else { nil }
        }
    }

    struct Channels: ~Copyable {
        var client: SecureChannel?
        var server: SecureChannel?
    }

    private static func channels() throws -> Channels {
        let key = PresharedKey(identity: "test", bytes: [UInt8](repeating: 9, count: 32))
        var client = try SecureChannel(role: .client(key), inputSize: 4 << 20, outputSize: 4 << 20)
        var server = try SecureChannel(role: .server([key]), inputSize: 4 << 20, outputSize: 4 << 20)
        for _ in 0..<4 {
            try client.handshake()
            client.consumeOutput(server.received(copying: client.pendingOutput))
            try server.handshake()
            server.consumeOutput(client.received(copying: server.pendingOutput))
        }
        try #require(client.isEstablished && server.isEstablished)
        return Channels(client: client, server: server)
    }

    /// Ends both threads.
    func stop() {
        first.volume.stop()
        second.volume.stop()
    }
}
