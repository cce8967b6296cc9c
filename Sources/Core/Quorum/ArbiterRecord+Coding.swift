public import Basics

// One form in bytes for both formats: the superblock, the wire and the witness's file share it
// (`Docs/Formats/disk.md`, "Record" and "Request").

extension ArbiterRecord {
    /// How many bytes a record takes.
    public static let byteCount = 32

    /// Appends the record's `byteCount` bytes.
    public func encode(into writer: inout ByteWriter) {
        writer.write(epoch)
        writer.write(grant)
        writer.write(holder.rawValue)
        writer.write(copies.rawValue)
        writer.writeZeroes(6)
    }

    /// Takes a record's bytes; `nil`, and an invalid reader, if they are no record.
    public init?(from reader: inout ByteReader) {
        let epoch = reader.readUInt64()
        let grant = reader.readMark()
        let holder = NodeIndex(rawValue: reader.readUInt8())
        let copies = NodeSet(rawValue: reader.readUInt8())
        reader.skip(6)
        guard reader.isValid, let holder, !copies.isEmpty, copies.isSubset(of: .both) else {
            reader.invalidate()
            return nil
        }
        self.init(epoch: epoch, grant: grant, holder: holder, copies: copies)
    }
}

extension ArbiterRequest {
    /// How many bytes a request takes.
    public static let byteCount = 48

    /// Appends the request's `byteCount` bytes.
    public func encode(into writer: inout ByteWriter) {
        writer.write(identifier)
        writer.write(expectedEpoch)
        writer.write(expectedGrant)
        writer.write(purpose.rawValue)
        writer.write(asker.rawValue)
        writer.write(holder.rawValue)
        writer.write(copies.rawValue)
        writer.write(restarted)
        writer.writeZeroes(3)
    }

    /// Takes a request's bytes; `nil`, and an invalid reader, if they are no request. Whether it contradicts the
    /// rules (an empty `copies`) is for the arbiter to say.
    public init?(from reader: inout ByteReader) {
        let identifier = reader.readMark()
        let expectedEpoch = reader.readUInt64()
        let expectedGrant = reader.readMark()
        let purpose = ArbiterPurpose(rawValue: reader.readUInt8())
        let asker = NodeIndex(rawValue: reader.readUInt8())
        let holder = NodeIndex(rawValue: reader.readUInt8())
        let copies = NodeSet(rawValue: reader.readUInt8())
        let restarted = reader.readBool()
        reader.skip(3)
        guard reader.isValid, let purpose, let asker, let holder, copies.isSubset(of: .both) else {
            reader.invalidate()
            return nil
        }
        self.init(
            identifier: identifier, purpose: purpose, asker: asker, expectedEpoch: expectedEpoch,
            expectedGrant: expectedGrant, holder: holder, copies: copies, restarted: restarted)
    }
}
