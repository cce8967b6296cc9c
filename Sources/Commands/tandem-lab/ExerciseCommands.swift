import ArgumentParser
import Lab

struct Exercise: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Perform an exercise of Docs/Exercises with real processes, and draw what the client saw.")
    @OptionGroup var options: LabOptions
    @Argument(help: "Its number: 2 or 4.") var number: Int
    @Option(help: "The directory for the client's answers and their drawing.") var output: String
    @Flag(help: "Exercise 2: shut machines down in order; without it their power is cut.") var orderly = false

    func validate() throws {
        guard number == 2 || number == 4 else {
            throw ValidationError("there is no command for exercise \(number); there are 2 and 4")
        }
    }

    func run() throws {
        if number == 4 {
            var exercise = PairExercise(lab: try options.lab(), output: output)
            try exercise.run()
            return
        }
        var exercise = SharedAddressExercise(lab: try options.lab(), output: output)
        exercise.isOrderly = orderly
        try exercise.run()
    }
}

struct Plot: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw a file of 'MILLISECONDS VALUE' lines: as text, and as SVG.",
        discussion:
            "'-' for a value says that there was no answer; '# MILLISECONDS TEXT' marks what was done.")
    @Argument(help: "The file.") var file: String
    @Option(help: "Where the drawing goes.") var svg: String?
    @Option(help: "The words above the drawing.") var title = ""
    @Option(help: "What the values are.") var unit = "ms"

    func run() throws {
        try PlotFiles.show(file: file, title: title.isEmpty ? file : title, unit: unit, to: svg)
    }
}
