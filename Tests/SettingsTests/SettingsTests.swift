import Basics
import Settings
import Testing

@Suite("Settings that are right")
struct SettingsTests {
    @Test("the example is read, with every default")
    func exampleIsRead() throws {
        let settings = try Settings.parse(text: example, file: "t.yaml")
        #expect(settings.cluster == "lab")
        #expect(settings.nodes.map(\.name) == ["node1", "node2"])
        #expect(settings[.second].address.description == "192.168.56.12")
        #expect(settings[.first].port == 7790)
        #expect(settings.witness?.port == 7791)
        #expect(settings.witness?.afterRestart == .normal)
        #expect(settings.transport == .sealed)
        #expect(settings.lease == .normal)
        #expect(settings.freezeTimeout == .seconds(60))
        #expect(settings.waitForPeer == .seconds(10))
        #expect(settings.elector == .vrrp)
        #expect(settings.controlSocketPath == "/run/tandem/control")
        #expect(settings.stateDirectory == "/var/lib/tandem")
        #expect(settings.deviceDirectory == "/dev/tandem")
        #expect(settings.notInThisVersion.isEmpty)
        let group = try #require(settings.group(named: "files"))
        #expect(group.address?.description == "192.168.56.100/24")
        #expect(group.prefer == .first)
        #expect(group.priority == 100)
        #expect(group.interface == nil)
        #expect(group.onStuck == .wait)
        #expect(group.resync == .direct)
        #expect(group.mount?.path == "/srv/files")
        #expect(group.mount?.type == .ext4)
        #expect(group.mount?.options == [])
        #expect(group.export?.to == ["192.168.56.0/24"])
        #expect(group.export?.options == ["rw", "sync", "no_root_squash"])
        #expect(group.export?.versions == [.fourOne, .fourTwo])
        let volume = try #require(group.volume)
        #expect(volume.size == 1 << 30)
        #expect(volume.backing == "/var/lib/tandem/files.img")
        #expect(volume.activityLogExtents == 1237)
        #expect(volume.directIO)
        #expect(volume.name == "data")
    }

    @Test("every key is taken as it is written")
    func everyKey() throws {
        let settings = try Settings.parse(
            text: """
                cluster: lab
                secret: /tank/secret
                state-directory: /tank/state
                run-directory: /tank/run
                device-directory: /tank/dev
                transport: plain
                lease: slow
                freeze-timeout: 5000ms
                wait-for-peer: 2m
                elector: external
                nodes:
                  zeta: { address: "fd00::2", port: 100 }
                  alpha: { address: fd00::1 }
                witness: { address: fd00::3, port: 200, after-restart: both }
                groups:
                  web: { address: 10.0.0.1/8, interface: eth0.7, virtual-router-id: 9, priority: 7 }
                  disk:
                    prefer: zeta
                    on-stuck: reboot
                    resync: keep-older
                    volume: { name: d0, size: 1048576 B, activity-log-extents: 7, direct-io: false }
                    mount: { path: /m, type: xfs, options: [noatime, logbsize=256k] }
                """, file: "t.yaml")
        #expect(settings.secretPath == "/tank/secret")
        #expect(settings.nodes.map(\.name) == ["alpha", "zeta"])
        #expect(settings[.second].port == 100)
        #expect(settings.witness?.afterRestart == .both)
        #expect(settings.witness?.port == 200)
        #expect(settings.transport == .plain)
        #expect(settings.lease == .slow)
        #expect(settings.freezeTimeout == .seconds(5))
        #expect(settings.waitForPeer == .seconds(120))
        #expect(settings.elector == .external)
        #expect(settings.controlSocketPath == "/tank/run/control")
        #expect(settings.deviceDirectory == "/tank/dev")
        let web = try #require(settings.group(named: "web"))
        #expect(web.interface == "eth0.7")
        #expect(web.virtualRouterID == 9)
        #expect(web.priority == 7)
        let disk = try #require(settings.group(named: "disk"))
        #expect(disk.prefer == .second)
        #expect(disk.onStuck == .reboot)
        #expect(disk.resync == .keepOlder)
        #expect(disk.volume?.backing == "/tank/state/disk.img")
        #expect(disk.volume?.size == 1 << 20)
        #expect(disk.volume?.activityLogExtents == 7)
        #expect(disk.volume?.directIO == false)
        #expect(disk.mount?.options == ["noatime", "logbsize=256k"])
    }

