import Basics
import LinuxSystem
import Replication
import WireFormat

/// The buffers of a volume's requests: one of 1 MiB on a page boundary for each slot, with a page for headers before
/// it, so that header and payload are one piece of memory.
struct VolumeSlots: ~Copyable {
    private static let stride = PageBuffer.pageSize + Int(BlockSize.requestMaximum)

    private let memory: PageBuffer

    static func make() throws(SystemError) -> VolumeSlots {
        VolumeSlots(memory: try PageBuffer(count: SlotLayout.count * stride))
    }

    /// Where the slot's payload begins.
    func page(_ slot: SlotIndex) -> UnsafeMutableRawPointer {
        precondition(slot >= 0 && slot < SlotLayout.count, "no such slot")
        return memory.base + slot * Self.stride + PageBuffer.pageSize
    }

    /// Where the header of the slot's frame begins; the payload follows it.
    func frame(_ slot: SlotIndex) -> UnsafeMutableRawPointer { page(slot) - FrameHeader.byteCount }

    /// A copy of the first `count` bytes of the slot's payload.
    func copy(_ slot: SlotIndex, count: UInt64) -> [UInt8] {
        [UInt8](UnsafeRawBufferPointer(start: page(slot), count: Int(count)))
    }

    /// Writes a frame's header just before the payload.
    func store(_ header: FrameHeader, _ slot: SlotIndex) {
        header.encode(into: UnsafeMutableRawBufferPointer(start: frame(slot), count: FrameHeader.byteCount))
    }
}
