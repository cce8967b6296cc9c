import Basics
import BlockStore
import Glibc
import LinuxSystem
import Synchronization
import Testing

/// A copy's two files are made as `tandem init` makes them; what a power cut may leave of them at each moment.
private func finding(omitting omitted: Set<CreationSync>) throws -> String? {
    let directory = "\(temporaryDirectory)/tandem-making-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    guard mkdir(directory, 0o700) == 0 else { return "no directory" }
    let paths = ["\(directory)/files.img", "\(directory)/files.img.tandem"]
    defer {
        for path in paths { BackingFile.remove(path) }
        _ = rmdir(directory)
    }
    let calls = Mutex<[CreationCall]>([])
    let disk = CreationDisk(omitted: omitted) { call in calls.withLock { $0.append(call) } }
    try BackingFile.create(paths[0], size: 64 << 10, disk: disk)
    try MetadataFile.create(paths[1], bytes: [UInt8](repeating: 7, count: 5000), disk: disk)
    // By path: whether its bytes are durable, whether it has its name, whether that is durable.
    var whole: Set<String> = []
    var named: Set<String> = []
    var lasting: Set<String> = []
    for call in calls.withLock({ $0 }) {
        switch call {
        case .written: break
        case .synced(let path, .contents): whole.insert(path)
        case .named(let path): named.insert(path)
        case .synced(let path, .name): lasting.insert(path)
        }
        if let torn = named.first(where: { !whole.contains($0) }) {
            return "\(torn.split(separator: "/").last ?? "") may be there and not whole"
        }
    }
    let lost = paths.first { !lasting.contains($0) }
    return lost.map { "the copy was made, and \($0.split(separator: "/").last ?? "") may be missing" }
}

private let temporaryDirectory = getenv("TMPDIR").map { String(cString: $0) } ?? P_tmpdir

@Suite("a copy that is being made and a power cut")
struct CreationDurabilityTests {
    @Test("a file that has its name is whole, and both are there when they have been made")
    func durable() throws { #expect(try finding(omitting: []) == nil) }
}

/// `Tools/test breaks` counts these lines beside those of the volume's.
@Suite("an fsync of a file's making that is left out")
struct CreationDurabilityBreakTests {
    private static let numbers: [CreationSync] = {
        let wanted = getenv("TANDEM_SYNC").flatMap { UInt8(String(cString: $0)) }
        return CreationSync.allCases.filter { wanted == nil || wanted == $0.rawValue }
    }()

    @Test("a power cut can leave a file that is not whole, or none", arguments: numbers)
    func omitted(sync: CreationSync) throws {
        let start = Instant.now()
        guard let text = try finding(omitting: [sync]) else {
            print("not found  device-sync-\(sync.rawValue)")
            Issue.record("the fsync \(sync) can be left out, and nothing shows it")
            return
        }
        let time = Instant.now().since(start).wholeMilliseconds
        print("found      device-sync-\(sync.rawValue)  G2  init  \(time) ms  \(text)")
    }
}
