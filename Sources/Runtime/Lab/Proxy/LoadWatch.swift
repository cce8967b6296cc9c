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
}

/// How much memory a process had at first and at last, of samples taken at equal times.
struct LoadGrowth: Equatable {
    /// Medians in KiB of the first and the last fifth after the warm-up, which is a fifth of all.
    let first: Int
    let last: Int

    /// A twentieth more, and half a MiB, is what connections of the moment make.
    var isAllowed: Bool { last <= first + first / 20 + 512 }

    /// Nil where there is too little to say.
    init?(kilobytes: [Int]) {
        let settled = kilobytes.dropFirst(kilobytes.count / 5)
        guard settled.count >= 10 else { return nil }
        let fifth = settled.count / 5
        (first, last) = (Self.median(settled.prefix(fifth)), Self.median(settled.suffix(fifth)))
    }

    private static func median(_ values: ArraySlice<Int>) -> Int { values.sorted()[values.count / 2] }
}
