import Glibc
import Testing

@testable import Lab

@Suite("A disk that forgets what was not flushed")
struct VolatileDiskTests {
    /// What a machine says to its disk, one message after the other.
    private struct Machine {
        var bytes: [UInt8]

        init() {
            // Flags; IHAVEOPT, GO, six bytes: no name, no information asked for.
            bytes = DiskSocket.big(3, 4)
            bytes += DiskSocket.big(0x4948_4156_454F_5054, 8) + DiskSocket.big(7, 4) + DiskSocket.big(6, 4)
            bytes += DiskSocket.big(0, 6)
        }

        mutating func say(_ command: UInt64, at offset: UInt64 = 0, count: Int = 0, _ content: [UInt8] = []) {
            bytes += DiskSocket.big(0x2560_9513, 4) + DiskSocket.big(0, 2) + DiskSocket.big(command, 2)
            bytes += DiskSocket.big(77, 8) + DiskSocket.big(offset, 8)
            bytes += DiskSocket.big(UInt64(max(count, content.count)), 4) + content
        }

        mutating func write(_ value: UInt8, at offset: UInt64, sectors: Int = 8) {
            say(1, at: offset, [UInt8](repeating: value, count: sectors * 512))
        }

        mutating func flush() { say(3) }
        mutating func goodbye() { say(2) }
    }

    private struct Outcome {
        let lost: Int
        let image: [UInt8]
        /// What the machine was told, the handshake not counted.
        let replies: [UInt8]
    }

    /// Lets the machine say all it has to say; then its end of the connection is closed, as when it is killed.
    private func run(_ machine: Machine, cache: VolatileDisk.Cache, seed: UInt64 = 1) throws -> Outcome {
        let place = environmentVariable("TMPDIR") ?? "/var/tmp"
        let image = "\(place)/tandem-disk-\(getpid())-\(seed)-\(cache.rawValue)-\(machine.bytes.count)"
        defer { unlink(image) }
        try TextFile.write(String(repeating: "\0", count: 65536), to: image)
        var ends: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { for end in ends { close(end) } }
        let client = DiskSocket(ends[0])
        try client.send(machine.bytes)
        shutdown(ends[0], Int32(SHUT_WR))
        var disk = VolatileDisk(image: image, socket: image + ".socket")
        disk.cache = cache
        disk.seed = seed
        let lost = try disk.serve(ends[1])
        shutdown(ends[1], Int32(SHUT_WR))
        // 18 bytes of greeting; export 20 + 12, block sizes 20 + 14, end 20.
        _ = try client.receive(18 + 32 + 34 + 20)
        var replies: [UInt8] = []
        while let byte = try client.receiveOrEnd(1) { replies += byte }
        return Outcome(lost: lost, image: TextFile.bytes(image) ?? [], replies: replies)
    }

    @Test("keeps what was flushed and loses what was not when the machine is cut off")
    func cutOff() throws {
        var machine = Machine()
        machine.write(1, at: 0)
        machine.flush()
        machine.write(2, at: 0, sectors: 1)
        machine.write(3, at: 8192)
        let outcome = try run(machine, cache: .all)
        #expect(outcome.lost == 9)
        #expect(outcome.image[0..<4096].allSatisfy { $0 == 1 })
        #expect(outcome.image[8192..<12288].allSatisfy { $0 == 0 })
    }

    @Test("reads back what it has not stored yet, beside what it has")
    func readsBack() throws {
        var machine = Machine()
        machine.write(1, at: 0)
        machine.flush()
        machine.write(2, at: 512, sectors: 1)
        machine.say(0, at: 0, count: 2048)
        let outcome = try run(machine, cache: .all)
        let content = outcome.replies.suffix(2048)
        #expect(outcome.replies.count == 4 * 16 + 2048)
        let expected = [1, 2, 1, 1].flatMap { [UInt8](repeating: $0, count: 512) }
        #expect(Array(content) == expected)
    }

    @Test("stores all it has when the machine says goodbye")
    func goodbye() throws {
        var machine = Machine()
        machine.write(5, at: 4096)
        machine.goodbye()
        let outcome = try run(machine, cache: .all)
        #expect(outcome.lost == 0)
        #expect(outcome.image[4096..<8192].allSatisfy { $0 == 5 })
    }

    @Test("loses some writes whole, some in part and some not at all")
    func mixed() throws {
        var machine = Machine()
        for block in 0..<16 as Range<UInt64> { machine.write(9, at: block * 4096) }
        var kinds: Set<String> = []
        for seed in 1...4 as ClosedRange<UInt64> {
            let outcome = try run(machine, cache: .mixed, seed: seed)
            for block in 0..<16 {
                let sectors = (0..<8).filter { outcome.image[block * 4096 + $0 * 512] == 9 }.count
                kinds.insert(sectors == 0 ? "lost" : sectors == 8 ? "stored" : "torn")
            }
            #expect(outcome.lost * 512 == outcome.image.filter { $0 == 0 }.count)
        }
        #expect(kinds == ["lost", "stored", "torn"])
    }

    @Test("refuses what lies beyond its end")
    func beyond() throws {
        var machine = Machine()
        machine.write(1, at: 65536)
        machine.say(0, at: 65536 - 512, count: 1024)
        let outcome = try run(machine, cache: .none)
        // Magic, then ENOSPC for the write and EINVAL for the read.
        #expect(outcome.replies[4..<8].elementsEqual(DiskSocket.big(UInt64(ENOSPC), 4)))
        #expect(outcome.replies[20..<24].elementsEqual(DiskSocket.big(UInt64(EINVAL), 4)))
    }
}
