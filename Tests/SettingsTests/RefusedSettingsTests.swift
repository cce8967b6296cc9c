import Settings
import Testing

/// One change to the example and the line that it must bring.
struct Refusal: Sendable, CustomTestStringConvertible {
    var piece: String
    var replacement: String
    var message: String

    init(_ piece: String, _ replacement: String, _ message: String) {
        self.piece = piece
        self.replacement = replacement
        self.message = message
    }

    var testDescription: String { replacement }
}

@Suite("Settings that are refused")
struct RefusedSettingsTests {
    @Test(
        "an unknown key or word is named with its place and the nearest valid one",
        arguments: [
            Refusal(
                "cluster: lab", "cluster: lab\nwitnes: 1",
                "t.yaml:2:1: unknown key 'witnes'; did you mean 'witness'?"),
            Refusal(
                "    mount:", "    mout:",
                "t.yaml:12:5: unknown key 'mout' in 'groups.files'; did you mean 'mount'?"),
            Refusal(
                "size: 1GiB", "sise: 1GiB",
                "t.yaml:11:15: unknown key 'sise' in 'groups.files.volume'; did you mean 'size'?"),
            Refusal(
                "cluster: lab", "cluster: lab\nlease: quickly",
                "t.yaml:2:8: 'lease' must be one of fast, normal, slow, found 'quickly'"),
            Refusal(
                "cluster: lab", "cluster: lab\ntransport: plan",
                "t.yaml:2:12: 'transport' must be one of sealed, plain, found 'plan'; did you mean 'plain'?"),
            Refusal(
                "type: ext4", "type: ext3",
                "t.yaml:12:38: 'groups.files.mount.type' must be one of ext4, xfs, found 'ext3';"
                    + " did you mean 'ext4'?"),
            Refusal(
                "prefer: node1", "prefer: nod1",
                "t.yaml:10:13: 'groups.files.prefer' names no node: 'nod1'; did you mean 'node1'?"),
            Refusal(
                "no_root_squash", "no_rootsquash",
                "t.yaml:13:56: unknown export option 'no_rootsquash' in 'groups.files.export.options';"
                    + " did you mean 'no_root_squash'?"),
            Refusal(
                "size: 1GiB", "size: 1GiB, direct-io: yes",
                "t.yaml:11:38: 'groups.files.volume.direct-io' must be true or false, found 'yes';"
                    + " did you mean 'true'?"),
        ])
    func nearestWord(refusal: Refusal) {
        #expect(messages(changed(refusal.piece, to: refusal.replacement)).contains(refusal.message))
    }

    private static let size =
        "'groups.files.volume.size' must be a size from 1MiB to 16TiB, a multiple of 4096 bytes, with its unit"
        + " (B, KiB, MiB, GiB, TiB)"

