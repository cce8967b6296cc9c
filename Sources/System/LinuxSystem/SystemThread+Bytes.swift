import CLinux
import Glibc

/// One pthread that runs a body to its end. Joined exactly once, by `join` or when the owner goes.
public struct SystemThread: ~Copyable, Sendable {
    private final class Body: Sendable {
        let name: String
        let run: @Sendable () -> Void

        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    private let thread: pthread_t

    /// Starts `body` on a thread of its own, called `name` (at most 15 bytes) in the system's lists.
    public init(name: String, body: @escaping @Sendable () -> Void) throws(SystemError) {
        let context = Unmanaged.passRetained(Body(name: name, run: body))
        var thread = pthread_t()
        let code = pthread_create(&thread, nil, Self.entry, context.toOpaque())
        guard code == 0 else {
            context.release()
            throw SystemError(operation: "pthread_create", subject: name, code: code)
        }
        self.thread = thread
    }

    private static let entry: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = {
        argument in
        guard let argument else { return nil }
        let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
        _ = clinux_name_thread(String(body.name.prefix(15)))
        body.run()
        return nil
    }

    /// Waits until the body has returned.
    public consuming func join() {}

    deinit { pthread_join(thread, nil) }
}
