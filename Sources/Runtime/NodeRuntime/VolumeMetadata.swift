import Basics
public import BlockStore
public import DiskFormat
public import LinuxSystem

/// Why a volume could not be started.
public enum VolumeError: Error, Sendable {
    case backing(BackingError)
    /// The metadata at `path` cannot be used.
    case format(path: String, DiskFormatError)
    case system(SystemError)
}

extension VolumeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .backing(let error): "\(error)"
        case .format(let path, let error): "\(path): \(error)"
        case .system(let error): "\(error)"
        }
    }
}

/// What a volume's metadata file says at the start of a life.
public struct VolumeMetadata: Sendable {
    public var superblock: Superblock
    /// Of the stored superblock.
    public var sequence: UInt64
    /// Where the next superblock goes.
    public var nextSlot: Int
    public var dirtyWords: [UInt64]
    public var loggedExtents: [UInt32]
    public var nextLogNumber: UInt32
    /// More than one transaction of the log was lost, so that every extent was taken for logged. No crash leaves that.
    public var isLogIncomplete: Bool
    /// Bitmap pages that could not be believed and read as all dirty.
    public var damagedPages: Int

    /// The bytes of a metadata file of a new copy.
    public static func initialBytes(_ superblock: Superblock) -> [UInt8] {
        guard let layout = MetadataLayout(volumeSize: superblock.size) else {
            preconditionFailure("a volume of \(superblock.size) bytes")
        }
        var bytes = superblock.encoded(sequence: 1)
        bytes.append(contentsOf: repeatElement(0, count: Int(layout.fileSize) - bytes.count))
        return bytes
    }

    /// Reads and decodes the whole file.
    public init(reading file: borrowing MetadataFile) throws(VolumeError) {
        let bytes: [UInt8]
        do throws(SystemError) { bytes = try file.readAll() } catch { throw .system(error) }
        do throws(DiskFormatError) { try self.init(decoding: bytes) } catch {
            throw .format(path: file.path, error)
        }
    }

    /// Decodes the bytes of a whole file.
    public init(decoding bytes: [UInt8]) throws(DiskFormatError) {
        let size = MetadataLayout.blockSize
        func block(_ offset: UInt64) -> [UInt8] {
            let start = min(Int(offset), bytes.count)
            return Array(bytes[start..<min(start + size, bytes.count)])
        }
        let offsets = MetadataLayout.superblockOffsets
        let stored = try SuperblockSlots.newest(block(offsets[0]), block(offsets[1]))
        superblock = stored.superblock
        sequence = stored.sequence
        nextSlot = stored.nextSlot
        guard let layout = MetadataLayout(volumeSize: superblock.size) else {
            throw .malformed(.superblock, .size)
        }
        guard bytes.count >= Int(layout.fileSize) else {
            throw .wrongLength(.bitmap, found: bytes.count, expected: Int(layout.fileSize))
        }
        let pages = Array(bytes[Int(MetadataLayout.bitmapOffset)..<Int(layout.fileSize)])
        (dirtyWords, damagedPages) = try BitmapPage.decodeAll(pages, layout: layout)
        let ring = (0..<UInt32(ActivityLogTransaction.ringBlocks)).map {
            block(MetadataLayout.offset(ofTransaction: $0))
        }
        do throws(DiskFormatError) {
            let replayed = try ActivityLogRing.replay(
                blocks: ring, capacity: Int(superblock.logCapacity), volumeSize: superblock.size)
            loggedExtents = replayed.extents
            nextLogNumber = replayed.nextNumber
            isLogIncomplete = false
        } catch .incompleteLog {
            // Which extents were being written is lost, so any may differ.
            loggedExtents = (0..<layout.extentCount).map { UInt32($0) }
            nextLogNumber = 0
            isLogIncomplete = true
        }
    }
}
