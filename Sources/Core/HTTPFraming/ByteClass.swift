/// What RFC 9110 section 5.6.2 and RFC 9112 call a byte.
enum ByteClass {
    static let tab: UInt8 = 0x09
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let comma: UInt8 = 0x2C
    static let colon: UInt8 = 0x3A
    static let semicolon: UInt8 = 0x3B
    static let slash: UInt8 = 0x2F

    /// Bit n is set when byte n is a token character: letters, digits and !#$%&'*+-.^_`|~ .
    private static let tokens: (UInt64, UInt64) = (0x03FF_6CFA_0000_0000, 0x57FF_FFFF_C7FF_FFFE)

    static func isToken(_ byte: UInt8) -> Bool {
        if byte < 64 { return tokens.0 >> UInt64(byte) & 1 == 1 }
        return byte < 128 && tokens.1 >> UInt64(byte - 64) & 1 == 1
    }

    /// field-vchar, SP or HTAB (RFC 9110 5.5): no NUL, CR, LF or other control character.
    static func isFieldValue(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte != 0x7F || byte == tab
    }

    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    static func isSpace(_ byte: UInt8) -> Bool { byte == space || byte == tab }

    /// 0...15, nil for what is no hexadecimal digit.
    static func hexValue(_ byte: UInt8) -> UInt8? {
        if isDigit(byte) { return byte - 0x30 }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter + 10 : nil
    }

    /// uri-host of RFC 3986 3.2.2 outside brackets: unreserved, percent and sub-delims.
    static func isHostName(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case 0x2D, 0x2E, 0x5F, 0x7E, 0x25: true
        case 0x21, 0x24, 0x26...0x2C, 0x3B, 0x3D: true
        default: false
        }
    }
}
