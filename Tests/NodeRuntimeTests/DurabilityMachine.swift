import Basics
import DiskFormat
import NodeRuntime
import Replication

/// What of the writes that no fdatasync covers a power cut leaves.
enum DurabilityChoice: Hashable, Sendable {
    case none, all
    /// One of them, by its place.
    case only(Int)
    /// Half of the sectors of one of them, and of the others nothing.
    case torn(Int)
    /// Any sectors of any of them.
    case some(seed: UInt64)
}

/// One machine's two files as recorded: what is durable, and what is on its way. Images of a power cut are rebuilt
/// from it.
struct DurabilityMachine {
    struct Pending {
        let identifier: Int
        let serial: Int
        var hasEnded = false
        /// Where the sectors lie: in `data`, or in 512-byte units of the metadata.
        let places: [Int]
        let sectors: [Sector]
    }

    enum Sector: Equatable {
        case stamp(UInt64)
        case bytes([UInt8])
    }

    /// The place of each block that the story writes; no other block is followed.
    let places: [Int: Int]
    /// Stamps of the followed blocks' sectors, durably.
    private(set) var data: [UInt64]
    private(set) var metadata: [UInt8]
    private(set) var pendingData: [Pending] = []
    private(set) var pendingMetadata: [Pending] = []
    private var underSync: [DiskCall.File: [SyncPoint: Set<Int>]] = [.data: [:], .metadata: [:]]
    private var count = 0
    var life = 0
    /// Bytes that no write of the story can explain.
    private(set) var foreign: String?

    init(places: [Int: Int], metadata: [UInt8]) {
        self.places = places
        data = [UInt64](repeating: 0, count: places.count * DurabilityStamp.sectorsPerBlock)
        self.metadata = metadata
    }

    // MARK: what is recorded

    mutating func take(_ call: DiskCall) {
        switch call {
        case .write(.data, let serial, let offset, let bytes, _): begin(serial, offset, data: bytes)
        case .write(.metadata, let serial, let offset, let bytes, _): begin(serial, offset, metadata: bytes)
        case .zero(let serial, let range):
            begin(serial, range.offset, data: [UInt8](repeating: 0, count: Int(range.length)))
        case .written(.data, let serial, let ok): if ok { Self.end(serial, &pendingData) }
        case .written(.metadata, let serial, let ok): if ok { Self.end(serial, &pendingMetadata) }
        case .sync(let file, let point):
            let pending = file == .data ? pendingData : pendingMetadata
            underSync[file]?[point] = Set(pending.filter(\.hasEnded).map(\.identifier))
        case .synced(let file, let point, let ok):
            let covered = underSync[file]?.removeValue(forKey: point) ?? []
            if ok { settle(file, covered) }
        }
    }

    private mutating func begin(_ serial: Int, _ offset: UInt64, data bytes: [UInt8]) {
        var places: [Int] = []
        var sectors: [Sector] = []
        for start in stride(from: 0, to: bytes.count, by: DurabilityStamp.sector) {
            guard let stamp = DurabilityStamp.stamp(of: bytes, at: start) else {
                foreign = "the data write at \(offset) holds a sector of two writes"
                continue
            }
            let position = Int(offset) + start
            guard let place = self.places[position / Int(BlockSize.block)] else {
                if stamp != 0 {
                    foreign = "the data write at \(offset) brings write \(stamp) to a wrong block"
                }
                continue
            }
            let sector = position % Int(BlockSize.block) / DurabilityStamp.sector
            places.append(place * DurabilityStamp.sectorsPerBlock + sector)
            sectors.append(.stamp(stamp))
        }
        count += 1
        pendingData.append(Pending(identifier: count, serial: serial, places: places, sectors: sectors))
    }