    @Test("arbiter: none stands in for a witness")
    func arbiterNone() throws {
        let text = changed("witness: { address: 192.168.56.13 }", to: "arbiter: none")
        #expect(try Settings.parse(text: text, file: "t.yaml").witness == nil)
    }

    @Test("the hash ignores order, comments and one machine's paths")
    func hashIsOfTheClusterWidePart() throws {
        let settings = try Settings.parse(text: example, file: "t.yaml")
        let other = try Settings.parse(
            text: "# the other machine\n"
                + changed("/var/lib/tandem/files.img", to: "/dev/vg/files").replacing(
                    "secret: /etc/tandem/secret", with: "run-directory: /r"), file: "u.yaml")
        #expect(settings.clusterHash() == other.clusterHash())
        #expect(Settings.firstDifference(settings, other) == nil)
    }

    @Test(
        "a difference in the cluster-wide part is named",
        arguments: [
            (
                "192.168.56.100/24", "192.168.56.101/24",
                "here: groups.files.address = 192.168.56.100/24; there: groups.files.address = 192.168.56.101/24"
            ),
            ("prefer: node1", "on-stuck: wait", "here: groups.files.prefer = node1; there: not set"),
            (
                "address: 192.168.56.100/24", "interface: eth1",
                "here: groups.files.address = 192.168.56.100/24; there: not set"
            ),
            ("cluster: lab", "cluster: labs", "here: cluster = lab; there: cluster = labs"),
            ("prefer: node1", "interface: e", "here: not set; there: groups.files.interface = e"),
        ])
    func differenceIsNamed(piece: String, replacement: String, sentence: String) throws {
        let ours = try Settings.parse(text: example, file: "t.yaml")
        let theirs = try Settings.parse(text: changed(piece, to: replacement), file: "t.yaml")
        #expect(ours.clusterHash() != theirs.clusterHash())
        #expect(Settings.firstDifference(ours, theirs) == sentence)
    }

    @Test("a node finds itself by the name that it is given, and is told the names when it does not")
    func localNode() throws {
        let settings = try Settings.parse(text: example, file: "t.yaml")
        #expect(try settings.localNode(named: "node2") == .second)
        let error = #expect(throws: SettingsError.self) { try settings.localNode(named: "node3") }
        #expect(error?.description == "t.yaml: no node is called 'node3'; --node takes node1 or node2")
    }

    @Test("a file that is not there is one sentence")
    func missingFile() {
        let error = #expect(throws: SettingsError.self) { try Settings.load(path: "/nowhere/tandem.yaml") }
        #expect(
            error?.description
                == "/nowhere/tandem.yaml: cannot be read: No such file or directory; write it"
                + " (Docs/Operating/settings.md) or name another with --settings")
    }

    @Test("a directory, and a device that never ends, are refused")
    func notAFile() {
        let directory = #expect(throws: SettingsError.self) { try Settings.load(path: "/proc") }
        #expect(directory?.problems.first?.message.contains("name the file, not the directory") == true)
        let endless = #expect(throws: SettingsError.self) { try Settings.load(path: "/dev/zero") }
        #expect(endless?.problems.first?.message == "longer than 1048576 bytes; is it the settings file?")
    }

    @Test(
        "addresses are read strictly and written in one form",
        arguments: [
            ("10.0.0.1", "10.0.0.1"), ("fd00:0:0::1", "fd00::1"), ("::ffff:1.2.3.4", "::ffff:102:304"),
            ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
            ("1.2.3", nil), ("01.2.3.4", nil), ("1.2.3.256", nil), ("1.2.3.4.5", nil), (":::", nil),
            ("1::2::3", nil),
            ("1:2:3:4:5:6:7", nil), ("1:2:3:4:5:6:7:8:9", nil), ("1.2.3.4::", nil), ("fe80::1%eth0", nil),
            ("", nil),
        ] as [(String, String?)])
    func addresses(text: String, canonical: String?) {
        #expect(Settings.IPAddress(text)?.description == canonical)
    }
}
