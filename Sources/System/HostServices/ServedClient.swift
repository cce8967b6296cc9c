import Glibc
public import LinuxSystem

/// What the kernel's NFS server tells of one confirmed client of version 4.
public struct ServedClient: Sendable, Hashable {
    /// What it calls itself, quoted and escaped as the kernel prints it.
    public var name: String
    /// The digit behind the point of its version; nil where the kernel does not tell.
    public var minorVersion: Int?
    /// Its opens and locks; delegations and layouts are given anew.
    public var states: Int
    /// Whole seconds since it was last heard; nil where the kernel does not tell (before 6.0).
    public var silence: Int?

    public init(name: String, minorVersion: Int? = nil, states: Int = 0, silence: Int? = nil) {
        self.name = name
        self.minorVersion = minorVersion
        self.states = states
        self.silence = silence
    }

    /// From what the kernel prints; nil for a client that is not confirmed, or not any more.
    init?(info: String, states: String) {
        var words: [Substring: Substring] = [:]
        for line in info.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            words[line[..<colon]] = line[line.index(after: colon)...].drop { $0 == " " }
        }
        // Older kernels tell no status.
        guard words["status", default: "confirmed"] == "confirmed", let name = words["name"] else {
            return nil
        }
        self.name = String(name)
        minorVersion = words["minor version"].flatMap { Int($0) }
        silence = words["seconds from last renew"].flatMap { Int($0) }
        self.states = states.split(separator: "\n").count {
            $0.contains("type: open") || $0.contains("type: lock")
        }
    }

    /// All confirmed clients. Empty where the kernel does not tell (before 5.3).
    public static func all() throws(SystemError) -> [ServedClient] {
        let directory = "\(FileServer.directory)/clients"
        let names: [String]
        do throws(SystemError) { names = try KernelFiles.names(in: directory) } catch {
            guard error.code == ENOENT else { throw error }
            return []
        }
        return names.compactMap { name in
            // One that leaves while it is looked at is gone.
            guard let info = try? KernelFiles.read("\(directory)/\(name)/info"),
                let states = try? KernelFiles.read("\(directory)/\(name)/states")
            else { return nil }
            return ServedClient(
                info: String(decoding: info, as: UTF8.self), states: String(decoding: states, as: UTF8.self))
        }
    }

    /// The bytes of a name as the client sent them: without its quotes, `\xHH` read; nil for what is not so written.
    static func bytes(ofName name: String) -> [UInt8]? {
        let text = Array(name.utf8)
        guard text.count >= 2, text.first == UInt8(ascii: "\""), text.last == UInt8(ascii: "\"") else {
            return nil
        }
        var bytes: [UInt8] = []
        var rest = text[1..<(text.count - 1)]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 3, rest.popFirst() == UInt8(ascii: "x"),
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            else { return nil }
            rest = rest.dropFirst(2)
            bytes.append(value)
        }
        return bytes
    }
}
