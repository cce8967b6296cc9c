import Basics
import CLinux
import Glibc

/// A disk with a write cache that forgets: what a virtual machine's power cut is judged with.
///
/// QEMU alone would lose nothing but the machine's memory: what the machine has written is in this host's page
/// cache, flushed or not. So each machine's disk is a process of its own, reached as a network block device, that
/// keeps some of what was written in its memory until the machine flushes. When QEMU is killed the connection ends
/// without a goodbye, and the disk ends too, with what it had in memory: of the writes since the last flush some are
/// then on the disk whole, some not at all and some in part (sectors of 512 bytes), in no order, as a disk may have
/// it.
///
/// While the file `SOCKET.lies` exists the disk lies: it answers flushes and keeps everything in memory. Its machine's
/// power cut then takes back all since the lie began, which no replication survives when both disks do it, so that
/// whoever judges durability can be seen to find it.
///
/// The protocol is NBD, fixed newstyle handshake and simple replies, one connection.
public struct VolatileDisk: Sendable {
    /// What becomes of a write before the next flush.
    public enum Cache: String, Sendable, CaseIterable {
        /// By the toss of a coin: half of the writes stay in memory, a quarter reach the disk at once, the rest in
        /// part.
        case mixed
        /// All stay in memory.
        case all
        /// None do: a disk without a cache.
        case none
    }

    /// The image; its size is the disk's.
    public var image: String
    /// The Unix socket that QEMU connects to.
    public var socket: String
    public var cache = Cache.mixed
    /// Of the coin.
    public var seed: UInt64 = 1

    public init(image: String, socket: String) {
        self.image = image
        self.socket = socket
    }

    static let sector = 512
    /// More than this in memory is written out, as a real cache does when it is full.
    static let sectorsMost = 131_072

    /// Serves one connection to its end and gives the number of sectors that were lost with it: none when the machine
    /// said goodbye, all that are in memory when it was cut off.
    public func run() throws(LabError) -> Int {
        let listener = try DiskSocket.listen(at: socket)
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { throw LabError("accept on \(socket)", code: errno) }
        close(listener)
        defer { close(connection) }
        return try serve(connection)
    }

