import Basics
import Glibc

/// Other clients than one that writes lines: a copy, a database, many files.
enum NFSLoadStories {
    static let all = [
        VirtualStory(
            name: "an NFS client copies 200 MiB and syncs at the end: node1's power is cut in the middle"
        ) {
            run throws(LabError) in try copy(run, isCut: false)
        },
        VirtualStory(
            name: "an NFS client copies 200 MiB and syncs at the end: node1 is cut off in the middle"
        ) {
            run throws(LabError) in try copy(run, isCut: true)
        },
        VirtualStory(name: "a database and many files over NFS: node1's power is cut, node1 is cut off") {
            run throws(LabError) in try databaseAndFiles(run)
        },
    ]

    /// What the copy's log says: how many MiB are written, and how the sync ended.
    private static func progress(_ scene: NFSScene) -> (
        written: Int, worst: UInt64, failure: String?, isSynced: Bool
    ) {
        let log = scene.logged(2)
        let whole = log.prefix(upTo: log.lastIndex(of: "\n") ?? log.startIndex)
        var found: (written: Int, worst: UInt64, failure: String?, isSynced: Bool) = (0, 0, nil, false)
        for line in whole.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 4 else { continue }
            if words[3] != "0" { found.failure = String(line) }
            if words[0] == "write" { found.written += 1 }
            if words[0] == "fsync" { found.isSynced = true }
            found.worst = max(found.worst, UInt64(words[2]) ?? 0)
        }
        return found
    }

    /// Starts the copy and waits until half of it is written.
    static func startCopy(_ scene: NFSScene) throws(LabError) {
        try scene.launch("copy \(NFSScene.inside)/copy", port: 2)
        try scene.run.wait("100 of 200 MiB are written", .seconds(240)) { () throws(LabError) -> Bool? in
            progress(scene).written >= 100 ? true : nil
        }
    }

    /// Waits until the copy is synced, and judges it after mounting anew; throws for an fsync that failed.
    static func judgeCopy(_ scene: NFSScene) throws(LabError) {
        let run = scene.run
        try run.wait("the copy is synced", .seconds(300)) { () throws(LabError) -> Bool? in
            let now = progress(scene)
            if let failure = now.failure { throw LabError("the copy failed: \(failure)") }
            return now.isSynced ? true : nil
        }
        run.note("the copy's longest wait for one call was \(progress(scene).worst) ms; fsync succeeded")
        try scene.unmount()
        try scene.mount()
        let judged = try run.lab.machine("client").run(
            "/opt/tandem/tandem-lab copy \(NFSScene.inside)/copy", limit: .seconds(240))
        guard judged.status == 0 else {
            throw LabError("fsync succeeded, and then \(judged.output.split(separator: "\n").last ?? "?")")
        }
        run.note("after mounting anew: \(judged.output.split(separator: "\n").last ?? "")")
    }

    private static func copy(_ run: VirtualStoryRun, isCut: Bool) throws(LabError) {
        let scene = NFSScene(run)
        try scene.begin(size: "320MiB")
        try scene.mount()
        try startCopy(scene)
        let shares =
            isCut ? try scene.cutOff("node1", other: "node2") : try scene.cutPower("node1", other: "node2")
        run.note(
            "\(shares.what): \(shares.detection) ms until the promotion began, \(shares.promotion) ms for its steps"
        )
        scene.noteSteps(of: "node2", "promote")
        try judgeCopy(scene)
        if isCut { try run.lab.heal() } else { try run.turnOn(["node1"]) }
        _ = try run.waitSettled()
        try scene.unmount()
        try run.compareCopies(primary: "node2")
    }

    /// Each line of SQL prints a number once its row is committed.
    private static func startDatabase(_ scene: NFSScene) throws(LabError) {
        let client = scene.run.lab.machine("client")
        let base = "\(NFSScene.inside)/base"
        try client.require(
            "sqlite3 \(base) 'PRAGMA journal_mode=WAL; CREATE TABLE t (n INTEGER PRIMARY KEY);'",
            limit: .seconds(60))
        let feed =
            "echo 'PRAGMA synchronous=FULL;'; i=0; while [ ! -e /run/lab.enough ]; do i=$((i+1));"
            + " echo \"INSERT INTO t VALUES ($i); SELECT max(n) FROM t;\"; sleep 0.05; done"
        try client.write(feed, to: "/run/lab.feed")
        try client.require(
            "(sh /run/lab.feed | stdbuf -oL sqlite3 -bail \(base) >/dev/lab-port3 2>/run/lab.base) </dev/null >/dev/null"
                + " 2>&1 & true")
    }

    private static func committed(_ scene: NFSScene) -> Int {
        scene.logged(3).split(separator: "\n").compactMap { Int($0) }.max() ?? 0
    }

    private static func files(_ scene: NFSScene) -> [MetadataAnswer] { MetadataAnswer.parse(scene.logged(4)) }

    /// Waits for rows and operations on files, so many more of each; when they do not come, says what there is of each.
    private static func waitForBoth(_ scene: NFSScene, more count: Int) throws(LabError) {
        let (rows, operations) = (committed(scene), files(scene).count)
        do {
            try scene.run.wait("\(count) rows and \(count) operations on files more", .seconds(180)) {
                () throws(LabError) -> Bool? in
                committed(scene) >= rows + count && files(scene).count >= operations + count ? true : nil
            }
        } catch {
            let said = try scene.run.lab.machine("client").run(
                "cat /run/lab.base /run/lab.port4; ps -o pid,stat,wchan:20,args -C sqlite3,sh,tandem-lab")
            throw LabError(
                "\(error); there were \(rows) rows, \(operations) operations, and are \(committed(scene)),"
                    + " \(files(scene).count): \(said.output)")
        }
    }

    /// Waits until both go on, and says how long the longest operation on files took.
    private static func goesOn(_ scene: NFSScene, _ shares: NFSScene.Shares, since index: Int)
        throws(LabError)
    {
        let run = scene.run
        try waitForBoth(scene, more: 40)
        let longest = files(scene).dropFirst(index).map(\.milliseconds).max() ?? 0
        run.note(
            "\(shares.what): the longest operation on files took \(longest) ms: \(shares.detection) ms until the promotion"
                + " began, \(shares.promotion) ms for its steps; \(committed(scene)) rows are committed")
        scene.noteSteps(of: "node2", "promote")
    }

    private static func databaseAndFiles(_ run: VirtualStoryRun) throws(LabError) {
        let scene = NFSScene(run)
        try scene.begin()
        try scene.mount()
        try startDatabase(scene)
        try scene.launch("metadata \(NFSScene.inside)/tree", port: 4)
        try waitForBoth(scene, more: 60)
        var before = files(scene).count
        try goesOn(scene, try scene.cutPower("node1", other: "node2"), since: before)
        try run.turnOn(["node1"])
        _ = try run.waitSettled()
        _ = try scene.switchover(from: "node2", to: "node1")
        _ = try run.waitSettled()
        before = files(scene).count
        try goesOn(scene, try scene.cutOff("node1", other: "node2"), since: before)
        try run.lab.heal()
        _ = try run.waitSettled()
        try scene.stop()
        try judge(scene)
        try scene.unmount()
        try run.compareCopies(primary: "node2")
    }

    private static func judge(_ scene: NFSScene) throws(LabError) {
        let run = scene.run
        let client = run.lab.machine("client")
        try client.require("touch /run/lab.enough")
        // Rows are made faster than they are committed: what waits in the pipe comes first.
        try run.wait("the database has committed what it was given", .seconds(300)) {
            () throws(LabError) -> Bool? in
            try client.run("pgrep -x sqlite3").status == 0 ? nil : true
        }
        let trouble = try client.require("cat /run/lab.base")
        guard trouble.isEmpty else { throw LabError("the database: \(trouble)") }
        let promised = committed(scene)
        try scene.unmount()
        try scene.mount()
        let found = try client.require(
            "sqlite3 \(NFSScene.inside)/base 'PRAGMA integrity_check; SELECT count(*), max(n) FROM t;'",
            limit: .seconds(60))
        let lines = found.split(separator: "\n")
        let numbers = (lines.last ?? "").split(separator: "|").compactMap { Int($0) }
        guard lines.first == "ok", numbers.count == 2, numbers[0] == numbers[1], numbers[0] >= promised else {
            throw LabError("\(promised) rows were committed, and the database says: \(found)")
        }
        run.note("\(promised) rows were committed; the database is sound and has \(numbers[0])")
        let names = try client.require("ls \(NFSScene.inside)/tree").split(separator: "\n").map { String($0) }
        let answers = files(scene)
        if let fault = MetadataAnswer.fault(in: names, after: answers) {
            throw LabError("the files: \(fault)")
        }
        run.note(
            "\(answers.count) operations on files: all as they were answered, \(answers.count(where: \.isDoneBefore)) of"
                + " them answered when they had been done before the server was lost")
    }
}
