/// Everything that is wrong with a settings file, in the order of its lines.
public struct SettingsError: Error, Sendable, Equatable {
    /// One thing that is wrong.
    public struct Problem: Sendable, Equatable {
        /// The line, counted from 1; 0 when the problem is the file and not a place in it.
        public var line: Int
        /// The column, counted from 1 in characters; 0 when the problem is the file.
        public var column: Int
        /// What is wrong, what was expected, and the nearest valid word where there is one.
        public var message: String

        public init(line: Int, column: Int, message: String) {
            self.line = line
            self.column = column
            self.message = message
        }
    }

    /// The file as it was named by the caller.
    public var file: String
    /// At least one, at most ``problemMaximum``.
    public var problems: [Problem]

    /// How many problems are told at once: who has more has the wrong file.
    public static let problemMaximum = 40

    public init(file: String, problems: [Problem]) {
        self.file = file
        self.problems = problems
    }
}

extension SettingsError: CustomStringConvertible {
    /// One line a problem: `file:line:column: message`.
    public var description: String {
        problems.map { problem in
            problem.line == 0
                ? "\(file): \(problem.message)"
                : "\(file):\(problem.line):\(problem.column): \(problem.message)"
        }.joined(separator: "\n")
    }
}
