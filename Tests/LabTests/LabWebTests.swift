import Glibc
import Testing

@testable import Lab

/// The lab of virtual machines writes its settings itself, Vagrant's machines get files: they must say the same.
@Suite("The proxies' side of a lab")
struct LabWebTests {
    private static let client = VirtualLab.address(of: "client")

    /// A file of the repository; the tests lie three folders below its root.
    private func file(_ path: String) throws -> String {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return try #require(TextFile.read("/\(root)/\(path)"), "\(path) can be read")
    }

    @Test("Vagrant's web servers have the settings of the virtual machines' ones")
    func serverSettings() throws {
        let text = LabWeb.serverText(host: Self.client, directory: VirtualLab.serverDirectory)
        #expect(try file("Tools/lab.d/web.conf") == text)
    }

    @Test("Vagrant's cluster has the pair of the virtual machines' one")
    func pairSettings() throws {
        let text = try file("Tools/lab.d/tandem.yaml")
        #expect(text.contains(LabWeb.groupText))
        let proxy = LabWeb.proxyText(client: Self.client, log: "\(VirtualLab.diskInside)/access.log")
        #expect(text.hasSuffix(proxy))
    }

    @Test("each web server answers with its name")
    func serverNames() {
        let text = LabWeb.serverText(host: "10.0.0.1", directory: "/run/web")
        for server in LabWeb.servers {
            #expect(text.contains("listen 10.0.0.1:\(server.port);"))
            #expect(text.contains("return 200 \"\(server.name)\\n\";"))
        }
    }

    @Test("the status names the node that has the address, and says when none has it")
    func statusLine() {
        #expect(LabWeb.statusLine(holders: ["node2"]).contains(", now on node2;"))
        #expect(LabWeb.statusLine(holders: []).contains("now nowhere;"))
    }
}