    @Test(
        "a wrong number, unit or form says what was expected",
        arguments: [
            Refusal("1GiB", "1GB", "t.yaml:11:21: \(size), found '1GB'; did you mean '1GiB'?"),
            Refusal("1GiB", "1073741824", "t.yaml:11:21: \(size), found '1073741824'"),
            Refusal("1GiB", "1MB", "t.yaml:11:21: \(size), found '1MB'; did you mean '1MiB'?"),
            Refusal("1GiB", "1048577B", "t.yaml:11:21: \(size), found '1048577B'"),
            Refusal("1GiB", "17TiB", "t.yaml:11:21: \(size), found '17TiB'"),
            Refusal(
                "1GiB", "99999999999999999999TiB", "t.yaml:11:21: \(size), found '99999999999999999999TiB'"),
            Refusal(
                "1GiB", "18446744073709551615KiB", "t.yaml:11:21: \(size), found '18446744073709551615KiB'"),
            Refusal("1GiB", "-1GiB", "t.yaml:11:21: \(size), found '-1GiB'"),
            Refusal("1GiB", "[]", "t.yaml:11:21: '\(size.dropFirst()), found a list"),
            Refusal(
                "size: 1GiB, ", "",
                "t.yaml:11:13: 'groups.files.volume.size' is missing; expected \(size.dropFirst(35))"
            ),
            Refusal(
                "size: 1GiB", "size: 1GiB, activity-log-extents: 6",
                "t.yaml:11:49: 'groups.files.volume.activity-log-extents' must be a whole number from 7 to 3676,"
                    + " found '6'"),
            Refusal(
                "cluster: lab", "cluster: lab\nfreeze-timeout: 60",
                "t.yaml:2:17: 'freeze-timeout' must be a duration from 1s to 3600s with its unit (ms, s, m), such as"
                    + " 60s, found '60'"),
            Refusal(
                "cluster: lab", "cluster: lab\nwait-for-peer: 1h",
                "t.yaml:2:16: 'wait-for-peer' must be a duration from 0s to 3600s with its unit (ms, s, m), such as"
                    + " 10s, found '1h'"),
            Refusal(
                "192.168.56.11 ", "192.168.56.256 ",
                "t.yaml:4:21: 'nodes.node1.address' must be an IPv4 or IPv6 address, such as 192.168.56.11, found"
                    + " '192.168.56.256'"),
            Refusal(
                "192.168.56.11 ", "192.168.56.11/24 ",
                "t.yaml:4:21: 'nodes.node1.address' must be an IPv4 or IPv6 address, such as 192.168.56.11, found"
                    + " '192.168.56.11/24'; a prefix length does not belong here"),
            Refusal(
                "192.168.56.11 ", "0.0.0.0 ",
                "t.yaml:4:21: 'nodes.node1.address' must be the address of one machine, found '0.0.0.0'"),
            Refusal(
                "192.168.56.11 ", "192.168.56.11, port: 0 ",
                "t.yaml:4:42: 'nodes.node1.port' must be a whole number from 1 to 65535, found '0'"),
            Refusal(
                "192.168.56.100/24", "192.168.56.100",
                "t.yaml:9:14: 'groups.files.address' must be an address with its prefix length, such as"
                    + " 192.168.56.100/24, found '192.168.56.100'"),
            Refusal(
                "192.168.56.100/24", "192.168.56.100/33",
                "t.yaml:9:14: 'groups.files.address' must be an address with its prefix length, such as"
                    + " 192.168.56.100/24, found '192.168.56.100/33'"),
            Refusal(
                "192.168.56.100/24", "fd00::100/64",
                "t.yaml:9:14: 'groups.files.address' is IPv6, which is not in this version; expected an address with"
                    + " its prefix length, such as 192.168.56.100/24"),
            Refusal(
                "192.168.56.100/24", "224.0.0.18/24",
                "t.yaml:9:14: 'groups.files.address' must be an address with its prefix length, such as"
                    + " 192.168.56.100/24, found '224.0.0.18/24'"),
            Refusal(
                "/srv/files,", "srv/files,",
                "t.yaml:12:20: 'groups.files.mount.path' must be an absolute path without spaces, '.', '..' or a '/'"
                    + " at its end, found 'srv/files'"),
            Refusal(
                "/srv/files,", "/srv/../etc,",
                "t.yaml:12:20: 'groups.files.mount.path' must be an absolute path without spaces, '.', '..' or a '/'"
                    + " at its end, found '/srv/../etc'"),
            Refusal(
                "cluster: lab", "cluster: la/b",
                "t.yaml:1:10: the cluster's name 'la/b' must begin with a letter or digit and have only letters,"
                    + " digits, '-' and '_', at most 32"),
            Refusal(
                "prefer: node1", "interface: verylonginterface",
                "t.yaml:10:16: 'groups.files.interface' must be the name of a network interface, 1 to 15 characters"
                    + " without spaces, '/' and ':', found 'verylonginterface'"),
            Refusal(
                "prefer: node1", "prefer:",
                "t.yaml:10:12: 'groups.files.prefer' must be the name of a node, found nothing"),
            Refusal(
                "to: 192.168.56.0/24", "to: '*'",
                "t.yaml:13:19: 'groups.files.export.to' must be networks or addresses, such as 192.168.56.0/24, found"
                    + " '*'"),
            Refusal(
                "to: 192.168.56.0/24", "to: 192.168.56.0/24, versions: [4.2, 4]",
                "t.yaml:13:52: 'groups.files.export.versions' must be a list of versions of NFS: 3, 4.0, 4.1, 4.2,"
                    + " found '4'"),
            Refusal(
                "to: 192.168.56.0/24", "to: 192.168.56.0/24, versions: []",
                "t.yaml:13:46: 'groups.files.export.versions' must be a list of versions of NFS: 3, 4.0, 4.1, 4.2,"
                    + " found none"),
            Refusal(
                "cluster: lab", "cluster: lab\ntransport: {}",
                "t.yaml:2:12: 'transport' must be one of sealed, plain, found a mapping"),
        ])
    func wrongForm(refusal: Refusal) {
        #expect(messages(changed(refusal.piece, to: refusal.replacement)) == [refusal.message])
    }