    private mutating func begin(_ serial: Int, _ offset: UInt64, metadata bytes: [UInt8]) {
        let size = DurabilityStamp.sector
        let first = Int(offset) / size
        let sectors = stride(from: 0, to: bytes.count, by: size).map {
            Sector.bytes(Array(bytes[$0..<$0 + size]))
        }
        count += 1
        pendingMetadata.append(
            Pending(
                identifier: count, serial: serial, places: Array(first..<first + sectors.count),
                sectors: sectors))
    }

    private static func end(_ serial: Int, _ pending: inout [Pending]) {
        if let index = pending.lastIndex(where: { $0.serial == serial }) { pending[index].hasEnded = true }
    }

    private mutating func settle(_ file: DiskCall.File, _ covered: Set<Int>) {
        switch file {
        case .data:
            for write in pendingData where covered.contains(write.identifier) { apply(write, to: &data) }
            pendingData.removeAll { covered.contains($0.identifier) }
        case .metadata:
            for write in pendingMetadata where covered.contains(write.identifier) {
                apply(write, to: &metadata)
            }
            pendingMetadata.removeAll { covered.contains($0.identifier) }
        }
    }

    /// The power is cut: what was chosen of the volatile is there, the rest is gone.
    mutating func cut(data choice: DurabilityChoice, metadata metadataChoice: DurabilityChoice) {
        data = dataImage(choice)
        metadata = metadataImage(metadataChoice)
        pendingData.removeAll()
        pendingMetadata.removeAll()
        underSync = [.data: [:], .metadata: [:]]
        life += 1
    }

    // MARK: images

    private func apply(_ write: Pending, to data: inout [UInt64], keeping: (Int) -> Bool = { _ in true }) {
        for (index, place) in write.places.enumerated() where keeping(index) {
            if case .stamp(let stamp) = write.sectors[index] { data[place] = stamp }
        }
    }

    private func apply(
        _ write: Pending, to metadata: inout [UInt8], keeping: (Int) -> Bool = { _ in true }
    ) {
        let size = DurabilityStamp.sector
        for (index, place) in write.places.enumerated() where keeping(index) {
            if case .bytes(let bytes) = write.sectors[index] {
                metadata.replaceSubrange(place * size..<(place + 1) * size, with: bytes)
            }
        }
    }

    /// Nothing, all, each alone, each torn, and one of any sectors; of many writes the newest few are tried alone.
    static func choices(_ pending: [Pending], seed: UInt64) -> [DurabilityChoice] {
        guard !pending.isEmpty else { return [.none] }
        var choices: [DurabilityChoice] = [.none, .all]
        if pending.count == 1 { return choices + [.torn(0)] }
        for index in pending.indices.suffix(5) { choices += [.only(index), .torn(index)] }
        return choices + [.some(seed: seed)]
    }

    /// Which sectors of the writes are there, as `apply` asks for them.
    private static func keeping(_ choice: DurabilityChoice) -> (Int) -> ((Int) -> Bool)? {
        switch choice {
        case .none: { _ in nil }
        case .all: { _ in { _ in true } }
        case .only(let one): { $0 == one ? { _ in true } : nil }
        case .torn(let one): { $0 == one ? { $0 % 2 == 1 } : nil }
        case .some(let seed):
            { write in
                { sector in
                    var random = SeededGenerator(seed: seed ^ UInt64(write) << 20 ^ UInt64(sector))
                    return random.chance(in: 2)
                }
            }
        }
    }

    func dataImage(_ choice: DurabilityChoice) -> [UInt64] {
        var image = data
        let keeping = Self.keeping(choice)
        for (index, write) in pendingData.enumerated() {
            if let sectors = keeping(index) { apply(write, to: &image, keeping: sectors) }
        }
        return image
    }

    func metadataImage(_ choice: DurabilityChoice) -> [UInt8] {
        var image = metadata
        let keeping = Self.keeping(choice)
        for (index, write) in pendingMetadata.enumerated() {
            if let sectors = keeping(index) { apply(write, to: &image, keeping: sectors) }
        }
        return image
    }
}
