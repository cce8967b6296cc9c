import Basics
import BlockStore
import DiskFormat
import LinuxSystem
import Replication

/// The store of metadata that is under way, and what it needs to remember between two.
struct MetadataStore {
    /// Pages that the buffer made beforehand has room for; a longer store gets one of its own.
    static let bufferPages = 64

    /// One run of blocks that is being written.
    struct Run {
        var buffer: Int
        var count: Int
        var offset: UInt64
    }

    enum Kind {
        case none, superblock, bitmap, log
    }

    var kind = Kind.none
    var point = SyncPoint.record
    var runs: [Run] = []
    var pending = 0
    var isFailed = false
    /// Of the superblock that is stored.
    var sequence: UInt64 = 0
    var nextSlot = 0
}

// Data and metadata on their way to the disk. Small buffered requests are done at once, since the page cache is
// faster than a way through the ring; everything else is the ring's.
extension VolumeLoop {
    private static let inlineMaximum: UInt64 = 64 << 10

    private func isInline(_ range: ByteRange) -> Bool {
        !backing.isAligned(range) || (backing.access == .buffered && range.length <= Self.inlineMaximum)
    }

    private func tell(_ call: String, _ result: Int32) {
        // No error and no progress: the file ends early.
        report(
            .diskError(SystemError(operation: call, subject: backing.path, code: result < 0 ? -result : 5)))
    }

    mutating func writeData(_ slot: SlotIndex) {
        let range = replica.range(of: slot)
        if configuration.diskRecorder != nil {
            let bytes = slots.copy(slot, count: range.length)
            record(.write(.data, serial: slot, offset: range.offset, bytes, point: nil))
        }
        guard isInline(range) else {
            progress[slot] = 0
            diskInFlight += 1
            continueWrite(slot, range)
            return
        }
        do throws(SystemError) {
            try backing.write(slots.page(slot), range)
            record(.written(.data, serial: slot, ok: true))
            followUps.append(.disk(slot, ok: true))
        } catch {
            report(.diskError(error))
            followUps.append(.disk(slot, ok: false))
        }
    }

    private mutating func continueWrite(_ slot: SlotIndex, _ range: ByteRange) {
        let done = progress[slot]
        ring.write(
            backing.descriptor, from: slots.page(slot) + done, count: Int(range.length) - done,
            at: range.offset + UInt64(done), tag: Operation.writeData.tag(slot))
    }

    mutating func writeEnded(_ slot: SlotIndex, _ result: Int32) {
        let range = replica.range(of: slot)
        switch advance(slot, result, range) {
        case .some(let ok):
            if !ok { tell("write", result) }
            diskInFlight -= 1
            record(.written(.data, serial: slot, ok: ok))
            deliver(.diskDone(slot: slot, ok: ok))
        case .none:
            continueWrite(slot, range)
        }
    }

    /// How a transfer ended, or nil: to be continued. A short result is never passed on.
    private mutating func advance(_ slot: SlotIndex, _ result: Int32, _ range: ByteRange) -> Bool? {
        if Self.isTransient(result) { return nil }
        guard result > 0 else { return false }
        progress[slot] += Int(result)
        return progress[slot] >= Int(range.length) ? true : nil
    }

    /// Of the kernel's making, to be asked again: EINTR, EAGAIN.
    private static func isTransient(_ result: Int32) -> Bool { result == -4 || result == -11 }

    mutating func readData(_ slot: SlotIndex) {
        let range = replica.range(of: slot)
        let page = slots.page(slot)
        if !backing.isAligned(range) {
            do throws(SystemError) {
                try backing.read(page, range)
                followUps.append(.disk(slot, ok: true))
            } catch {
                report(.diskError(error))
                followUps.append(.disk(slot, ok: false))
            }
            return
        }
        if range.length <= Self.inlineMaximum, backing.readCached(page, range) {
            followUps.append(.disk(slot, ok: true))
            return
        }
        progress[slot] = 0
        diskInFlight += 1
        continueRead(slot, range)
    }

    private mutating func continueRead(_ slot: SlotIndex, _ range: ByteRange) {
        let done = progress[slot]
        ring.read(
            backing.descriptor, into: slots.page(slot) + done, count: Int(range.length) - done,
            at: range.offset + UInt64(done), tag: Operation.readData.tag(slot),
            aside: backing.access == .buffered && range.length > Self.inlineMaximum)
    }

    mutating func readEnded(_ slot: SlotIndex, _ result: Int32) {
        let range = replica.range(of: slot)
        switch advance(slot, result, range) {
        case .some(let ok):
            if !ok { tell("read", result) }
            diskInFlight -= 1
            deliver(.diskDone(slot: slot, ok: ok))
        case .none:
            continueRead(slot, range)
        }
    }

