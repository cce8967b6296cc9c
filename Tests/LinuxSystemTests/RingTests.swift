import Basics
import Glibc
import LinuxSystem
import Testing

@Suite("the ring")
struct RingTests {
    private func temporary() throws -> Descriptor {
        let number = open("/dev/shm", O_RDWR | 0o20000000 | 0o200000, 0o600)  // O_TMPFILE
        try #require(number >= 0, "the machine has no files without a name in /dev/shm")
        return Descriptor(adopting: number)
    }

    @Test("each operation completes once, under the tag that it was given")
    func tags() throws {
        var ring = try Ring(entries: 8)
        let file = try temporary()
        let buffer = try PageBuffer(count: 8192)
        buffer.store([UInt8](repeating: 5, count: 4096))
        ring.write(file.raw, from: buffer.base, count: 4096, at: 4096, tag: 1)
        try ring.wait(until: .now() + .seconds(5))
        let first = ring.next()
        let write = try #require(first)
        #expect(write.tag == 1 && write.result == 4096)
        ring.dataSync(file.raw, tag: 2)
        ring.read(file.raw, into: buffer.base + 4096, count: 4096, at: 4096, tag: 3)
        var seen: Set<UInt64> = []
        while seen.count < 2 {
            try ring.wait(until: .now() + .seconds(5))
            while let completion = ring.next() {
                #expect(completion.result == (completion.tag == 2 ? 0 : 4096))
                #expect(seen.insert(completion.tag).inserted)
            }
        }
        #expect(buffer.load(at: 4096, count: 4096) == [UInt8](repeating: 5, count: 4096))
        #expect(ring.inFlight == 0)
    }

    @Test("more operations than entries between two waits are taken all the same")
    func moreThanEntries() throws {
        var ring = try Ring(entries: 4)
        let file = try temporary()
        let buffer = try PageBuffer(count: 4096)
        for index in 0..<100 {
            ring.write(file.raw, from: buffer.base, count: 4096, at: UInt64(index) * 4096, tag: UInt64(index))
        }
        var done = 0
        while done < 100 {
            try ring.wait(until: .now() + .seconds(5))
            while let completion = ring.next() {
                #expect(completion.result == 4096)
                done += 1
            }
        }
    }

    @Test("a wait ends at its deadline, and when an event counter is signalled")
    func deadlineAndPoll() throws {
        var ring = try Ring(entries: 8)
        let counter = try EventCounter()
        ring.pollReadable(counter.descriptor.raw, tag: 9)
        let start = Instant.now()
        try ring.wait(until: start + .milliseconds(30))
        let early = ring.next()
        #expect(early == nil)
        #expect(Instant.now().since(start) >= .milliseconds(29))
        counter.signal()
        try ring.wait(until: .now() + .seconds(5))
        let late = ring.next()
        #expect(late?.tag == 9)
    }

    @Test("a cancelled poll completes")
    func cancel() throws {
        var ring = try Ring(entries: 8)
        let counter = try EventCounter()
        ring.pollReadable(counter.descriptor.raw, tag: 1)
        ring.cancel(1, tag: 2)
        var seen: [UInt64: Int32] = [:]
        while seen.count < 2 {
            try ring.wait(until: .now() + .seconds(5))
            while let completion = ring.next() { seen[completion.tag] = completion.result }
        }
        #expect(seen[1] == -ECANCELED)
    }

    @Test("a gathered send arrives in order, and goes on where a short one stopped")
    func gathered() throws {
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let one = Descriptor(adopting: ends[0])
        let other = Descriptor(adopting: ends[1])
        let source = try PageBuffer(count: 1 << 20)
        for page in 0..<256 { source.store([UInt8](repeating: UInt8(page), count: 4096), at: page * 4096) }
        var list = GatherList()
        for page in stride(from: 0, to: 256, by: 2) { list.append(source.base + page * 4096, count: 4096) }
        #expect(list.byteCount == 128 * 4096)
        var ring = try Ring(entries: 8)
        let target = try PageBuffer(count: 1 << 20)
        var received = 0
        ring.send(one.raw, gathered: list, tag: 1)
        ring.receive(other.raw, into: target.base, count: 1 << 20, tag: 2)
        while received < 128 * 4096 {
            try ring.wait(until: .now() + .seconds(5))
            while let completion = ring.next() {
                try #require(completion.result > 0)
                if completion.tag == 1 {
                    list.advance(by: Int(completion.result))
                    if list.byteCount > 0 { ring.send(one.raw, gathered: list, tag: 1) }
                } else {
                    received += Int(completion.result)
                    if received < 128 * 4096 {
                        ring.receive(other.raw, into: target.base + received, count: 65536, tag: 2)
                    }
                }
            }
        }
        #expect(list.byteCount == 0)
        for page in 0..<128 {
            #expect(target.load(at: page * 4096, count: 4096).allSatisfy { $0 == UInt8(2 * page) })
        }
    }
}

@Suite("threads and small files")
struct ThreadTests {
    @Test("a thread runs its body under its name and is joined")
    func thread() throws {
        let counter = try EventCounter()
        let number = counter.descriptor.raw
        let thread = try SystemThread(name: "a name that is too long") {
            let name = try? SmallFile.read("/proc/thread-self/comm")
            var one: UInt64 = name == "a name that is \n" ? 1 : 2
            _ = write(number, &one, 8)
        }
        thread.join()
        var value: UInt64 = 0
        #expect(read(number, &value, 8) == 8)
        #expect(value == 1)
    }
}
