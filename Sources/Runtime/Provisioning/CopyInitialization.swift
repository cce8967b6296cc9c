public import Basics
import BlockStore
import ControlPlane
import DiskFormat
import Glibc
import LinuxSystem
import Quorum
import SecureChannel
public import Settings
import WitnessRuntime

/// `tandem init`: makes this node's copies, and the groups' first records at the witness.
///
/// All or nothing: what it has made is removed when a later step fails. A record at the witness cannot be removed; a
/// first one that an interrupted init has left is taken up by the next.
public struct CopyInitialization {
    /// What was made of one group.
    public struct Report: Sendable, Equatable {
        public var group: String
        /// One sentence.
        public var text: String
    }

    private let settings: Settings
    private let node: NodeIndex
    private let wish: InitializationPlan.Wish
    private var made: [String] = []
    private var random = SystemRandomNumberGenerator()

    private init(_ settings: Settings, _ node: NodeIndex, _ wish: InitializationPlan.Wish) {
        self.settings = settings
        self.node = node
        self.wish = wish
    }

    /// Makes the copies of every group with a volume, or of the named one alone. Blocks; waits for the witness until
    /// `deadline`.
    public static func run(
        settings: Settings, node: NodeIndex, group: String?, wish: InitializationPlan.Wish, deadline: Instant
    ) throws(InitializationError) -> [Report] {
        let groups = settings.groups.filter { $0.volume != nil && (group == nil || $0.name == group) }
        guard !groups.isEmpty else {
            throw .refused(
                group.map { "no group with a volume is called '\($0)'" }
                    ?? "no group has a volume: there is nothing to initialize")
        }
        var work = CopyInitialization(settings, node, wish)
        for group in groups { try work.refuseInitialized(group) }
        let client = try work.connect(deadline)
        do throws(InitializationError) {
            var reports: [Report] = []
            for group in groups { reports.append(try work.make(group, client)) }
            return reports
        } catch {
            for path in work.made.reversed() { BackingFile.remove(path) }
            throw error
        }
    }

    private func connect(_ deadline: Instant) throws(InitializationError) -> WitnessClient? {
        let secret: ClusterSecret
        do throws(SecretFileError) { secret = try SecretFile.load(settings.secretPath) } catch {
            throw .secret(error)
        }
        guard settings.witness != nil else { return nil }
        do throws(WitnessError) {
            return try WitnessClient(settings: settings, node: node, secret: secret, deadline: deadline)
        } catch {
            throw .witness(error)
        }
    }

    /// Refuses a group whose metadata is there, whoever made it.
    private func refuseInitialized(_ group: Settings.Group) throws(InitializationError) {
        guard let path = settings.metadataPath(of: group) else { return }
        guard access(path, F_OK) == 0 else { return }
        guard let ownership = try Self.ownership(in: path) else {
            throw .refused(
                "\(path) is there and is not Tandem's metadata: move it away, or correct `backing`")
        }
        guard ownership == Self.ownership(cluster: settings.cluster, group: group.name) else {
            throw .refused("\(path) belongs to another cluster or group: move it away, or correct `backing`")
        }
        throw .refused(
            "\(group.name) is initialized on this node already (\(path)); a group that was added later is"
                + " initialized by its name: `tandem init GROUP`")
    }

    /// Whom the metadata at `path` belongs to; nil when it is none.
    private static func ownership(in path: String) throws(InitializationError) -> UInt32? {
        let size = MetadataLayout.blockSize
        let bytes: [UInt8]
        do throws(BackingError) {
            let file = try MetadataFile.open(path, size: nil)
            guard file.size >= UInt64(2 * size), file.size % UInt64(size) == 0 else { return nil }
            do throws(SystemError) { bytes = try file.readAll() } catch { throw BackingError.failed(error) }
        } catch {
            throw .backing(error)
        }
        do throws(DiskFormatError) {
            return try SuperblockSlots.newest(Array(bytes[..<size]), Array(bytes[size..<2 * size]))
                .superblock.ownership
        } catch {
            return nil
        }
    }

    // MARK: One group

