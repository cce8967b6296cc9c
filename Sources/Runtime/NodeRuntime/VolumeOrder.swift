public import LinuxSystem
public import Quorum
public import Replication
public import SecureChannel
import Synchronization

/// What the control thread tells a volume's thread.
public enum VolumeOrder: Sendable {
    /// An event of the arbiter, the failover or the operator; never one of the device, the disk or the peer.
    case event(ReplicaEvent)
    /// A connection to the peer stands: use it from now on, instead of any before.
    case link(PeerSocket)
    /// The connection is known to be gone, whatever TCP says.
    case dropLink
    /// A FUSE mount to serve. Taken while Primary; closed at once otherwise (`deviceEnded`).
    case device(MountedDevice)
    /// Answer everything on the device with EIO from now on, for ever.
    case endDevice
    /// Let go of the device: after unmounting, since a mount namespace that was copied meanwhile may keep the session
    /// alive for as long as it likes. Answered by `deviceEnded` unless the session has ended already.
    case dropDevice
    /// Settle what is on the disk and end the thread.
    case stop
}

/// What a volume's thread tells the control thread. Delivered on the volume's thread: take it, do not work there.
public enum VolumeReport: Sendable {
    case roleChanged(isPrimary: Bool)
    /// Lower the address, see it gone and its sockets destroyed, then send the event `muted`.
    case mute
    case invitedToPromote
    case promotionRefused(PromotionRefusal)
    case note(ReplicaNote)
    /// A call on the backing file or the metadata failed; the replica was told.
    case diskError(SystemError)
    /// Send this request; again under its identifier if it was sent before.
    case ask(ArbiterRequest)
    case readRecord
    /// The connection has ended. A new one may be made at once unless the reason stands alone.
    case linkClosed(CloseReason, detail: String)
    /// The device answers requests.
    case deviceServing
    /// The session is over: unmounted, aborted, or never taken.
    case deviceEnded
    /// The thread cannot go on and has ended. What was in flight is not answered.
    case died(SystemError)
    /// The thread has ended as it was told to.
    case stopped
}

/// A connected socket on its way to a volume's thread, which takes what is inside once.
public final class PeerSocket: Sendable {
    struct Contents: ~Copyable, Sendable {
        var socket: Descriptor?
        var channel: SecureChannel?
    }

    private let contents: Mutex<Contents?>

    /// A TCP socket with an established channel of at least `VolumeLink.channelSize` bytes each way, or none for
    /// `transport: plain`.
    public init(socket: consuming Descriptor, channel: consuming SecureChannel?) {
        contents = Mutex(Contents(socket: socket, channel: channel))
    }

    func take() -> Contents? { contents.withLock { $0.take() } }
}

/// The descriptor of a FUSE mount on its way to a volume's thread, which takes it once.
public final class MountedDevice: Sendable {
    private let descriptor: Mutex<Descriptor?>

    public init(_ descriptor: consuming Descriptor) { self.descriptor = Mutex(descriptor) }

    func take() -> Descriptor? { descriptor.withLock { $0.take() } }
}
