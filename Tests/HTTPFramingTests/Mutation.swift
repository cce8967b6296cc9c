import Basics

/// Small wrongs, as people who smuggle requests make them.
enum Mutation {
    static let words = [
        "\r\n", "\n", "\r", " ", "\t", ":", ",", ";", "0", "5", "\0", "chunked", "close",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n", "Host: b\r\n", "HTTP/1.1", "HTTP/1.0", "\r\n\r\n", "Connection: ",
        "*",
        "http://b.example.com/", "#", "/", "X: y\r\n", "F", "\u{e9}",
    ]

    static func make(
        _ bytes: [UInt8], _ other: [UInt8], _ generator: inout SeededGenerator
    ) -> [UInt8] {
        var bytes = bytes
        for _ in 0...generator.below(3) {
            let place = generator.below(bytes.count + 1)
            switch generator.below(5) {
            case 0: bytes.insert(contentsOf: Array(words[generator.below(words.count)].utf8), at: place)
            case 1: if place < bytes.count { bytes.remove(at: place) }
            case 2: if place < bytes.count { bytes[place] = UInt8(truncatingIfNeeded: generator.next()) }
            case 3: bytes = Array(bytes[..<place] + other[generator.below(other.count + 1)...])
            default: bytes.removeSubrange(place..<min(bytes.count, place + generator.below(12)))
            }
        }
        return bytes
    }
}
