// Seeded messages through the parsers of Core and through a slow reader that was written apart, until the time is over.
// The first words: seconds, the first seed. A finding is one line with its seed, and exit status 1; a crash is the address
// sanitizer's report, and the seed is the last one printed.

import Basics
import Glibc

@testable import Lab

@main
struct HTTPFuzz {
    static let rounds = 4000

    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Not `print`: a crash would take what waits in its buffer.
    static func say(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = write(1, line, line.count)
    }

    static func main() {
        let words = CommandLine.arguments.dropFirst().compactMap { UInt64($0) }
        guard words.count == 2 else {
            say("the words are seconds and the first seed")
            exit(2)
        }
        let cases = ProxyCase.all
        let (begun, end) = (now(), now() + Double(words[0]))
        var (seed, inputs, nextLine) = (words[1], 0, now())
        while now() < end || inputs == 0 {
            if now() >= nextLine {
                say("seed \(seed) on, \(inputs) inputs so far")
                nextLine = now() + 60
            }
            var generator = SeededGenerator(seed: seed, label: "http cases")
            for round in 0..<rounds {
                let trial = Trial(from: cases, &generator)
                if let finding = trial.difference ?? trial.fault {
                    say("seed \(seed) round \(round): \(finding)")
                    exit(1)
                }
                inputs += 1
            }
            seed += 1
        }
        let seconds = now() - begun
        say(
            "\(inputs) inputs in \(Int(seconds)) s, \(Int(Double(inputs) / seconds)) a second, \(cases.count) cases"
        )
    }
}
