import Basics

/// Memory and descriptors of the proxy's process over time.
struct LoadWatch {
    let process: ProcessMark
    private(set) var kilobytes: [Int] = []
    private(set) var descriptors: [Int] = []

    init(_ process: ProcessMark) { self.process = process }

    /// Open descriptors now.
    static func descriptors(of process: Int32) -> Int { TextFile.names(in: "/proc/\(process)/fd").count }

    mutating func sample() {
        kilobytes.append(ProxyBench.residentKilobytes(of: process.number))
        descriptors.append(Self.descriptors(of: process.number))
    }

    static func median(_ values: ArraySlice<Int>) -> Int {
        let sorted = values.sorted()
        return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
    }

    /// The medians of the first and the last fifth of what was sampled after the warm-up; nil when there is too little.
    func growth(warmUp: Int) -> (first: Int, last: Int)? {
        let settled = kilobytes.dropFirst(warmUp)
        guard settled.count >= 10 else { return nil }
        let fifth = settled.count / 5
        return (Self.median(settled.prefix(fifth)), Self.median(settled.suffix(fifth)))
    }
}
