public import Basics

/// One request of the kernel, checked: the range lies in the volume and is not empty.
///
/// `unique` names the request in its answer. Ranges of data are at most `BlockSize.requestMaximum` long; of `zero`,
/// as long as the volume.
public enum FuseRequest: Sendable, Equatable {
    /// Nothing waits now.
    case none
    /// One that was answered at once, or needs no answer. Another may wait.
    case handled
    /// The payload starts at the page that `receive` was given.
    case write(unique: UInt64, ByteRange)
    case read(unique: UInt64, ByteRange)
    /// Make durable what was answered.
    case flush(unique: UInt64)
    /// Discard, or write zeroes: the range reads as zeroes afterwards.
    case zero(unique: UInt64, ByteRange)
    /// The session is over: unmounted, aborted, or the descriptor failed. Ask no more.
    case ended
}

/// What a request is answered with when it fails.
public enum FuseError: Int32, Sendable {
    case inputOutput = 5  // EIO
    case noSpace = 28  // ENOSPC
    case notSupported = 95  // EOPNOTSUPP
}
