import ArgumentParser
import Basics
import ControlPlane
import Settings

/// Asks the local daemon, and ends with status 1 when it refuses.
enum Daemon {
    /// The longest that a verb waits; the daemon answers sooner, with what has come true and what not.
    static let patience = Interval.seconds(180)
    /// Of a promotion, which checks and mounts a file system first.
    static let promotionPatience = Interval.seconds(700)

    /// Asks and prints the answer's sentence.
    @discardableResult
    static func ask(
        _ path: String, _ request: ControlRequest, patience: Interval = patience
    ) throws -> ControlReply {
        let reply = try ControlClient.call(path, request, deadline: Clock.now() + patience)
        guard reply.isOK else { throw Refusal(description: reply.message) }
        if !reply.message.isEmpty { print(reply.message) }
        return reply
    }

    /// The group that is meant: the named one, or the only one.
    static func group(_ name: String?, _ settings: Settings) throws -> String {
        if let name {
            guard settings.group(named: name) != nil else {
                let names = settings.groups.map(\.name).joined(separator: ", ")
                throw Refusal(description: "no group is called '\(name)'; there is \(names)")
            }
            return name
        }
        guard !settings.groups.isEmpty else {
            throw Refusal(
                description: "\(settings.file) has no groups, only proxies: see `tandem proxy --help`")
        }
        guard settings.groups.count == 1 else {
            let names = settings.groups.map(\.name).joined(separator: ", ")
            throw Refusal(description: "say which group: \(names)")
        }
        return settings.groups[0].name
    }
}
