public import LinuxSystem

/// Why a connection of messages ended or could not be made, naming the peer where it is known.
///
/// All but `timedOut` and a `messageTooLong` of our own are final: the connection is of no use any more.
public enum SecureConnectionError: Error, Equatable, Sendable {
    /// The system refused: nobody listens, no route, reset.
    case system(SystemError)
    /// The encrypted channel ended.
    case channel(SecureChannelError, peer: String)
    /// The deadline came first; the text says what was waited for.
    case timedOut(String)
    /// A message of more than `SecureConnection.maximumMessage` bytes, ours or the peer's.
    case messageTooLong(Int, peer: String)
    /// Made room for another one: the server has as many sessions as it takes.
    case crowdedOut
}

extension SecureConnectionError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .system(let error): "\(error)"
        case .channel(let error, let peer): "\(peer): \(error)"
        case .timedOut(let what): "\(what): no answer in time"
        case .messageTooLong(let count, let peer):
            "\(peer): a message of \(count) bytes is longer than allowed"
        case .crowdedOut: "as many sessions as are allowed are open already"
        }
    }
}
