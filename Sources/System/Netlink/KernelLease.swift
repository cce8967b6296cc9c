public import Basics
import Glibc
public import HostServices
public import LinuxSystem

/// The lease as the kernel holds it: nftables drops what comes for the addresses or goes out from them, and
/// their ARP, unless an element with a timeout says that the lease lives. It ends when nobody renews it, also
/// when this process is stopped or dead.
///
/// The rules are made once by `nft`; each renewal is one netlink transaction (six messages, one system call
/// each way), no process. Needs CAP_NET_ADMIN and nftables in the kernel. Where there are none, `install`
/// throws and an address's lifetime (`NetworkInterfaces.raise`) is what is left, in whole seconds. Not for
/// several threads at once.
public struct KernelLease: ~Copyable, Sendable {
    private static let setElement: UInt16 = 0x0A0C
    private static let removeElement: UInt16 = 0x0A0E
    private static let batchBegin: UInt16 = 0x10
    private static let batchEnd: UInt16 = 0x11
    /// NFPROTO_INET and NFPROTO_ARP.
    private static let families: [UInt8] = [1, 3]
    private static let deadline: Interval = .seconds(5)

    /// The name of both tables.
    public let table: String
    public let addresses: [IPv4Address]
    private var socket: NetlinkSocket

    /// Makes the rules, replacing what a dead predecessor left under this name. Until the first renewal the
    /// addresses are mute. `group` names the tables; what is no letter or digit in it becomes "_".
    ///
    /// Throws the runner's error (ENOENT: no `nft`), or EOPNOTSUPP with nft's own words when the kernel
    /// refuses.
    public static func install(
        group: String, addresses: [IPv4Address], runner: CommandRunner = CommandRunner()
    ) throws(SystemError) -> KernelLease {
        let table = tableName(group)
        let result = try runner.run(
            ["nft", "-f", "-"], input: Array(rules(table: table, addresses: addresses).utf8),
            deadline: deadline)
        guard result.isSuccess else {
            throw SystemError(operation: result.summary, subject: table, code: EOPNOTSUPP)
        }
        return KernelLease(table: table, addresses: addresses, socket: try NetlinkSocket(.netfilter))
    }

    private init(table: String, addresses: [IPv4Address], socket: consuming NetlinkSocket) {
        self.table = table
        self.addresses = addresses
        self.socket = socket
    }

    /// Lets the addresses answer for that long from now on (whole milliseconds, rounded down): the time left
    /// until the holder's deadline, not the length of the lease. Nothing left mutes them.
    public mutating func renew(for remaining: Interval) throws(SystemError) {
        let milliseconds = remaining.wholeMilliseconds
        guard milliseconds > 0 else {
            try mute()
            return
        }
        try transact("renew the kernel's lease", timeout: milliseconds)
    }

    /// Mutes the addresses now.
    public mutating func mute() throws(SystemError) {
        try transact("mute the address", timeout: nil)
    }

    /// Removes the rules. Only after the addresses are gone: without rules nothing mutes them.
    public consuming func remove(runner: CommandRunner = CommandRunner()) throws(SystemError) {
        try Self.remove(group: table, runner: runner)
    }

    /// Removes the rules of a group, whoever made them; rules that are not there are a success.
    public static func remove(group: String, runner: CommandRunner = CommandRunner()) throws(SystemError) {
        let table = group.hasPrefix("tandem_") ? group : tableName(group)
        // `add` before `delete`: deleting what is not there would fail.
        let text = ["inet", "arp"].map { "table \($0) \(table)\ndelete table \($0) \(table)\n" }.joined()
        let result = try runner.run(["nft", "-f", "-"], input: Array(text.utf8), deadline: deadline)
        guard result.isSuccess else {
            throw SystemError(operation: result.summary, subject: table, code: EOPNOTSUPP)
        }
    }

    /// The name of a group's tables.
    static func tableName(_ group: String) -> String {
        "tandem_" + String(group.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    }

    /// What `nft -f -` is given. Both families drop what is neither ours to answer nor to send; ARP in both
    /// directions, because a kernel that resolves a neighbour names its source address and so claims it.
    static func rules(table: String, addresses: [IPv4Address]) -> String {
        let list = addresses.map(\.description).joined(separator: ", ")
        let sets = """
                set lease { type ipv4_addr; flags timeout; }
                set addresses { type ipv4_addr; elements = { \(list) } }
            """
        func chain(_ name: String, _ hook: String, _ priority: String, _ field: String) -> String {
            """
                chain \(name) {
                    type filter hook \(hook) priority \(priority); policy accept;
                    \(field) @addresses \(field) != @lease counter drop
                }
            """
        }
        func block(_ family: String, _ chains: [String]) -> String {
            """
            table \(family) \(table)
            delete table \(family) \(table)
            table \(family) \(table) {
            \(sets)
            \(chains.joined(separator: "\n"))
            }

            """
        }
        return block(
            "inet",
            [chain("heard", "prerouting", "-300", "ip daddr"), chain("sent", "output", "-300", "ip saddr")])
            + block(
                "arp",
                [chain("heard", "input", "0", "arp daddr ip"), chain("sent", "output", "0", "arp saddr ip")])
    }

    /// One transaction: in both tables each element is added (so that it can be deleted), deleted, and added
    /// anew with its timeout; the kernel shows either the old state or the new one.
    private mutating func transact(_ operation: String, timeout: UInt64?) throws(SystemError) {
        let first = socket.nextSequence()
        var bytes = Self.batch(Self.batchBegin, first)
        var changes: [(type: UInt16, family: UInt8, timeout: UInt64?)] = []
        for family in Self.families {
            changes += [(Self.setElement, family, timeout), (Self.removeElement, family, nil)]
            if let timeout { changes.append((Self.setElement, family, timeout)) }
        }
        var last = first
        for (index, change) in changes.enumerated() {
            last = socket.nextSequence()
            // One acknowledgement is enough: errors are told of every message, and one error undoes all of
            // them.
            let flags =
                (change.type == Self.setElement ? NetlinkSocket.create : 0)
                | (index == changes.count - 1 ? NetlinkSocket.acknowledge : 0)
            bytes += element(change.type, flags: flags, last, family: change.family, timeout: change.timeout)
        }
        bytes += Self.batch(Self.batchEnd, socket.nextSequence())
        try socket.transact(bytes, from: first, to: last, operation, table)
    }

    private static func batch(_ type: UInt16, _ number: UInt32) -> [UInt8] {
        var message = NetlinkMessage(type: type, flags: NetlinkSocket.request, sequence: number)
        message.append([0, 0, 0, 10])
        return message.finished
    }

    private func element(_ type: UInt16, flags: UInt16, _ number: UInt32, family: UInt8, timeout: UInt64?)
        -> [UInt8]
    {
        var message = NetlinkMessage(type: type, flags: NetlinkSocket.request | flags, sequence: number)
        message.append([family, 0, 0, 0])
        message.attribute(1, text: table)
        message.attribute(2, text: "lease")
        message.beginNested(3)
        for address in addresses {
            message.beginNested(1)
            message.beginNested(1)
            message.attribute(1, address.bytes)
            message.endNested()
            if let timeout { message.attribute(4, network: timeout) }
            message.endNested()
        }
        message.endNested()
        return message.finished
    }
}