    /// Serves one connection that is open.
    func serve(_ connection: Int32) throws(LabError) -> Int {
        let file = clinux_open(image, O_RDWR | O_CLOEXEC, 0)
        guard file >= 0 else { throw LabError("open \(image)", code: errno) }
        defer { close(file) }
        let size = Int(lseek(file, 0, SEEK_END))
        guard
            let shadow = mmap(
                nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
            shadow != MAP_FAILED
        else { throw LabError("map \(size) bytes", code: errno) }
        defer { munmap(shadow, size) }
        var session = Session(
            stream: DiskSocket(connection), file: file, size: size, cache: cache, lie: socket + ".lies",
            shadow: shadow, generator: SeededGenerator(seed: seed))
        try session.greet()
        while true {
            switch try session.serveOne() {
            case .served: continue
            case .cutOff: return session.isVolatile.count { $0 }
            case .goodbye:
                try session.writeOut()
                return 0
            }
        }
    }

    private enum Turn { case served, goodbye, cutOff }

    private struct Session {
        let stream: DiskSocket
        let file: Int32
        let size: Int
        let cache: Cache
        /// The file that makes the disk lie.
        let lie: String
        /// As large as the disk; only sectors in `volatile` count.
        let shadow: UnsafeMutableRawPointer
        var generator: SeededGenerator
        /// One flag a sector: whether the newest content is in memory alone.
        var isVolatile: [Bool]
        /// The sectors that were ever set in `isVolatile` since the last flush.
        var touched: [Int] = []
        var buffer: [UInt8] = []

        init(
            stream: DiskSocket, file: Int32, size: Int, cache: Cache, lie: String,
            shadow: UnsafeMutableRawPointer, generator: SeededGenerator
        ) {
            self.stream = stream
            self.file = file
            self.size = size
            self.cache = cache
            self.lie = lie
            self.shadow = shadow
            self.generator = generator
            isVolatile = [Bool](repeating: false, count: size / VolatileDisk.sector)
        }

        /// The handshake: every option but GO and EXPORT_NAME is declined.
        func greet() throws(LabError) {
            // NBDMAGIC, IHAVEOPT, fixed newstyle without zeroes.
            try stream.send(
                DiskSocket.big(0x4E42_444D_4147_4943, 8) + DiskSocket.big(0x4948_4156_454F_5054, 8))
            try stream.send(DiskSocket.big(3, 2))
            _ = try stream.receive(4)
            // HAS_FLAGS, SEND_FLUSH.
            let export = DiskSocket.big(UInt64(size), 8) + DiskSocket.big(1 | 4, 2)
            while true {
                let head = try stream.receive(16)
                let option = DiskSocket.number(head[8..<12])
                _ = try stream.receive(Int(DiskSocket.number(head[12..<16])))
                func reply(_ kind: UInt64, _ body: [UInt8] = []) throws(LabError) {
                    try stream.send(
                        DiskSocket.big(0x3_E889_0455_65A9, 8) + DiskSocket.big(option, 4)
                            + DiskSocket.big(kind, 4) + DiskSocket.big(UInt64(body.count), 4) + body)
                }
                switch option {
                case 1:
                    try stream.send(export)
                    return
                case 7:
                    // INFO_EXPORT, then the block sizes that keep requests whole sectors.
                    try reply(3, DiskSocket.big(0, 2) + export)
                    try reply(
                        3,
                        DiskSocket.big(3, 2) + DiskSocket.big(512, 4) + DiskSocket.big(4096, 4)
                            + DiskSocket.big(4 << 20, 4))
                    try reply(1)
                    return
                default:
                    try reply(0x8000_0001)
                }
            }
        }

        /// One request.
        mutating func serveOne() throws(LabError) -> Turn {
            guard let head = try stream.receiveOrEnd(28) else { return .cutOff }
            guard DiskSocket.number(head[0..<4]) == 0x2560_9513 else {
                throw LabError("a request without its magic number")
            }
            let command = DiskSocket.number(head[6..<8])
            let offset = Int(clamping: DiskSocket.number(head[16..<24]))
            let count = Int(DiskSocket.number(head[24..<28]))
            let isInside = offset <= size && count <= size - offset
            var code: UInt64 = 0
            var content: [UInt8] = []
            switch command {
            case 0 where isInside: content = try read(offset, count)
            case 1:
                guard let bytes = try stream.receiveOrEnd(count) else { return .cutOff }
                if isInside { try write(bytes, at: offset) } else { code = UInt64(ENOSPC) }
            case 2: return .goodbye
            case 3: if !isLying { try writeOut() }
            default: code = UInt64(EINVAL)
            }
            let handle = Array(head[8..<16])
            let reply = DiskSocket.big(0x6744_6698, 4) + DiskSocket.big(code, 4) + handle + content
            return try stream.sendOrEnd(reply) ? .served : .cutOff
        }

        private var isLying: Bool { access(lie, F_OK) == 0 }

        private func read(_ offset: Int, _ count: Int) throws(LabError) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: count)
            guard pread(file, &bytes, count, off_t(offset)) == count else {
                throw LabError("read \(count) bytes at \(offset)", code: errno)
            }
            guard !touched.isEmpty else { return bytes }
            for begin in stride(from: 0, to: count, by: VolatileDisk.sector)
            where isVolatile[(offset + begin) / VolatileDisk.sector] {
                bytes.withUnsafeMutableBytes { raw in
                    guard let base = raw.baseAddress else { return }
                    memcpy(base + begin, shadow + offset + begin, min(VolatileDisk.sector, count - begin))
                }
            }
            return bytes
        }

