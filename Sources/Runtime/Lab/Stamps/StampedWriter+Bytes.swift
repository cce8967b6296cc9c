public import Basics
import CLinux
import Glibc

/// Writes stamped blocks to a device or file, one at a time, flushes now and then, and logs every intent and
/// answer.
///
/// It goes on through errors: it closes, opens again and tries again until it is told to stop. Its log lies
/// outside the machines of the lab, so it is whole when its machine is killed.
public struct StampedWriter: Sendable {
    /// The device or file; it is never created.
    public var path: String
    /// Where the log goes.
    public var log: String
    /// 1...65535, one for each writer that ever runs on a volume.
    public var writer: UInt16
    /// Blocks of the volume that may be written.
    public var blocks: UInt64
    /// Only block numbers that leave `share.remainder` when divided by `share.of`.
    public var share: (of: UInt64, remainder: UInt64) = (1, 0)
    /// Writes between two flushes, on average.
    public var flushEvery = 16
    /// Shortest time between two writes; nothing writes as fast as it goes.
    public var pause = Interval.milliseconds(0)
    /// Ends after so many writes were acknowledged; 0 goes on until a signal.
    public var limit: UInt64 = 0

    public init(path: String, log: String, writer: UInt16, blocks: UInt64) {
        self.path = path
        self.log = log
        self.writer = writer
        self.blocks = blocks
    }

    /// Writes until SIGTERM or the limit.
    public func run() throws(LabError) {
        clinux_lab_hold_stop_signals()
        let logFile = clinux_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard logFile >= 0 else { throw LabError("open \(log)", code: errno) }
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: StampedBlock.size, alignment: 4096)
        var session = Session(writer: self, logFile: logFile, buffer: buffer)
        session.run()
        buffer.deallocate()
        close(logFile)
    }

    private struct Session {
        let writer: StampedWriter
        let logFile: Int32
        let buffer: UnsafeMutableRawPointer
        var generator: SeededGenerator
        var file: Int32 = -1
        var sequence: UInt64 = 0
        var flushes: UInt64 = 0
        var written: UInt64 = 0
        var lastOpenError: Int32 = 0

        init(writer: StampedWriter, logFile: Int32, buffer: UnsafeMutableRawPointer) {
            self.writer = writer
            self.logFile = logFile
            self.buffer = buffer
            generator = SeededGenerator(seed: UInt64(writer.writer) &* 0x9E37_79B9 ^ clinux_boottime())
        }

        func note(_ kind: StampRecord.Kind, block: UInt64 = 0, sequence: UInt64 = 0, code: Int32 = 0) {
            let bytes = StampRecord(
                kind, writer: writer.writer, block: block, sequence: sequence, time: clinux_boottime(),
                code: code
            ).bytes
            _ = write(logFile, bytes, bytes.count)
        }

        mutating func run() {
            while clinux_lab_stop_requested() == 0 && (writer.limit == 0 || written < writer.limit) {
                guard file >= 0 || open() else {
                    LabClock.nap(.milliseconds(5))
                    continue
                }
                writeOne()
                if file >= 0 && generator.chance(in: writer.flushEvery) { flush() }
                if writer.pause.nanoseconds > 0 { LabClock.nap(writer.pause) }
            }
            if file >= 0 { flush() }
            if file >= 0 { close(file) }
            note(.ended)
        }

        mutating func open() -> Bool {
            file = clinux_lab_open_direct(writer.path, O_RDWR)
            if file >= 0 {
                note(.opened)
                lastOpenError = 0
            } else if errno != lastOpenError {
                lastOpenError = errno
                note(.openFailed, code: lastOpenError)
            }
            return file >= 0
        }

        mutating func abandon() {
            close(file)
            file = -1
        }

        mutating func writeOne() {
            let places = max(1, writer.blocks / writer.share.of)
            let block = UInt64(generator.below(Int(places))) * writer.share.of + writer.share.remainder
            sequence += 1
            let words = buffer.bindMemory(to: UInt64.self, capacity: StampedBlock.wordCount)
            let stamp = Stamp(writer: writer.writer, sequence: sequence, block: block)
            for index in 0..<StampedBlock.wordCount { words[index] = StampedBlock.word(index, of: stamp) }
            note(.writing, block: block, sequence: sequence)
            let count = pwrite(file, buffer, StampedBlock.size, off_t(block) * off_t(StampedBlock.size))
            if count == StampedBlock.size {
                note(.written, block: block, sequence: sequence)
                written += 1
            } else {
                note(.writeFailed, block: block, sequence: sequence, code: count < 0 ? errno : EIO)
                abandon()
            }
        }

        mutating func flush() {
            flushes += 1
            note(.flushing, sequence: flushes)
            if fsync(file) == 0 {
                note(.flushed, sequence: flushes)
            } else {
                note(.flushFailed, sequence: flushes, code: errno)
                abandon()
            }
        }
    }
}