    // MARK: zeroes

    /// Whole blocks by fallocate, or by writing where the file system has no way; the edges at once.
    mutating func zeroData(_ slot: SlotIndex) {
        let range = replica.range(of: slot)
        let inner = backing.innerBlocks(range)
        record(.zero(serial: slot, range))
        do throws(SystemError) {
            if inner.length == 0 {
                try backing.writeZeroes(range)
                record(.written(.data, serial: slot, ok: true))
                followUps.append(.disk(slot, ok: true))
                return
            }
            if range.offset < inner.offset {
                try backing.writeZeroes(
                    ByteRange(offset: range.offset, length: inner.offset - range.offset))
            }
            if inner.end < range.end {
                try backing.writeZeroes(ByteRange(offset: inner.end, length: range.end - inner.end))
            }
        } catch {
            report(.diskError(error))
            followUps.append(.disk(slot, ok: false))
            return
        }
        progress[slot] = 0
        diskInFlight += 1
        if zeroByWriting { writeZeroPiece(slot) } else { allocateZeroes(slot, inner) }
    }

    private mutating func allocateZeroes(_ slot: SlotIndex, _ inner: ByteRange) {
        ring.allocate(
            backing.descriptor, mode: BackingFile.zeroMode, range: inner, tag: Operation.zeroData.tag(slot))
    }

    mutating func zeroEnded(_ slot: SlotIndex, _ result: Int32) {
        if result == 0 {
            diskInFlight -= 1
            record(.written(.data, serial: slot, ok: true))
            deliver(.diskDone(slot: slot, ok: true))
        } else if Self.isTransient(result) {
            allocateZeroes(slot, backing.innerBlocks(replica.range(of: slot)))
        } else {
            // Not supported, or no room for the extent records of it: zero bytes can always be written.
            if result == -95 { zeroByWriting = true }  // EOPNOTSUPP
            writeZeroPiece(slot)
        }
    }

    private mutating func writeZeroPiece(_ slot: SlotIndex) {
        let inner = backing.innerBlocks(replica.range(of: slot))
        let done = progress[slot]
        ring.write(
            backing.descriptor, from: zeroes.base, count: min(zeroes.count, Int(inner.length) - done),
            at: inner.offset + UInt64(done), tag: Operation.zeroPiece.tag(slot))
    }

    mutating func zeroPieceEnded(_ slot: SlotIndex, _ result: Int32) {
        switch advance(slot, result, backing.innerBlocks(replica.range(of: slot))) {
        case .some(let ok):
            if !ok { tell("write zeroes", result) }
            diskInFlight -= 1
            record(.written(.data, serial: slot, ok: ok))
            deliver(.diskDone(slot: slot, ok: ok))
        case .none:
            writeZeroPiece(slot)
        }
    }

    // MARK: fdatasync

    mutating func syncData(_ point: SyncPoint) {
        if configuration.omittedSyncs.contains(point) {
            followUps.append(.synced(point, ok: true))
            return
        }
        counters.dataSyncs &+= 1
        diskInFlight += 1
        record(.sync(.data, point))
        ring.dataSync(backing.descriptor, tag: Operation.syncData.tag(Int(point.rawValue)))
    }

    mutating func syncEnded(_ value: Int, _ result: Int32) {
        guard let point = SyncPoint(rawValue: UInt8(truncatingIfNeeded: value)) else { return }
        diskInFlight -= 1
        // An error is final, whatever a second call would say: the kernel reports it once and drops the pages.
        if result != 0 { tell("fdatasync", result) }
        record(.synced(.data, point, ok: result == 0))
        deliver(.dataSynced(point, ok: result == 0))
    }

    // MARK: metadata, one store at a time

    mutating func storeSuperblock(_ point: SyncPoint) {
        storeBuffer.store(replica.superblock.encoded(sequence: store.sequence + 1))
        let offset = MetadataLayout.superblockOffsets[store.nextSlot]
        let run = MetadataStore.Run(buffer: 0, count: MetadataLayout.blockSize, offset: offset)
        begin(.superblock, point, [run])
    }

    mutating func storeLog(_ point: SyncPoint) {
        storeBuffer.store(replica.logTransaction.encoded())
        let offset = MetadataLayout.offset(ofTransaction: replica.logTransaction.number)
        begin(.log, point, [MetadataStore.Run(buffer: 0, count: MetadataLayout.blockSize, offset: offset)])
    }

