/// Which of the two superblock slots counts, and where the next one goes.
public enum SuperblockSlots {
    /// A superblock as it was found.
    public struct Stored: Sendable, Hashable {
        public var superblock: Superblock
        /// Counts the stores; the first is 1.
        public var sequence: UInt64
        /// 0 or 1: its place in `MetadataLayout.superblockOffsets`.
        public var slot: Int

        /// The slot that the next store goes to: the one that holds the older, or the torn.
        public var nextSlot: Int { 1 - slot }
    }

    /// The newest whole superblock of the two slots' blocks.
    ///
    /// A slot that was torn is passed over: its store was never confirmed. A slot that is whole and of a version or
    /// with features that this program does not know is refused, even if the other slot could be read: the other
    /// one is older.
    public static func newest(_ first: [UInt8], _ second: [UInt8]) throws(DiskFormatError) -> Stored {
        let slots = [try read(first, slot: 0), try read(second, slot: 1)].compactMap { $0 }
        guard let one = slots.first else {
            let isEmpty = BlockHeader.isNeverWritten(first) && BlockHeader.isNeverWritten(second)
            if isEmpty { throw .neverInitialized }
            let isForeign = !isOurs(first) && !isOurs(second)
            throw isForeign ? .foreign(.superblock) : .damaged(.superblock)
        }
        guard let other = slots.dropFirst().first else { return one }
        guard one.sequence != other.sequence || one.superblock == other.superblock else {
            throw .contradictorySuperblocks
        }
        return other.sequence > one.sequence ? other : one
    }

    private static func read(_ bytes: [UInt8], slot: Int) throws(DiskFormatError) -> Stored? {
        do throws(DiskFormatError) {
            let (superblock, sequence) = try Superblock.decode(bytes)
            return Stored(superblock: superblock, sequence: sequence, slot: slot)
        } catch {
            switch error {
            case .foreign, .damaged: return nil
            default: throw error
            }
        }
    }

    private static func isOurs(_ bytes: [UInt8]) -> Bool {
        do throws(DiskFormatError) {
            _ = try BlockHeader.open(bytes, as: .superblock)
            return true
        } catch {
            return error == .damaged(.superblock)
        }
    }
}
