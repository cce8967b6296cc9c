import ControlPlane
import Glibc
import LinuxSystem
import Testing

@Suite("Small files that must survive a loss of power")
struct FileTreeTests {
    /// A directory that goes with its owner.
    private final class Place {
        let path = "/dev/shm/tandem-files.\(UInt64.random(in: 0 ... .max))"
        init() { mkdir(path, 0o700) }
        deinit {
            for name in ["file", "file.new"] { unlink("\(path)/\(name)") }
            rmdir("\(path)/file")
            rmdir(path)
        }
    }

    @Test("the bytes are durable before the name means them, and the name before anybody is told")
    func order() throws {
        let place = Place()
        let path = "\(place.path)/file"
        try FileTree.replace(path, with: [1])
        var calls: [FileTree.ReplaceCall] = []
        var contents: [String] = []
        try FileTree.replace(path, with: [2]) { call in
            calls.append(call)
            contents.append((try? SmallFile.read(path)) ?? "none")
        }
        #expect(calls == [.written, .synced, .renamed, .nameSynced])
        #expect(contents == ["\u{1}", "\u{1}", "\u{2}", "\u{2}"])
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    }

    @Test("a file that cannot be replaced is as it was, and no draft is left")
    func failure() throws {
        let place = Place()
        let path = "\(place.path)/file"
        // A name that no file can take.
        #expect(mkdir(path, 0o700) == 0)
        #expect(throws: SystemError.self) { try FileTree.replace(path, with: [1]) }
        #expect(access(path + ".new", F_OK) != 0)
        rmdir(path)
        try FileTree.create(path, with: [3])
        let error = #expect(throws: SystemError.self) { try FileTree.create(path, with: [4]) }
        #expect(error?.code == EEXIST)
        #expect(try SmallFile.read(path) == "\u{3}")
    }
}