    mutating func storeBitmap(_ point: SyncPoint) {
        let size = MetadataLayout.blockSize
        let pages = replica.storingPages.count
        longStoreBuffer = nil
        if pages > MetadataStore.bufferPages {
            do throws(SystemError) {
                longStoreBuffer = try PageBuffer(count: pages * size)
            } catch {
                report(.diskError(error))
                followUps.append(.stored(ok: false))
                return
            }
        }
        var runs: [MetadataStore.Run] = []
        var used = 0
        var next = replica.storingPages.first(from: 0)
        while let page = next {
            let bytes = BitmapPage.encoded(number: page, of: replica.dirty.words)
            if longStoreBuffer != nil {
                longStoreBuffer?.store(bytes, at: used)
            } else {
                storeBuffer.store(bytes, at: used)
            }
            let offset = MetadataLayout.offset(ofBitmapPage: page)
            if let last = runs.last, last.offset + UInt64(last.count) == offset, last.count < 64 * size {
                runs[runs.count - 1].count += size
            } else {
                runs.append(MetadataStore.Run(buffer: used, count: size, offset: offset))
            }
            used += size
            next = replica.storingPages.first(from: page + 1)
        }
        begin(.bitmap, point, runs)
    }

    private mutating func begin(
        _ kind: MetadataStore.Kind, _ point: SyncPoint, _ runs: [MetadataStore.Run]
    ) {
        precondition(store.kind == .none, "two stores of metadata at once")
        counters.metadataStores &+= 1
        store.kind = kind
        store.point = point
        store.runs = runs
        store.pending = runs.count
        store.isFailed = false
        if runs.isEmpty { return endWrites() }
        for index in runs.indices {
            if configuration.diskRecorder != nil { recordRun(index) }
            writeRun(index)
        }
    }

    private mutating func writeRun(_ index: Int) {
        let run = store.runs[index]
        let base = longStoreBuffer?.base ?? storeBuffer.base
        diskInFlight += 1
        ring.write(
            metadata.descriptor, from: base + run.buffer, count: run.count, at: run.offset,
            tag: Operation.writeMetadata.tag(index))
    }

    mutating func storeWriteEnded(_ index: Int, _ result: Int32) {
        diskInFlight -= 1
        if Self.isTransient(result) { return writeRun(index) }
        if result > 0, Int(result) < store.runs[index].count {
            store.runs[index].buffer += Int(result)
            store.runs[index].count -= Int(result)
            store.runs[index].offset += UInt64(result)
            return writeRun(index)
        }
        if result <= 0 {
            store.isFailed = true
            tellMetadata("write", result)
        }
        store.pending -= 1
        record(.written(.metadata, serial: index, ok: result > 0))
        if store.pending == 0 { endWrites() }
    }

    /// A store that may be late, or that the next fdatasync of the file makes durable, is only written.
    private var isStoreSynced: Bool {
        store.point.isSynced && !configuration.omittedSyncs.contains(store.point)
    }

    private mutating func endWrites() {
        if store.isFailed || !isStoreSynced { return endStore() }
        diskInFlight += 1
        record(.sync(.metadata, store.point))
        ring.dataSync(metadata.descriptor, tag: Operation.syncMetadata.tag())
    }

    mutating func storeSyncEnded(_ result: Int32) {
        diskInFlight -= 1
        if result != 0 {
            store.isFailed = true
            tellMetadata("fdatasync", result)
        }
        record(.synced(.metadata, store.point, ok: result == 0))
        endStore()
    }

    private mutating func endStore() {
        if store.kind == .superblock, !store.isFailed {
            store.sequence += 1
            store.nextSlot = 1 - store.nextSlot
        }
        let wasEmpty = store.runs.isEmpty
        store.kind = .none
        longStoreBuffer = nil
        // An empty store ends while the replica's actions are being carried out.
        if wasEmpty && !isStoreSynced {
            followUps.append(.stored(ok: true))
        } else {
            deliver(.metadataStored(ok: !store.isFailed))
        }
    }

    // MARK: for tests

    /// Tells a test what was handed to the kernel or came back from it.
    private func record(_ call: @autoclosure () -> DiskCall) { configuration.diskRecorder?(call()) }

    private func recordRun(_ index: Int) {
        let run = store.runs[index]
        let bytes =
            longStoreBuffer?.load(at: run.buffer, count: run.count)
            ?? storeBuffer.load(at: run.buffer, count: run.count)
        record(.write(.metadata, serial: index, offset: run.offset, bytes, point: store.point))
    }

    private func tellMetadata(_ call: String, _ result: Int32) {
        report(
            .diskError(SystemError(operation: call, subject: metadata.path, code: result < 0 ? -result : 5)))
    }
}
