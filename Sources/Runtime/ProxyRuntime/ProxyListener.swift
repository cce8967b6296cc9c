import LinuxSystem

/// Holds the listening socket of one proxy.
final class ProxyListener: Sendable {
    let listener: SocketListener
    /// The address as the settings have it: with port 0 where the kernel chose one.
    let requested: SocketAddress

    init(_ address: SocketAddress) throws(SystemError) {
        requested = address
        var options = SocketOptions()
        // The other machine of a pair has the address while this one waits: no reason not to start.
        options.bindsAbsentAddress = true
        listener = try SocketListener(tcp: address, backlog: 1024, options: options)
    }

    /// Whether the settings mean this one: by what they said, or by the port that the kernel chose.
    func has(_ address: SocketAddress) -> Bool {
        requested == address || listener.localAddress == address
    }
}
