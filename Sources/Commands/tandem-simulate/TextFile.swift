import ArgumentParser
import Glibc

/// A whole text file; the error says which.
func readText(_ path: String) throws -> String {
    guard let file = fopen(path, "r") else { throw ValidationError("cannot read \(path): \(lastError())") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while true {
        let byte = getc(file)
        if byte == EOF { break }
        bytes.append(UInt8(truncatingIfNeeded: byte))
    }
    guard ferror(file) == 0 else { throw ValidationError("cannot read \(path): \(lastError())") }
    return String(decoding: bytes, as: UTF8.self)
}

/// Replaces a text file in one step, so that a killed run leaves the one before.
func writeText(_ text: String, to path: String) throws {
    let next = path + ".new"
    guard let file = fopen(next, "w") else { throw ValidationError("cannot write \(next): \(lastError())") }
    let written = fputs(text, file)
    guard fclose(file) == 0, written >= 0, rename(next, path) == 0 else {
        throw ValidationError("cannot write \(path): \(lastError())")
    }
}

private func lastError() -> String {
    strerror(errno).map { String(cString: $0) } ?? "error \(errno)"
}
