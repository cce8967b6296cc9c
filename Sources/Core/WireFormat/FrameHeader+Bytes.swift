import Basics

// The write path encodes into and decodes from buffers made beforehand: nothing here allocates.

extension FrameHeader {
    /// "TdFr".
    private static let magic: UInt32 = 0x5464_4672
    private static let okFlag: UInt16 = 1

    /// Writes the header's 64 bytes, `checksum` as it stands, to the start of `buffer`, which has that many or more.
    public func encode(into buffer: UnsafeMutableRawBufferPointer) {
        precondition(buffer.count >= Self.byteCount, "no room for a frame header")
        Self.put(Self.magic, buffer, 0)
        buffer[4] = UInt8(truncatingIfNeeded: ProtocolVersion.current)
        buffer[5] = kind.rawValue
        Self.put(ok ? Self.okFlag : 0, buffer, 6)
        Self.put(payloadLength, buffer, 8)
        Self.put(span, buffer, 12)
        Self.put(tag, buffer, 16)
        Self.put(offset, buffer, 24)
        Self.put(stamp.epoch, buffer, 32)
        Self.put(stamp.grant, buffer, 40)
        Self.put(0 as UInt64, buffer, 48)
        Self.put(0 as UInt32, buffer, 56)
        Self.put(checksum, buffer, 60)
    }

    /// Puts a checksum into a header that is encoded already.
    public static func store(checksum: UInt32, into buffer: UnsafeMutableRawBufferPointer) {
        precondition(buffer.count >= byteCount, "no frame header")
        put(checksum, buffer, 60)
    }

    /// The header at the start of `buffer`, all limits checked; the checksum is the caller's to compare, when the
    /// payload is there. Fewer than 64 bytes are `malformed`.
    public init(decoding buffer: UnsafeRawBufferPointer) throws(FrameError) {
        guard buffer.count >= Self.byteCount else { throw .malformed }
        guard Self.get(UInt32.self, buffer, 0) == Self.magic else { throw .foreign }
        guard UInt16(buffer[4]) == ProtocolVersion.current else {
            throw .unsupportedVersion(theirs: UInt16(buffer[4]), ours: ProtocolVersion.current)
        }
        guard let kind = FrameKind(rawValue: buffer[5]) else { throw .unknownKind(buffer[5]) }
        let flags = Self.get(UInt16.self, buffer, 6)
        guard flags & ~Self.okFlag == 0, Self.get(UInt64.self, buffer, 48) == 0,
            Self.get(UInt32.self, buffer, 56) == 0
        else { throw .malformed }
        self.init(
            kind: kind, tag: Self.get(UInt64.self, buffer, 16), offset: Self.get(UInt64.self, buffer, 24),
            span: Self.get(UInt32.self, buffer, 12), payloadLength: Self.get(UInt32.self, buffer, 8),
            ok: flags & Self.okFlag != 0,
            stamp: EpochStamp(
                epoch: Self.get(UInt64.self, buffer, 32), grant: Self.get(UInt64.self, buffer, 40)),
            checksum: Self.get(UInt32.self, buffer, 60))
        if let violation { throw violation }
    }

    /// The checksum of a frame in plain transport: of the encoded header's first 60 bytes, then of the payload.
    public static func checksum(
        header: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer
    ) -> UInt32 {
        let covered = UnsafeRawBufferPointer(rebasing: header[0..<checksummedByteCount])
        return Checksum.crc32c(payload, continuing: Checksum.crc32c(covered))
    }

    /// The header's 64 bytes.
    public func encoded() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.withUnsafeMutableBytes { encode(into: $0) }
        return bytes
    }

    /// A whole frame as one array; `checksummed` for plain transport.
    public func frame(payload: [UInt8], checksummed: Bool) -> [UInt8] {
        precondition(payload.count == Int(payloadLength), "a payload of another length than the header says")
        var bytes = encoded()
        if checksummed {
            let checksum = bytes.withUnsafeBytes { header in
                payload.withUnsafeBytes { Self.checksum(header: header, payload: $0) }
            }
            bytes.withUnsafeMutableBytes { Self.store(checksum: checksum, into: $0) }
        }
        return bytes + payload
    }

    /// The header at the start of `bytes`, all limits checked.
    public static func decode(_ bytes: [UInt8]) throws(FrameError) -> FrameHeader {
        let result: Result<FrameHeader, FrameError> = bytes.withUnsafeBytes { buffer in
            do throws(FrameError) {
                return .success(try FrameHeader(decoding: buffer))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// The header and payload of exactly one frame of plain transport, its checksum compared.
    public static func decodeChecksummed(
        _ frame: [UInt8]
    ) throws(FrameError) -> (header: FrameHeader, payload: [UInt8]) {
        let header = try decode(frame)
        guard frame.count == byteCount + Int(header.payloadLength) else { throw .malformed }
        let checksum = frame.withUnsafeBytes { bytes in
            Self.checksum(header: bytes, payload: UnsafeRawBufferPointer(rebasing: bytes[byteCount...]))
        }
        guard checksum == header.checksum else { throw .damaged }
        return (header, Array(frame[byteCount...]))
    }

    @inline(__always)
    private static func put<Integer: FixedWidthInteger>(
        _ value: Integer, _ buffer: UnsafeMutableRawBufferPointer, _ offset: Int
    ) {
        buffer.storeBytes(of: value.bigEndian, toByteOffset: offset, as: Integer.self)
    }

    @inline(__always)
    private static func get<Integer: FixedWidthInteger & BitwiseCopyable>(
        _ type: Integer.Type, _ buffer: UnsafeRawBufferPointer, _ offset: Int
    ) -> Integer {
        Integer(bigEndian: buffer.loadUnaligned(fromByteOffset: offset, as: Integer.self))
    }
}
