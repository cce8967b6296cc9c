import Basics
public import LinuxSystem

/// What a copy remembers of itself, in a file of its own beside the backing file (`Docs/Formats/disk.md`).
///
/// Bytes only: DiskFormat says what they mean. Writes are whole 4 KiB blocks.
public struct MetadataFile: ~Copyable, Sendable {
    private let file: BackingFile

    /// "files.img.tandem" for "files.img".
    public static func path(besides backing: String) -> String { backing + ".tandem" }

    /// Makes a metadata file with `bytes` in it, durable with its name; leaves nothing when it fails.
    public static func create(
        _ path: String, bytes: [UInt8], disk: CreationDisk = CreationDisk()
    ) throws(BackingError) {
        let size = (UInt64(bytes.count) + BlockSize.block - 1) & ~(BlockSize.block - 1)
        try BackingFile.create(path, size: size, contents: bytes, disk: disk)
    }

    /// Opens what is there, with at least `size` bytes (all of them when nil), and keeps every other daemon out.
    public static func open(_ path: String, size: UInt64?) throws(BackingError) -> MetadataFile {
        MetadataFile(file: try BackingFile.open(path, size: size))
    }

    public var path: String { file.path }
    /// Bytes of it that belong to the volume.
    public var size: UInt64 { file.size }
    /// The file, for a ring.
    public var descriptor: Int32 { file.descriptor }

    /// The whole of it.
    public func readAll() throws(SystemError) -> [UInt8] {
        let buffer = try PageBuffer(count: Int(size))
        try file.read(buffer.base, ByteRange(offset: 0, length: size))
        return buffer.load(count: Int(size))
    }

    /// Writes one 4 KiB-aligned run. Not durable before `dataSync`.
    public func write(_ bytes: [UInt8], at offset: UInt64) throws(SystemError) {
        precondition(
            (offset | UInt64(bytes.count)) % BlockSize.block == 0, "metadata is written in whole blocks")
        let buffer = try PageBuffer(count: bytes.count)
        buffer.store(bytes)
        try file.write(buffer.base, ByteRange(offset: offset, length: UInt64(bytes.count)))
    }

    /// fdatasync(2).
    public func dataSync() throws(SystemError) { try file.dataSync() }
}
