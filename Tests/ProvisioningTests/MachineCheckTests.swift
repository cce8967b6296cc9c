import Basics
import Election
import LinuxSystem
import Settings
import Testing

@testable import Provisioning

@Suite("tandem check")
struct MachineCheckTests {
    private func findings(lease: String) throws -> [MachineCheck.Finding] {
        let settings = try Settings.parse(
            text: """
                cluster: test
                secret: /none/secret
                lease: \(lease)
                nodes:
                  node1: { address: 127.0.0.1 }
                  node2: { address: 127.0.0.2 }
                arbiter: none
                groups:
                  front: { address: 192.0.2.1/24 }
                """, file: "test.yaml")
        return MachineCheck.run(settings: settings, nodeName: "node1", deadline: .now() + .seconds(5))
    }

    @Test("a machine that wakes too late for a fast lease is told so, and what to do")
    func tooLate() {
        let late = MachineCheck.punctuality(.fast, lateness: .milliseconds(90))
        #expect(!late.isOK)
        #expect(late.text.contains("225 ms") && late.text.contains("90 ms late"))
        #expect(late.text.contains("`lease: normal`"))
        #expect(MachineCheck.punctuality(.fast, lateness: .milliseconds(20)).isOK)
    }

    @Test("the machine is measured where the lease is fast, and only there")
    func measured() throws {
        #expect(try findings(lease: "fast").contains { $0.text.hasPrefix("lease: of 225 ms") })
        #expect(try !findings(lease: "normal").contains { $0.text.hasPrefix("lease: ") })
    }

    @Test("sqlite3 is looked for where NFS 4.0 is served, and only there")
    func recordsEditor() throws {
        func findings(versions: String) throws -> [MachineCheck.Finding] {
            let settings = try Settings.parse(
                text: """
                    cluster: test
                    secret: /none/secret
                    nodes:
                      node1: { address: 127.0.0.1 }
                      node2: { address: 127.0.0.2 }
                    arbiter: none
                    groups:
                      files:
                        volume: { size: 1MiB, backing: /none/files.img }
                        mount: { path: /none/files }
                        address: 192.0.2.1/24
                        export: { to: [192.0.2.0/24], versions: \(versions) }
                    """, file: "test.yaml")
            return MachineCheck.run(settings: settings, nodeName: "node1", deadline: .now() + .seconds(5))
        }
        #expect(try findings(versions: "[4.0, 4.2]").contains { $0.text.hasPrefix("tool: sqlite3") })
        #expect(try !findings(versions: "[3, 4.1]").contains { $0.text.hasPrefix("tool: sqlite3") })
    }

    @Test("the machine with the witness's address is looked at as the witness, and not for copies")
    func witnessMachine() throws {
        func findings(witness: String) throws -> [MachineCheck.Finding] {
            let settings = try Settings.parse(
                text: """
                    cluster: test
                    secret: /none/secret
                    nodes:
                      one.invalid: { address: 192.0.2.1 }
                      two.invalid: { address: 192.0.2.2 }
                    witness: { address: \(witness), port: 1 }
                    groups:
                      files: { volume: { size: 1MiB, backing: /none/files.img } }
                    """, file: "test.yaml")
            return MachineCheck.run(settings: settings, nodeName: nil, deadline: .now() + .seconds(5))
        }
        let here = try findings(witness: "127.0.0.3")
        #expect(here.contains { $0.isOK && $0.text.contains("the witness's address") })
        #expect(here.contains { !$0.isOK && $0.text.contains("is `tandem witness` running there?") })
        #expect(!here.contains { $0.text.hasPrefix("copy") || $0.text.contains("no node is called") })
        // Elsewhere the name of the host is the question.
        #expect(try findings(witness: "192.0.2.3").contains { $0.text.contains("no node is called") })
    }
}
