import Glibc

/// Asks the machine's resolver for the addresses of a name: /etc/hosts, DNS, whatever nsswitch.conf says.
public enum NameLookup {
    /// The addresses, with port 0, in the order in which the resolver prefers them; none when the name has none, or nobody
    /// could be asked. Blocks for seconds: never on a thread that serves.
    public static func addresses(of host: String) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var found: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            next = entry.ai_next
            var storage = sockaddr_storage()
            let length = Int(entry.ai_addrlen)
            guard let address = entry.ai_addr, length <= MemoryLayout<sockaddr_storage>.size else { continue }
            withUnsafeMutableBytes(of: &storage) {
                $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: length))
            }
            if let address = SocketAddress(kernelForm: storage), !found.contains(address) {
                found.append(address)
            }
        }
        return found
    }
}
