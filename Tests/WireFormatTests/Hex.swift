/// The bytes of an annotated dump: pairs of digits up to `|`, after which a line is comment; `00*16` repeats.
func hex(_ dump: String) -> [UInt8] {
    var bytes: [UInt8] = []
    for line in dump.split(separator: "\n") {
        let digits = line.prefix { $0 != "|" }
        for token in digits.split(separator: " ") {
            let parts = token.split(separator: "*")
            guard let byte = parts.first.flatMap({ UInt8($0, radix: 16) }) else {
                fatalError("not a byte: \(token)")
            }
            let count = parts.count == 2 ? Int(parts[1]) ?? 0 : 1
            bytes += [UInt8](repeating: byte, count: count)
        }
    }
    return bytes
}