    @Test(
        "a contradiction names both sides",
        arguments: [
            Refusal(
                "cluster: lab", "cluster: lab\narbiter: none",
                "t.yaml:2:10: 'arbiter: none' and 'witness' contradict each other; remove one of them"),
            Refusal(
                "witness: { address: 192.168.56.13 } ", "",
                "t.yaml:1:1: 'witness' is missing; expected { address: ... } of a third machine, or 'arbiter: none',"
                    + " which makes a split brain possible"),
            Refusal(
                "  node2: { address: 192.168.56.12 }\n", "",
                "t.yaml:4:3: 'nodes' must name exactly two nodes, found 1"),
            Refusal(
                "56.12", "56.11",
                "t.yaml:5:21: 'nodes.node2' has the address of 'nodes.node1', 192.168.56.11; two machines have two"
            ),
            Refusal(
                "192.168.56.12 ", "fd00::12 ",
                "t.yaml:5:21: 'nodes.node2.address' is IPv6, and a group has an address: expected IPv4, or 'elector:"
                    + " external'"),
            Refusal(
                "56.13", "56.12",
                "t.yaml:6:21: the witness has the address of 'nodes.node2', 192.168.56.12; it must be on a third"
                    + " machine, or the loss of that node would take both"),
            Refusal(
                "56.100/24", "56.12/24",
                "t.yaml:9:14: 'groups.files.address' is already the address of 'nodes.node2', 192.168.56.12; expected"
                    + " one that no machine has"),
            Refusal(
                "    volume: { size: 1GiB, backing: /var/lib/tandem/files.img }\n", "",
                "t.yaml:11:12: 'groups.files' has a mount and no volume; add 'volume' or remove 'mount'"),
            Refusal(
                "    mount: { path: /srv/files, type: ext4 }\n", "",
                "t.yaml:12:13: 'groups.files' has an export and no mount; add 'mount' or remove 'export'"),
            Refusal(
                "/var/lib/tandem/files.img", "/srv/files/files.img",
                "t.yaml:11:36: the backing file /srv/files/files.img lies inside the volume's own mount /srv/files"
            ),
            Refusal(
                "cluster: lab", "cluster: lab\nlease: slow\nfreeze-timeout: 4s",
                "t.yaml:3:17: 'freeze-timeout' (4s) must be longer than the lease (4s): no verdict can come sooner"
            ),
            Refusal(
                "[rw, sync,", "[rw, async,",
                "t.yaml:13:50: 'async' in 'groups.files.export.options' would answer clients before the data is safe;"
                    + " write 'sync'"),
            Refusal(
                "[rw, sync,", "[fsid=1,",
                "t.yaml:13:46: 'fsid' in 'groups.files.export.options' is set by Tandem, the same on both nodes;"
                    + " remove it"),
            Refusal(
                "groups:\n", "groups:\n  empty: { on-stuck: wait }\n",
                "t.yaml:8:10: 'groups.empty' has nothing to do; expected 'volume', 'address' or both"),
        ])
    func contradiction(refusal: Refusal) {
        #expect(messages(changed(refusal.piece, to: refusal.replacement)) == [refusal.message])
    }

