import Basics

/// The story of one failover in virtual machines, with its times, for people: what a client of the volume sees when
/// its server's machine is lost and when the service is moved on purpose.
public struct VirtualDemo {
    private let story: VirtualStoryRun
    private let client: VirtualClient

    public init(lab: VirtualLab) {
        story = VirtualStoryRun(lab: lab)
        story.isTalking = true
        client = VirtualClient(lab)
    }

    /// Tells it; false when it did not come out as it must. The lab stays up.
    public func run() -> Bool {
        do {
            let killed = try prepareAndKill()
            let moved = try returnAndSwitch()
            try WebDemo(story).tell()
            _ = try story.waitSettled()
            print(
                """

                The client waited \(Self.seconds(killed)) when node1's machine was killed, and \
                \(Self.seconds(moved)) for the switchover back. No
                acknowledged line was lost, no call failed, its lock was held throughout, and both copies are equal.

                The lab is up: Tools/lab status, ssh NAME, kill NAME, start NAME, cut NAME, heal, down, wipe.
                """)
            return true
        } catch {
            print("the demo failed: \(error)")
            return false
        }
    }

    private static func seconds(_ milliseconds: UInt64) -> String {
        Interval.milliseconds(milliseconds).text
    }

    /// Up to the first failover; gives the client's longest wait in milliseconds.
    private func prepareAndKill() throws(LabError) -> UInt64 {
        // A small activity log: the default one would cover all of so small a volume, and the resync copy all of it.
        var settings = LabSettings()
        settings.size = "64MiB"
        settings.exports = true
        settings.volumeKeys = ", activity-log-extents: 8"
        settings.hasPair = true
        try story.begin(settings)
        story.say("node1 made the file system, mounted and exported it; each write goes to both machines")
        try client.mount()
        story.say("the client has mounted \(VirtualClient.source) with NFS 4.2")
        try client.startWriter()
        try waitForLines(60)
        story.say("the client appends a line every 50 ms with O_SYNC, under an fcntl lock")

        let before = client.answers.count
        story.say("node1's machine is killed")
        try story.cutPower(["node1"])
        try story.waitForPrimary("node2", .seconds(120))
        try waitForLines(60)
        let longest = try judge("node1 was killed", since: before)
        tellSteps(of: "node2", "promote")
        try checkLock(on: "node2")
        try checkFile(on: "node2")
        return longest
    }

    /// From the return of node1 to the end; gives the client's longest wait in the switchover.
    private func returnAndSwitch() throws(LabError) -> UInt64 {
        let lab = story.lab
        let sent = lab.status(of: "node2")?.resyncBytesSent ?? 0
        try story.turnOn(["node1"])
        _ = try story.waitSettled()
        let copied = (lab.status(of: "node2")?.resyncBytesSent ?? sent) - sent
        story.say("node1 is current again: \(copied >> 10) KiB of the volume's \(64 << 10) KiB were copied")
        try waitForLines(20)

        let before = client.answers.count
        story.say("a planned switchover back to node1")
        let moved = try lab.verb(["switchover", LabSettings.group], on: "node2")
        guard moved.status == 0 else { throw LabError("switchover: \(moved.output)") }
        try story.waitForPrimary("node1", .seconds(60))
        try waitForLines(60)
        let longest = try judge("the service was moved to node1", since: before)
        tellSteps(of: "node2", "demote")
        tellSteps(of: "node1", "promote")
        try checkLock(on: "node1")
        try client.stopWriter()
        try checkFile(on: "node1")
        try story.compareCopies(primary: "node1")
        return longest
    }

    private func waitForLines(_ count: Int) throws(LabError) {
        let wanted = client.answers.count + count
        let written: Bool? = LabClock.wait(.seconds(120)) { client.answers.count >= wanted ? true : nil }
        guard written != nil else {
            throw LabError("the client has written less than \(count) lines in 120 s")
        }
    }

    private func judge(_ what: String, since index: Int) throws(LabError) -> UInt64 {
        let seen = client.since(index)
        if let fault = seen.fault {
            throw LabError("\(what): line \(fault.number) failed with error \(fault.code)")
        }
        let longest = Self.seconds(seen.longest)
        story.say("\(what): the client's longest wait for a line was \(longest), no error")
        return seen.longest
    }

    private func checkLock(on node: String) throws(LabError) {
        guard try client.holdsLock(on: node) else {
            throw LabError("\(node) has forgotten the client's lock")
        }
        story.say("\(node) holds the client's lock")
    }

    private func checkFile(on node: String) throws(LabError) {
        let count = try client.checkFile(on: node)
        story.say("all \(count) acknowledged lines are in the file on \(node), in order")
    }

    /// The steps that took the most of the last plan of a kind.
    private func tellSteps(of node: String, _ phase: String) {
        let log = TextFile.read(story.lab.place.port(1, of: node)) ?? ""
        for line in FailoverShares(log: log, phase: phase).lines { story.say("  \(node): \(line)") }
    }
}