        private mutating func write(_ bytes: [UInt8], at offset: Int) throws(LabError) {
            let coin = generator.below(4)
            let lies = isLying
            let stays: Bool? =
                switch cache {
                case _ where lies: true
                case .all: true
                case .none: false
                case .mixed: coin < 2 ? true : coin == 2 ? false : nil
                }
            for begin in stride(from: 0, to: bytes.count, by: VolatileDisk.sector) {
                let index = (offset + begin) / VolatileDisk.sector
                bytes.withUnsafeBytes { raw in
                    guard let base = raw.baseAddress else { return }
                    memcpy(shadow + offset + begin, base + begin, VolatileDisk.sector)
                }
                let keeps = stays ?? generator.chance(in: 2)
                if keeps {
                    if !isVolatile[index] { touched.append(index) }
                } else {
                    try put(offset + begin, VolatileDisk.sector)
                }
                isVolatile[index] = keeps
            }
            if touched.count > VolatileDisk.sectorsMost && !lies { try writeOut() }
        }

        /// Flush: what is in memory alone reaches the image. The host itself does not crash here.
        mutating func writeOut() throws(LabError) {
            touched.sort()
            var run: (begin: Int, end: Int)?
            for index in touched where isVolatile[index] {
                isVolatile[index] = false
                if let last = run, last.end == index {
                    run = (last.begin, index + 1)
                    continue
                }
                if let run {
                    try put(run.begin * VolatileDisk.sector, (run.end - run.begin) * VolatileDisk.sector)
                }
                run = (index, index + 1)
            }
            if let run {
                try put(run.begin * VolatileDisk.sector, (run.end - run.begin) * VolatileDisk.sector)
            }
            touched.removeAll(keepingCapacity: true)
        }

        private func put(_ offset: Int, _ count: Int) throws(LabError) {
            guard pwrite(file, shadow + offset, count, off_t(offset)) == count else {
                throw LabError("write \(count) bytes at \(offset)", code: errno)
            }
        }
    }
}

/// A connection of the disk's protocol: whole messages, big-endian numbers.
struct DiskSocket: Sendable {
    private let number: Int32

    init(_ number: Int32) { self.number = number }

    /// A listening Unix socket at a path.
    static func listen(at path: String) throws(LabError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw LabError("the path of a socket is too long: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        unlink(path)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard listener >= 0, bound == 0, Glibc.listen(listener, 1) == 0 else {
            throw LabError("listen on \(path)", code: errno)
        }
        return listener
    }

    /// A number's lowest `count` bytes, highest first.
    static func big(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }

    static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

    func send(_ bytes: [UInt8]) throws(LabError) {
        guard try sendOrEnd(bytes) else { throw LabError("the machine has disconnected") }
    }

    /// False when there is nobody any more to receive it.
    func sendOrEnd(_ bytes: [UInt8]) throws(LabError) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let begin = sent
            let count = bytes.withUnsafeBytes { raw in
                raw.baseAddress.map {
                    Glibc.send(number, $0 + begin, bytes.count - begin, Int32(MSG_NOSIGNAL))
                } ?? -1
            }
            if count < 0 && errno == EINTR { continue }
            if count < 0 && (errno == EPIPE || errno == ECONNRESET) { return false }
            guard count > 0 else { throw LabError("send to the machine", code: errno) }
            sent += count
        }
        return true
    }

    func receive(_ count: Int) throws(LabError) -> [UInt8] {
        guard let bytes = try receiveOrEnd(count) else { throw LabError("the machine has disconnected") }
        return bytes
    }

    /// Nil when the connection ends. A message that is cut off in its middle is no message: its sender was killed.
    func receiveOrEnd(_ count: Int) throws(LabError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var got = 0
        while got < count {
            let begin = got
            let more = bytes.withUnsafeMutableBytes { raw in
                raw.baseAddress.map { Glibc.read(number, $0 + begin, count - begin) } ?? -1
            }
            if more < 0 && errno == EINTR { continue }
            if more <= 0 { return nil }
            got += more
        }
        return bytes
    }
}