    @Test("two groups share no backing, mount path, address, router number or export")
    func twoGroups() {
        let second = """
            groups:
              also:
                address: 192.168.56.100/24
                virtual-router-id: 5
                volume: { size: 1GiB, backing: /var/lib/tandem/files.img }
                mount: { path: /srv/files }
                export: { to: 10.0.0.0/8 }

            """
        let text = changed("groups:\n", to: second).replacing(
            "    prefer: node1", with: "    virtual-router-id: 5")
        #expect(
            messages(text) == [
                "t.yaml:15:14: 'groups.files.address' is already the address of 'groups.also', 192.168.56.100;"
                    + " expected one that no machine has",
                "t.yaml:16:24: groups 'also' and 'files' have the same virtual-router-id 5; write 'virtual-router-id'"
                    + " with another number, 1 to 255, in one of them",
                "t.yaml:17:36: groups 'also' and 'files' have the same backing /var/lib/tandem/files.img; each needs"
                    + " its own",
                "t.yaml:18:20: groups 'also' and 'files' have the same mount path /srv/files; each needs its own",
                "t.yaml:19:13: groups 'also' and 'files' both have an export; nfsd, its client records and its grace"
                    + " period are one for a machine, so at most one group may have one",
            ])
    }

    @Test("all problems are told at once, in the order of the lines")
    func allAtOnce() {
        let text = changed("cluster: lab", to: "clutser: lab").replacing("1GiB", with: "1GB").replacing(
            "type: ext4", with: "type: ext5")
        let lines = messages(text).map { $0.prefix { $0 != " " } }
        #expect(lines == ["t.yaml:1:1:", "t.yaml:1:1:", "t.yaml:11:21:", "t.yaml:12:38:"])
    }

    @Test(
        "what is not plain YAML is refused with its place",
        arguments: [
            (
                "a: 1\nb: 2\na: 3", "t.yaml:3:1: the key 'a' is here twice, first in line 1; keep one of them"
            ),
            (
                "a: &x 1\nb: *x",
                "t.yaml:1:4: an anchor (&name) is not allowed in settings; write the value out"
            ),
            ("b: *x", "t.yaml:1:4: an alias (*name) is not allowed in settings; write the value out"),
            ("b: !!int 1", "t.yaml:1:4: a tag (!name) is not allowed in settings; write the plain value"),
            ("a: 1\n---\nb: 2", "t.yaml:2:1: a second document begins here; settings are one document"),
            ("? [a]\n: b", "t.yaml:1:3: a key is a single word"),
            ("- a", "t.yaml:1:1: the settings must be a mapping of keys to values, found a list"),
            (
                "a: [1, 2\nb: 3",
                "t.yaml:2:2: not valid YAML: while parsing a flow sequence: did not find expected ',' or ']'"
            ),
            ("a: \"\\0\"", "t.yaml:1:4: a NUL byte in a value"),
        ])
    func notPlainYaml(text: String, message: String) {
        #expect(messages(text) == [message])
    }

    @Test("a control character is refused with its place")
    func controlCharacter() {
        let message = "control characters are not allowed; settings are UTF-8 text"
        #expect(messages("a: \u{0}") == ["t.yaml:1:4: \(message)"])
        #expect(messages("a: ü\n\nbü: \u{7}") == ["t.yaml:3:5: \(message)"])
    }

    @Test("a text that is deep, wide or long is refused, not read to its end")
    func bounds() {
        let deep = "a: " + String(repeating: "[", count: 1000)
        #expect(messages(deep) == ["t.yaml:1:20: nested deeper than 16 levels"])
        let wide = "a: [" + String(repeating: "1,", count: 30_000) + "]"
        #expect(messages(wide).first?.hasSuffix("more than 20000 values; settings have fewer") == true)
        let long = "a: " + String(repeating: "x", count: 1 << 20)
        #expect(
            messages(long) == ["t.yaml:1:1: the file has 1048579 bytes; settings have at most 1048576"])
    }

    @Test("an empty file says which keys are missing")
    func emptyFile() {
        #expect(
            messages("").map { $0.split(separator: "'")[1] } == ["cluster", "nodes", "witness", "groups"])
        #expect(messages("# nothing\n").count == 4)
    }

    @Test(
        "any prefix of the example, and any one byte of it changed, ends in settings or in lines with a place"
    )
    func mutations() {
        let bytes = Array(example.utf8)
        for end in stride(from: 0, to: bytes.count, by: 3) {
            let lines = messages(String(decoding: bytes[..<end], as: UTF8.self))
            #expect(lines.allSatisfy { $0.hasPrefix("t.yaml:") })
        }
        for index in bytes.indices {
            for value: UInt8 in [0x00, 0x0A, 0x20, 0x22, 0x2A, 0x3A, 0x7B, 0x5D, 0xFF] {
                var changed = bytes
                changed[index] = value
                let lines = messages(String(decoding: changed, as: UTF8.self))
                #expect(lines.allSatisfy { $0.hasPrefix("t.yaml:") })
            }
        }
    }
}
