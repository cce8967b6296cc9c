import Simulation

var profile = Profile()
var seed: UInt64 = 1
var count = 200
let arguments = CommandLine.arguments
var trace = false
if arguments.count > 1 { seed = UInt64(arguments[1]) ?? 1 }
if arguments.count > 2 { count = Int(arguments[2]) ?? 1 }
trace = arguments.contains("trace")
var coverage = Coverage()
for index in 0..<count {
    let world = World(seed: seed + UInt64(index), profile: profile, tracing: trace)
    let violation = world.run()
    coverage.merge(world.coverage)
    if trace { for line in world.trace { print(line) } }
    if let violation {
        print("seed \(seed + UInt64(index)): \(violation.invariant) \(violation.text)")
        break
    }
}
print(coverage.seeds, coverage.events)
for line in coverage.lines { print(line) }
