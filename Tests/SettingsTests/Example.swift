import Basics
import Settings
import Testing

/// The settings of the design's first page, without its proxies, which have tests of their own.
let example = """
    cluster: lab
    secret: /etc/tandem/secret
    nodes:
      node1: { address: 192.168.56.11 }
      node2: { address: 192.168.56.12 }
    witness: { address: 192.168.56.13 }        # required, unless `arbiter: none` is written
    groups:
      files:
        address: 192.168.56.100/24
        prefer: node1
        volume: { size: 1GiB, backing: /var/lib/tandem/files.img }
        mount: { path: /srv/files, type: ext4 }
        export: { to: 192.168.56.0/24, options: [rw, sync, no_root_squash] }
    """

/// The lines that a person sees for `text`; empty when it is accepted.
func messages(_ text: String) -> [String] {
    do throws(SettingsError) {
        _ = try Settings.parse(text: text, file: "t.yaml")
        return []
    } catch {
        return error.description.split(separator: "\n").map(String.init)
    }
}

/// The example with one piece of its text replaced; the test fails where the piece is not there.
func changed(_ piece: String, to replacement: String, _ location: SourceLocation = #_sourceLocation) -> String
{
    #expect(example.contains(piece), sourceLocation: location)
    return example.replacing(piece, with: replacement)
}
