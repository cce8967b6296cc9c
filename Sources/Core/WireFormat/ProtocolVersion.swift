import Basics

/// What both ends must agree on before anything else is said; the same between nodes and to the witness.
public enum ProtocolVersion {
    /// The version that this program speaks; another is refused with both numbers. 2 has reads through the peer.
    public static let current: UInt16 = 2
    /// The feature bits that this program knows and uses: none yet.
    public static let features: UInt32 = 0

    /// Appends version and feature word, 6 bytes: the first of every hello.
    static func encode(into writer: inout ByteWriter) {
        writer.write(current)
        writer.write(features)
    }

    /// Takes and checks the 6 bytes.
    static func check(_ reader: inout ByteReader) throws(FrameError) {
        let version = reader.readUInt16()
        let theirs = reader.readUInt32()
        guard reader.isValid else { throw .malformed }
        guard version == current else { throw .unsupportedVersion(theirs: version, ours: current) }
        guard theirs & ~features == 0 else { throw .unsupportedFeatures(theirs: theirs, ours: features) }
    }
}
