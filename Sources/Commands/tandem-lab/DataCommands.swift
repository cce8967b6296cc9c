import ArgumentParser
import Basics
import Lab

struct Write: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write stamped blocks and log every intent and answer, until SIGTERM.")
    @Argument(help: "Device or file; it must exist.") var path: String
    @Option(help: "Where the log goes.") var log: String
    @Option(help: "This writer's number, 1 to 65535.") var writer: UInt16
    @Option(help: "4 KiB blocks that may be written.") var blocks: UInt64
    @Option(help: "Writers that share the blocks.") var shares: UInt64 = 1
    @Option(help: "Which share is this one's.") var share: UInt64 = 0
    @Option(help: "Writes between two flushes, on average.") var flushEvery = 16
    @Option(help: "Microseconds between two writes.") var pause: UInt64 = 0
    @Option(help: "End after so many acknowledged writes; 0 goes on.") var limit: UInt64 = 0

    func validate() throws {
        guard writer > 0, blocks > 0, share < shares, shares <= blocks, flushEvery > 0 else {
            throw ValidationError("writer, blocks and flush-every are at least 1, and share is below shares")
        }
    }

    func run() throws {
        var writer = StampedWriter(path: path, log: log, writer: writer, blocks: blocks)
        writer.share = (shares, share)
        writer.flushEvery = flushEvery
        writer.pause = .microseconds(pause)
        writer.limit = limit
        try writer.run()
    }
}

struct Append: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Append numbered lines with O_SYNC under a lock and log every answer, until SIGTERM.",
        shouldDisplay: false)
    @Argument var path: String
    @Option(help: "Where the log goes.") var log: String
    @Option(help: "Milliseconds between two lines.") var pause: UInt64 = 50

    func run() throws { try LineWriter(path: path, log: log, pause: .milliseconds(pause)).run() }
}

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare an image with the logs of all who wrote to it; exit 1 when something is missing.")
    @Argument(help: "A backing file.") var image: String
    @Argument(help: "The writers' logs.") var logs: [String]
    @Flag(help: "Every acknowledged write must be there, not only those that a flush covered.")
    var acknowledged = false
    @Flag(help: "Disks lost what was not flushed: judge each sector of 512 bytes alone.")
    var sectors = false

    func run() throws {
        var check = StampedCheck()
        for log in logs { check.add(StampRecord.decode(TextFile.bytes(log) ?? [])) }
        let volume = try VolumeImage(image)
        let promise = acknowledged ? StampedCheck.Promise.acknowledged : .flushed
        let report =
            sectors
            ? try check.verifySectors(promise) { block throws(LabError) in try volume.words(of: block) }
            : try check.verify(promise) { block throws(LabError) in try volume.content(of: block) }
        for finding in report.findings.prefix(20) { print(finding) }
        print(
            "\(check.written) writes acknowledged, \(check.flushes) flushes, \(report.blocks) blocks,"
                + " \(report.required) writes promised, \(report.findings.count) blocks wrong"
                + (sectors ? ", \(report.torn) torn" : ""))
        try require(report.holds)
    }
}

struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Compare two copies byte for byte.")
    @Argument var left: String
    @Argument var right: String

    func run() throws {
        let differences = try VolumeImage.differences(left, right)
        if differences.count > 0 { print("first blocks: \(differences.first)") }
        print(differences.count == 0 ? "equal byte for byte" : "\(differences.count) blocks of 4 KiB differ")
        try require(differences.count == 0)
    }
}

struct Origin: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A web server that answers with its name, until SIGTERM.", shouldDisplay: false)
    @Argument(help: "ADDRESS:PORT.") var endpoint: String
    @Option var name: String

    func run() throws { try WebOrigin.run(on: endpoint, name: name) }
}

