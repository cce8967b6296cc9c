import Glibc

@testable import Lab

extension ProxyCase {
    /// All cases of the file beside this one.
    static let all: [ProxyCase] = {
        let path = "\(#filePath)".split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/cases.txt"
        var text: [UInt8] = []
        guard let file = fopen(path, "r") else { return [] }
        while case let byte = fgetc(file), byte >= 0 { text.append(UInt8(byte)) }
        fclose(file)
        return read(String(decoding: text, as: UTF8.self))
    }()
}
