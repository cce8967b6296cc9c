import CLinux
import COpenSSL
import Glibc

/// `count` bytes from the kernel's generator (getrandom(2)), which cannot fail once the machine has booted.
public func randomBytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        if let base = buffer.baseAddress {
            precondition(clinux_random(base, count) == 0, "the kernel gives no random bytes: errno \(errno)")
        }
        initialized = count
    }
}

/// HMAC-SHA256 of `message`: 32 bytes.
public func hmacSHA256(key: [UInt8], message: [UInt8]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 32) { buffer, initialized in
        var length: UInt32 = 0
        let made = HMAC(
            EVP_sha256(), key, Int32(key.count), message, message.count, buffer.baseAddress, &length)
        precondition(made != nil && length == 32, "OpenSSL has no HMAC-SHA256")
        initialized = 32
    }
}

/// HKDF-SHA256 (RFC 5869), extract and expand: `count` bytes, at most 8160.
///
/// Written out over HMAC: OpenSSL's own interface keeps pointers to names and values from call to call, which Swift's
/// strings and arrays do not promise to keep in place.
func hkdfSHA256(key: [UInt8], salt: [UInt8], info: [UInt8], count: Int) -> [UInt8] {
    precondition((1...255 * 32).contains(count), "HKDF-SHA256 gives 1 to 8160 bytes")
    let pseudorandom = hmacSHA256(key: salt.isEmpty ? [UInt8](repeating: 0, count: 32) : salt, message: key)
    var output: [UInt8] = []
    var block: [UInt8] = []
    var number: UInt8 = 1
    while output.count < count {
        block = hmacSHA256(key: pseudorandom, message: block + info + [number])
        output += block
        number &+= 1
    }
    return Array(output.prefix(count))
}