struct Ask: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a web server several times and print the first word of each answer.",
        shouldDisplay: false)
    @Argument(help: "ADDRESS:PORT.") var endpoint: String
    @Option var count = 8
    @Flag(help: "Send the cookie back that was set.") var sticky = false
    @Option(help: "What to ask for.") var path = "/"
    @Option(help: "A field more, such as 'Name: value'.") var header: String?
    @Flag(help: "Print the body of each answer instead.") var body = false
    @Flag(help: "Print the status of each answer instead.") var status = false

    func run() throws {
        var client = try WebClient(server: endpoint, keepsCookie: sticky)
        client.path = path
        client.field = header
        if body || status {
            for _ in 0..<count {
                let answer = client.ask(within: .seconds(5))
                print(answer.map { body ? $0.body : "\($0.status)" } ?? "-")
            }
            return
        }
        let names = (0..<count).map { _ in client.ask(within: .seconds(5))?.name ?? "-" }
        print(names.joined(separator: " "))
    }
}

struct Browse: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Web clients that ask again and again, each with a log of who answered, until SIGTERM.",
        shouldDisplay: false)
    @Argument(help: "ADDRESS:PORT.") var endpoint: String
    @Option(help: "The logs are LOG.1, LOG.2, ...") var log: String
    @Option var clients = 1
    @Option(help: "Milliseconds between two questions.") var every: UInt64 = 50
    @Option(help: "Milliseconds that an answer is waited for.") var limit: UInt64 = 250
    @Flag(help: "Send no cookie back.") var forgetful = false

    func run() throws {
        var observer = WebObserver(server: endpoint, log: log)
        observer.clients = clients
        observer.pause = .milliseconds(every)
        observer.limit = .milliseconds(limit)
        observer.keepsCookie = !forgetful
        try observer.run()
    }
}

struct Observe: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask again and again who has an address, until SIGTERM.", shouldDisplay: false)
    @Argument(help: "ping or arp.") var how: String
    @Argument var address: String
    @Option var log: String
    @Option(help: "Milliseconds between two questions.") var every: UInt64 = 10
    @Option(help: "The link that arp asks on.") var link = "br0"

    func run() throws {
        if how == "ping" {
            try AddressObserver.ping(address, every: .milliseconds(every), log: log)
        } else {
            try AddressObserver.whoHas(address, link: link, every: .milliseconds(every), log: log)
        }
    }
}

struct Test: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the live stories: all of them, or those whose names contain one of the words.")
    @OptionGroup var options: LabOptions
    @Argument(help: "Words that select stories.") var words: [String] = []
    @Flag(help: "At full length: cuts held 30 s, pauses of 20 s, every variant.") var full = false
    @Flag(help: "List the stories and run none.") var list = false
    @Flag(help: "List what could make a story be skipped, with its probe.") var skips = false
    @Flag(help: "Keep the lab of a story that failed.") var keep = false
    @Option(help: "How many times a story that can be repeated does what it is about (virtual machines).")
    var `repeat` = 1
    @Flag(help: "Run deliberate breaks in virtual machines: each must be found.") var breaks = false

    func run() throws {
        if options.backend == .vm {
            try runVirtual()
            return
        }
        let stories = LiveStories.all(full: full).filter { story in
            words.isEmpty || words.contains { story.name.contains($0) }
        }
        if skips {
            for line in StoryRunner.possibleSkips { print(line) }
            return
        }
        if list {
            for story in stories { print(story.name) }
            return
        }
        var runner = StoryRunner(lab: try options.lab(), full: full, keep: keep)
        try require(try runner.run(stories))
    }

    private func runVirtual() throws {
        func isWanted(_ name: String) -> Bool { words.isEmpty || words.contains { name.contains($0) } }
        // A story that is named is run, however long it is.
        let all = full || list || !words.isEmpty ? VirtualStories.all : VirtualStories.short
        let stories = all.filter { isWanted($0.name) }
        let wanted = VirtualBreak.all.filter { isWanted($0.name) }
        if skips { return }
        if list {
            for name in breaks ? wanted.map(\.name) : stories.map(\.name) { print(name) }
            return
        }
        let runner = VirtualStoryRunner(
            lab: try options.virtualLab(), keep: keep, repeats: max(1, `repeat`))
        try require(breaks ? try runner.run(wanted) : try runner.run(stories))
    }
}
