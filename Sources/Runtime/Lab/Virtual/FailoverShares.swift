/// What the last promotion or demotion of the group with the volume took, step by step, as a node's journal has it.
struct FailoverShares {
    /// Names of steps and milliseconds, in order.
    let steps: [(name: String, milliseconds: Int)]
    /// Of the whole plan.
    let total: Int?

    /// `phase` is `promote` or `demote`.
    init(log: String, phase: String) {
        // The proxies' group moves as well, at the same time.
        let lines = log.split(separator: "\n").filter { $0.contains(" group=\(LabSettings.group)") }
        let begin = lines.lastIndex { $0.contains("\(phase)-begins") } ?? lines.endIndex
        var steps: [(name: String, milliseconds: Int)] = []
        var total: Int?
        for line in lines[begin...] {
            guard let detail = Self.detail(of: line) else { continue }
            if line.contains("\(phase)-step"), let colon = detail.lastIndex(of: ":") {
                steps.append((String(detail[..<colon]), Self.milliseconds(detail[colon...]) ?? 0))
            }
            if line.contains("\(phase)-ends") { total = Self.milliseconds(detail) }
        }
        self.steps = steps
        self.total = total
    }

    private static func detail(of line: Substring) -> Substring? {
        guard let begin = line.firstIndex(of: "\""), let end = line.lastIndex(of: "\""), begin < end else {
            return nil
        }
        return line[line.index(after: begin)..<end]
    }

    /// The number before the last word `ms`.
    private static func milliseconds(_ text: Substring) -> Int? {
        let words = text.split(separator: " ")
        guard let unit = words.lastIndex(of: "ms"), unit > 0 else { return nil }
        return Int(words[unit - 1])
    }

    /// A line for people: the whole, and the steps that took at least a twentieth of it.
    var lines: [String] {
        guard let total else { return [] }
        let large = steps.filter { $0.milliseconds * 20 >= total && $0.milliseconds > 0 }
        return [
            "\(steps.count) steps in \(total) ms: "
                + large.map { "\($0.name) \($0.milliseconds)" }.joined(separator: ", ")
        ]
    }
}
