import Glibc

/// A numeric IPv4 or IPv6 address and a TCP port. Names are never resolved: a resolver can block for seconds.
public struct SocketAddress: Sendable, Hashable {
    /// 4 bytes of IPv4 or 16 of IPv6, in network order.
    public let bytes: [UInt8]
    /// 0 asks the kernel for a free one.
    public let port: UInt16

    /// Nil when `host` is no numeric address.
    public init?(host: String, port: UInt16) {
        self.port = port
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, host, &four) == 1 {
            bytes = withUnsafeBytes(of: four) { Array($0) }
        } else if inet_pton(AF_INET6, host, &six) == 1 {
            bytes = withUnsafeBytes(of: six) { Array($0) }
        } else {
            return nil
        }
    }

    /// Reads "192.0.2.1:80" and "[2001:db8::1]:80"; nil when it is neither.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.first == "[" && host.last == "]" {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        self.init(host: String(host), port: port)
    }

    /// 0.0.0.0: no machine's.
    public static func unspecified(port: UInt16) -> SocketAddress {
        SocketAddress(bytes: [0, 0, 0, 0], port: port)
    }

    /// The same address with another port.
    public func with(port: UInt16) -> SocketAddress { SocketAddress(bytes: bytes, port: port) }

    private init(bytes: [UInt8], port: UInt16) {
        self.bytes = bytes
        self.port = port
    }

    /// The address without its port, as people write it.
    public var host: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil else { return "?" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension SocketAddress: CustomStringConvertible {
    public var description: String { bytes.count == 4 ? "\(host):\(port)" : "[\(host)]:\(port)" }
}

extension SocketAddress {
    /// AF_INET or AF_INET6.
    var family: Int32 { bytes.count == 4 ? AF_INET : AF_INET6 }

    /// Calls `body` with the kernel's form of the address.
    func withKernelForm<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var storage = sockaddr_storage()
        let length = withUnsafeMutableBytes(of: &storage) { raw -> Int in
            if bytes.count == 4 {
                var form = sockaddr_in()
                form.sin_family = sa_family_t(AF_INET)
                form.sin_port = port.bigEndian
                withUnsafeMutableBytes(of: &form.sin_addr) { $0.copyBytes(from: bytes) }
                withUnsafeBytes(of: form) { raw.copyMemory(from: $0) }
                return MemoryLayout<sockaddr_in>.size
            }
            var form = sockaddr_in6()
            form.sin6_family = sa_family_t(AF_INET6)
            form.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &form.sin6_addr) { $0.copyBytes(from: bytes) }
            withUnsafeBytes(of: form) { raw.copyMemory(from: $0) }
            return MemoryLayout<sockaddr_in6>.size
        }
        return withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
        }
    }

    /// The address in the kernel's form; nil for another family.
    init?(kernelForm storage: sockaddr_storage) {
        let family = Int32(storage.ss_family)
        let parts = withUnsafeBytes(of: storage) { raw -> ([UInt8], UInt16) in
            let port = UInt16(bigEndian: raw.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
            return (Array(family == AF_INET ? raw[4..<8] : raw[8..<24]), port)
        }
        guard family == AF_INET || family == AF_INET6 else { return nil }
        self.init(bytes: parts.0, port: parts.1)
    }

    /// What getsockname(2) or getpeername(2), passed as `call`, tells about `descriptor`.
    static func ask(
        _ call: (Int32, UnsafeMutablePointer<sockaddr>?, UnsafeMutablePointer<socklen_t>?) -> Int32,
        _ descriptor: Int32
    ) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(descriptor, $0, &length) }
        }
        return status == 0 ? SocketAddress(kernelForm: storage) : nil
    }
}
