import Basics
import LinuxSystem
import SecureChannel
import Settings
import Telemetry
import Testing

@testable import NodeRuntime

@Suite("the connections between two nodes", .serialized)
struct NodeConnectorTests {
    /// Both ends, and what they told their groups.
    private final class Pair {
        let first: PeerConnector
        let second: PeerConnector
        let firstNews: News<PeerNews>
        let secondNews: News<PeerNews>
        let firstJournal: HeardJournal
        let secondJournal: HeardJournal

        init(_ cluster: NodeCluster, other: NodeCluster? = nil, secondSecret: ClusterSecret? = nil) throws {
            let (one, two) = (try News<PeerNews>(), try News<PeerNews>())
            (firstNews, secondNews) = (one, two)
            (firstJournal, secondJournal) = (try HeardJournal(), try HeardJournal())
            let context = (other ?? cluster).context(
                .second, secret: secondSecret ?? cluster.secret, journal: secondJournal.journal)
            second = try PeerConnector(context) { two.take($1) }
            first = try PeerConnector(cluster.context(.first, journal: firstJournal.journal)) { one.take($1) }
        }

        deinit {
            first.stop()
            second.stop()
        }
    }

    private static func socket(_ news: PeerNews) -> PeerSocket? {
        if case .socket(let socket) = news { socket } else { nil }
    }

    @Test(
        "a session stands, signs arrive, and each end is given a data connection",
        arguments: ["sealed", "plain"])
    func connects(transport: String) throws {
        let pair = try Pair(try NodeCluster(port: NodeCluster.port(), more: "transport: \(transport)"))
        pair.second.allow("files", true)
        pair.first.allow("files", true)
        let one = try pair.firstNews.first("the first node's socket", Self.socket)
        let two = try pair.secondNews.first("the second node's socket", Self.socket)
        #expect(one !== two)
        let sign = PeerSign(
            group: "files", isServing: true, isPromotable: true, isHeld: false, epoch: 3,
            grant: Mark(high: 1, low: 1), sequence: 5)
        pair.first.send(.sign(sign))
        let heard = try pair.secondNews.first("the sign") {
            if case .sign(let sign) = $0 { sign } else { nil }
        }
        #expect(heard == sign)
        pair.second.send(.confirmed(group: "files", sequence: 5))
        let sequence = try pair.firstNews.first("the confirmation") {
            if case .confirmed(let sequence) = $0 { sequence } else { nil }
        }
        #expect(sequence == 5)
    }

    @Test("a data connection that ended is made again")
    func reconnects() throws {
        let pair = try Pair(try NodeCluster(port: NodeCluster.port()))
        pair.second.allow("files", true)
        pair.first.allow("files", true)
        _ = try pair.firstNews.first("a socket", Self.socket)
        _ = try pair.secondNews.first("a socket", Self.socket)
        pair.first.ended("files")
        _ = try pair.firstNews.first("another socket", Self.socket)
        _ = try pair.secondNews.first("another socket", Self.socket)
    }

    @Test("a group that stands alone is given no connection until it may")
    func standsAlone() throws {
        let pair = try Pair(try NodeCluster(port: NodeCluster.port()))
        pair.second.allow("files", false)
        pair.first.allow("files", true)
        try pair.firstJournal.wait(for: "the peer takes no connection for this group now")
        pair.second.allow("files", true)
        _ = try pair.secondNews.first("a socket", Self.socket)
    }

    @Test("settings that differ are named by their line, and nothing is connected")
    func settingsDiffer() throws {
        let port = NodeCluster.port()
        let ours = try NodeCluster(port: port)
        let pair = try Pair(ours, other: try NodeCluster(port: port, more: "lease: slow"))
        try pair.firstJournal.wait(for: "the settings differ: ours lease = normal, theirs lease = slow")
        try pair.secondJournal.wait(for: "the settings differ: ours lease = slow, theirs lease = normal")
        #expect(!pair.first.isSessionUp)
    }

    @Test("a node with another secret is not connected, and both say why")
    func wrongSecret() throws {
        let pair = try Pair(try NodeCluster(port: NodeCluster.port()), secondSecret: .generate())
        try pair.firstJournal.wait(for: "secret differs")
        try pair.secondJournal.wait(for: "secret differs")
        #expect(!pair.second.isSessionUp)
    }

    @Test("a keeper's word that its worker has died reaches the group")
    func keeper() throws {
        let cluster = try NodeCluster(port: NodeCluster.port())
        let pair = try Pair(cluster)
        _ = try pair.firstNews.first("the session") { if case .up = $0 { true } else { nil } }
        KeeperGrant.tellPeer(cluster.context(.second, journal: Journal(logger: nil)))
        _ = try pair.firstNews.first("the resignation") { if case .resigned = $0 { true } else { nil } }
    }
}
