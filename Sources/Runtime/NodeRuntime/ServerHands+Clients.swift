import Basics
import Failover
import HostServices
import LinuxSystem
import Netlink
import Settings

// Who is connected, who holds what, and who has come back.
extension ServerHands {
    /// Writes down who is connected and who holds what, for the next holder, when it has changed; tickles again those
    /// who have not come back; ends the grace period when everybody has what it had. Gives lines for the journal.
    mutating func recordClients() -> [ServerNews] {
        guard let mount = group.mount else { return [] }
        let state = NodeContext.stateOnVolume(mount)
        if let address = group.address?.address {
            if tickles > 0 {
                tickles -= 1
                // One that cannot be sent is one of several.
                _ = Result { () throws(SystemError) in try send(known) }
                if tickles == 0 { known = [] }
            }
            list.update(of: address, in: state)
        }
        guard let export = served else { return [] }
        do throws(SystemError) {
            let clients = try ServedClient.all()
            // What is told of a server that has ended is nobody's.
            guard try FileServer.threads() > 0 else { return [] }
            let held = try holdings(of: export, clients)
            let (isRecorded, news) = keepRecords(of: clients, export)
            if grace != nil { return try news + watchGrace(held, isRecorded: isRecorded) }
            holdings.update(held, in: state, at: .now())
            return news
        } catch {
            // The server has just been stopped, or the file system fails and tells it elsewhere.
            return []
        }
    }

    /// While a grace period lasts, the old server's list stays: who has not come back yet may still do so to the next.
    /// It is not ended before everybody who has come back is in the records: the next server knows nobody else.
    private mutating func watchGrace(_ held: ClientHoldings, isRecorded: Bool) throws(SystemError)
        -> [ServerNews]
    {
        guard let since = grace?.since, var watch = grace?.watch else { return [] }
        let isOver = try !FileServer.isInGrace()
        let mayEnd = watch.mayEnd(held, isRecorded: isRecorded, at: .now())
        grace = (watch, since)
        guard isOver || mayEnd else { return [] }
        if !isOver { try FileServer.endGrace() }
        grace = nil
        let time = "after \(Instant.now().since(since).wholeMilliseconds) ms"
        let who: String
        switch watch.missing {
        case nil: who = "what clients held of the old server was not known"
        case .some([]): who = "every client has what it had"
        case .some(let names): who = "without \(names.joined(separator: ", "))"
        }
        return [
            ServerNews(name: "grace-ended", text: "\(isOver ? "by the kernel" : "by Tandem") \(time): \(who)")
        ]
    }

    /// Puts into the records, and takes out of them, what the kernel does not by itself. Says whether they are as they
    /// are to be, and gives lines for the journal.
    private mutating func keepRecords(of clients: [ServedClient], _ export: ExportTarget) -> (
        isRecorded: Bool, news: [ServerNews]
    ) {
        guard let watch = recording else { return (true, []) }
        let changes = watch.changes(
            clients.map { client in
                SeenClient(
                    name: client.name, states: client.states, saysWhenDone: client.minorVersion != 0,
                    silence: client.silence.map { .seconds(UInt64(max(0, $0))) })
            })
        guard !changes.isEmpty else { return (true, []) }
        let trouble: String?
        do throws(SystemError) {
            let result = try records(export).change(
                adding: changes.adding, removing: changes.removing, runner, deadline: .seconds(5))
            trouble = result.isSuccess ? nil : result.summary
        } catch {
            trouble = "\(error)"
        }
        if trouble == nil { recording?.wrote(changes) }
        // It is tried again, and said once.
        defer { recordTrouble = trouble }
        guard let trouble, trouble != recordTrouble else { return (trouble == nil, []) }
        let names = changes.adding.union(changes.removing).sorted().joined(separator: ", ")
        return (false, [ServerNews(name: "client-records", text: "not written for \(names): \(trouble)")])
    }

    /// What clients hold now.
    private func holdings(of export: ExportTarget, _ clients: [ServedClient]) throws(SystemError)
        -> ClientHoldings
    {
        let hosts =
            try export.hasLockRecords ? LockRecords(directory: export.lockRecords).hosts().holding : []
        return ClientHoldings(
            states: Dictionary(clients.map { ($0.name, $0.states) }, uniquingKeysWith: +), hosts: hosts,
            locks: try FileLocks.count(at: export.path, without: "\(export.records)/main.sqlite"))
    }

    /// What they held of the old server; nil when that is not known.
    func recorded(by export: ExportTarget) -> ClientHoldings? {
        guard let mount = group.mount, var old = HoldingsList.read(in: NodeContext.stateOnVolume(mount))
        else {
            return nil
        }
        guard export.hasLockRecords else { return old }
        // statd's own names are newer than the list, and durable before a lock is answered.
        let found = Result { () throws(SystemError) in
            try LockRecords(directory: export.lockRecords).hosts()
        }
        guard case .success(let hosts) = found else { return nil }
        old.hosts = hosts.holding.union(hosts.untold)
        return old
    }

    /// Tells the hosts that hold locks of version 3 that they must reclaim them.
    func notify(_ export: ExportTarget, _ address: IPv4Address) throws(SystemError) -> StepFailure? {
        let told = try LockRecords(directory: export.lockRecords).notify(
            runner, address: address, deadline: Self.limit)
        return told.isSuccess ? nil : .failed(told.summary)
    }

    /// Makes each client's machine answer, be told that the connection is gone, and connect anew at once instead of
    /// when it next repeats itself. A machine answers one in 500 ms, and what it answers may be lost: so this is
    /// repeated for some seconds with `recordClients`. A connection that is gone by then is told nothing new.
    mutating func tickle(_ address: IPv4Address) throws(SystemError) {
        guard let mount = group.mount else { return }
        known = ClientList.known(in: NodeContext.stateOnVolume(mount), of: address)
        tickles = 6
        try send(known)
    }

    private func send(_ connections: [TCPConnection]) throws(SystemError) {
        for connection in connections { try ConnectionTickle.send(connection) }
    }
}
