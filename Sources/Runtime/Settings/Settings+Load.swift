public import Basics

extension Settings {
    /// The settings in the file at `path`, for a program that shall run by them: what this version does not do is
    /// refused. Blocks while it reads; call it before a runtime's loops begin.
    public static func load(path: String) throws(SettingsError) -> Settings {
        let text: [UInt8]
        do throws(SettingsFileProblem) {
            text = try SettingsFile.bytes(path: path, limit: YamlLimit.bytes)
        } catch {
            throw SettingsError(
                file: path, problems: [SettingsError.Problem(line: 0, column: 0, message: error.message)])
        }
        let settings = try parse(bytes: text, file: path)
        let missing = settings.notInThisVersion
        guard missing.isEmpty else {
            throw SettingsError(
                file: path, problems: missing.map { SettingsError.Problem(line: 0, column: 0, message: $0) })
        }
        return settings
    }

    /// The settings in `text`; `file` is the name that messages begin with.
    public static func parse(text: String, file: String) throws(SettingsError) -> Settings {
        try parse(bytes: Array(text.utf8), file: file)
    }

    private static func parse(bytes: [UInt8], file: String) throws(SettingsError) -> Settings {
        var reader = SettingsReader()
        do throws(YamlProblem) {
            let root = try YamlReader.tree(of: bytes)
            if let settings = reader.settings(root, file: file), reader.problems.isEmpty { return settings }
        } catch {
            reader.note(error.position, error.message)
        }
        let problems = reader.problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
        throw SettingsError(file: file, problems: Array(problems.prefix(SettingsError.problemMaximum)))
    }

    /// The node that this machine is: the one called `name`, as `--node` says, or else the one called like the host,
    /// with or without its domain. The message of the error says which names there are.
    public func localNode(named name: String?) throws(SettingsError) -> NodeIndex {
        guard !nodes.isEmpty, !groups.isEmpty else {
            throw machineError("'groups' is missing: this file has only proxies, which `tandem proxy` runs")
        }
        let names = nodes.map(\.name).joined(separator: " or ")
        let host = SettingsFile.hostName()
        if let name {
            if let index = nodeIndex(named: name) { return index }
            throw machineError("no node is called '\(name)'; --node takes \(names)")
        }
        if let index = nodeIndex(named: host) ?? nodeIndex(named: String(host.prefix { $0 != "." })) {
            return index
        }
        throw machineError(
            "no node is called like this host, '\(host)'; say which it is with --node \(names)")
    }

    private func machineError(_ message: String) -> SettingsError {
        SettingsError(file: file, problems: [SettingsError.Problem(line: 0, column: 0, message: message)])
    }
}
