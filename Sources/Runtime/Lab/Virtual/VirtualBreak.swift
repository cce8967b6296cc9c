import Basics
import Glibc

/// A deliberate mistake in virtual machines, and the judgement that must notice it: the one that the stories pass.
public struct VirtualBreak: Sendable {
    public let name: String
    /// The mistake of both nodes; nil where the mistake is outside them.
    let mistake: String?
    /// What must succeed in spite of it.
    let prepare: @Sendable (VirtualStoryRun) throws(LabError) -> Void
    /// What must throw because of it.
    let judge: @Sendable (VirtualStoryRun) throws(LabError) -> Void

    /// All breaks that need machines of their own.
    public static let all = [
        VirtualBreak(
            name: "scopeOfNode", mistake: "scopeOfNode",
            prepare: { run throws(LabError) in try writes(run) },
            judge: { run throws(LabError) in try losesNothing(run) }),
        VirtualBreak(
            name: "recordsOfNode", mistake: "recordsOfNode",
            prepare: { run throws(LabError) in try writes(run) },
            judge: { run throws(LabError) in try losesNothing(run) }),
        VirtualBreak(
            name: "reclaimsNotRecorded", mistake: "reclaimsNotRecorded",
            prepare: { run throws(LabError) in try comesThroughOne(run) },
            judge: { run throws(LabError) in
                let scene = NFSScene(run, version: "4.0")
                let before = scene.answers.count
                let moved = try scene.switchover(from: "node2", to: "node1")
                try scene.waitForLines(20, .seconds(60))
                try scene.stall(moved, since: before, steps: [])
                try scene.probeLock(on: "node1")
            }),
        VirtualBreak(
            name: "addressRaisedBeforeServer", mistake: "addressRaisedBeforeServer",
            prepare: { run throws(LabError) in
                try writes(run)
                _ = try NFSScene(run).cutPower("node1", other: "node2")
                try NFSScene(run).waitForLines(20)
            },
            judge: { run throws(LabError) in
                let knocks = PortKnocker.count(NFSScene(run).logged(3))
                guard knocks.refused == 0 else {
                    throw LabError("the address refused \(knocks.refused) connections before its server ran")
                }
            }),
        VirtualBreak(
            name: "verifierKept", mistake: nil, prepare: { run throws(LabError) in try copies(run) },
            judge: { run throws(LabError) in
                let scene = NFSScene(run)
                // A copy that is not even synced is not what is looked for.
                try NFSLoadStories.judgeCopy(scene)
            }),
    ]

    private static func writes(_ run: VirtualStoryRun) throws(LabError) {
        let scene = NFSScene(run)
        try scene.begin()
        try scene.mount()
        try scene.startLines()
        try scene.launch("knock \(LabNetwork.virtualAddress) 2049", port: 3)
        try scene.waitForLines(40)
    }

    /// A client of NFS 4.0 reclaims from a second server, and opens nothing there.
    private static func comesThroughOne(_ run: VirtualStoryRun) throws(LabError) {
        let scene = NFSScene(run, version: "4.0")
        try scene.begin()
        try scene.mount()
        try scene.startLines()
        try scene.waitForLines(40)
        let before = scene.answers.count
        let shares = try scene.cutPower("node1", other: "node2")
        try scene.waitForLines(20, .seconds(60))
        try scene.stall(shares, since: before, steps: [])
        try scene.probeLock(on: "node2")
        try scene.graceEnds(on: "node2")
        try run.turnOn(["node1"])
        _ = try run.waitSettled()
    }

    private static func losesNothing(_ run: VirtualStoryRun) throws(LabError) {
        let scene = NFSScene(run)
        let before = scene.answers.count
        let shares = try scene.cutPower("node1", other: "node2")
        try scene.waitForLines(20, .seconds(60))
        try scene.stall(shares, since: before, steps: [])
        try scene.probeLock(on: "node2")
    }

    /// The client mounts through a relay that lets it see one write verifier for ever.
    private static func copies(_ run: VirtualStoryRun) throws(LabError) {
        let scene = NFSScene(run)
        try scene.begin(size: "320MiB", option: ", insecure")
        try run.lab.machine("client").require(
            "setsid /opt/tandem/tandem-lab relay 2050 \(LabNetwork.virtualAddress) 2049 --keep-verifier </dev/null"
                + " >/run/lab.relay 2>&1 &")
        try scene.mount(from: "127.0.0.1", more: ",port=2050")
        try NFSLoadStories.startCopy(scene)
        _ = try scene.cutPower("node1", other: "node2")
        try run.wait("the copy is synced", .seconds(300)) { () throws(LabError) -> Bool? in
            scene.logged(2).contains("fsync 0 ") ? true : nil
        }
        guard scene.logged(2).split(separator: "\n").last?.hasSuffix(" 0") == true else {
            throw LabError("the copy was not synced")
        }
    }
}