    private mutating func make(
        _ group: Settings.Group, _ client: WitnessClient?
    ) throws(InitializationError) -> Report {
        guard let volume = group.volume else { preconditionFailure("a group without a volume") }
        let hasBacking = access(volume.backing, F_OK) == 0
        var (plan, known) = try decide(group, volume, client, hasBacking: hasBacking)
        try makeBacking(volume, plan)
        if let client, let first = plan.creates {
            do throws(WitnessError) { known = try client.create(group.name, first) } catch {
                throw .witness(error)
            }
            if known != first {
                // The other node was quicker: this copy is the second one.
                (plan, known) = try decide(group, volume, client, hasBacking: wish != .fresh)
            }
        }
        guard let record = known else { preconditionFailure("no record after it was created") }
        try makeMetadata(group, volume, plan, record)
        let what =
            plan.keepsData
            ? "adopted \(volume.backing)"
            : plan.makesBacking ? "made \(volume.backing)" : "took \(volume.backing)"
        let next =
            record.copies.contains(node) ? "current" : "filled or confirmed by the other node when they meet"
        return Report(
            group: group.name,
            text: "\(group.name): \(what) (\(volume.size >> 20) MiB); record epoch \(record.epoch), holder"
                + " \(settings[record.holder].name); this copy is \(next)")
    }

    private mutating func decide(
        _ group: Settings.Group, _ volume: Settings.Volume, _ client: WitnessClient?, hasBacking: Bool
    ) throws(InitializationError) -> (InitializationPlan, ArbiterRecord?) {
        // 0 and 1 mean "none" and "all zeroes".
        let generation = Generation(rawValue: UInt64.random(in: 2...UInt64.max, using: &random))
        var record: ArbiterRecord?
        if let client {
            do throws(WitnessError) { record = try client.read(group.name) } catch { throw .witness(error) }
        }
        do throws(InitializationPlan.Refusal) {
            if client == nil {
                let (plan, record) = try InitializationPlan.makeWithoutArbiter(
                    wish, hasBacking: hasBacking, backing: volume.backing, prefer: group.prefer,
                    generation: generation)
                return (plan, record)
            }
            let plan = try InitializationPlan.make(
                wish, node: node, record: record, hasBacking: hasBacking, backing: volume.backing,
                grant: Mark(using: &random), generation: generation)
            return (plan, record)
        } catch {
            throw .refused("\(group.name): \(error.text)")
        }
    }

    private mutating func makeBacking(
        _ volume: Settings.Volume, _ plan: InitializationPlan
    ) throws(InitializationError) {
        var otherSize: UInt64?
        do throws(BackingError) {
            if plan.makesBacking {
                try makeStateDirectory()
                try BackingFile.create(volume.backing, size: volume.size)
                made.append(volume.backing)
                return
            }
            let whole = try BackingFile.open(volume.backing, size: nil).size
            guard whole >= volume.size else {
                throw BackingError.tooSmall(path: volume.backing, has: whole, needs: volume.size)
            }
            if plan.keepsData, whole != volume.size {
                // What lies behind the volume's end would never be seen again.
                otherSize = whole
            } else {
                try BackingFile.open(volume.backing, size: volume.size).reserve()
            }
        } catch {
            throw .backing(error)
        }
        if let otherSize {
            throw .refused(
                "\(volume.backing) has \(otherSize) bytes and `size` says \(volume.size): adopting needs them equal"
            )
        }
    }

    /// The directory that the settings name for Tandem's own files is made when it is missing.
    private func makeStateDirectory() throws(BackingError) {
        do throws(SystemError) { try FileTree.makeDirectory(settings.stateDirectory, mode: 0o700) } catch {
            throw .failed(error)
        }
    }

    private mutating func makeMetadata(
        _ group: Settings.Group, _ volume: Settings.Volume, _ plan: InitializationPlan,
        _ record: ArbiterRecord
    ) throws(InitializationError) {
        let capacity = min(volume.activityLogExtents, ActivityLogRing.capacityMaximum)
        let superblock = Superblock(
            size: volume.size, node: node, logCapacity: UInt32(capacity),
            generations: GenerationTuple(current: plan.generation, bitmap: .none, history: []),
            condition: plan.condition, record: record, intent: nil,
            ownership: Self.ownership(cluster: settings.cluster, group: group.name))
        guard let layout = MetadataLayout(volumeSize: volume.size) else {
            throw .refused("\(group.name): a volume cannot have \(volume.size) bytes")
        }
        var bytes = superblock.encoded(sequence: 1)
        bytes += [UInt8](repeating: 0, count: Int(layout.fileSize) - bytes.count)
        guard let path = settings.metadataPath(of: group) else {
            preconditionFailure("a group without a volume")
        }
        do throws(BackingError) {
            try makeStateDirectory()
            try MetadataFile.create(path, bytes: bytes)
        } catch {
            throw .backing(error)
        }
        made.append(path)
    }

    /// What a superblock names its cluster and group by: CRC-32C of "cluster/group".
    static func ownership(cluster: String, group: String) -> UInt32 {
        Checksum.crc32c("\(cluster)/\(group)".utf8)
    }
}
