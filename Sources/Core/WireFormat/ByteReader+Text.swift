import Basics

extension ByteWriter {
    /// Appends a length of one byte and the text's UTF-8 bytes, of which there are at most 255.
    mutating func write(text: String) {
        precondition(text.utf8.count <= WitnessMessage.textMaximum, "a text longer than its length can say")
        write(UInt8(text.utf8.count))
        write(text.utf8)
    }

    /// Appends a group's name, which must be one.
    mutating func write(groupName name: String) {
        precondition(WitnessMessage.isValid(groupName: name), "not a group's name")
        write(text: name)
    }
}

extension ByteReader {
    /// Takes a text; empty, and an invalid reader, if the bytes are no UTF-8.
    mutating func readText() -> String {
        let bytes = readBytes(Int(readUInt8()))
        guard let text = String(validating: bytes, as: UTF8.self) else {
            invalidate()
            return ""
        }
        return text
    }

    /// Takes a group's name; an invalid reader if it cannot be one.
    mutating func readGroupName() -> String {
        let name = readText()
        if !WitnessMessage.isValid(groupName: name) { invalidate() }
        return name
    }
}
