import Basics
import Quorum
import Testing
import WireFormat

/// Every decoder of bytes from outside, as a function that encodes what it took, `nil` where it refused.
private enum Decoder: CaseIterable, Sendable {
    case header, control, request, answer, recordFile

    var samples: [[UInt8]] {
        switch self {
        case .header: Sample.headers.map { $0.encoded() }
        case .control: Sample.controls.map { $0.encoded() }.filter { $0.count < 500 }
        case .request: Sample.requests.map { Array($0.encoded().dropFirst(4)) }
        case .answer: Sample.answers.map { Array($0.encoded().dropFirst(4)) }
        case .recordFile: [Sample.file.encoded()]
        }
    }

    func roundTrip(_ bytes: [UInt8]) -> [UInt8]? {
        do {
            switch self {
            case .header: return try FrameHeader.decode(bytes).encoded()
            case .control: return try ControlFrame.decode(bytes).encoded()
            case .request: return Array(try WitnessRequest.decode(bytes).encoded().dropFirst(4))
            case .answer: return Array(try WitnessAnswer.decode(bytes).encoded().dropFirst(4))
            case .recordFile: return try WitnessRecordFile.decode(bytes).encoded()
            }
        } catch {
            return nil
        }
    }
}

@Suite struct RandomBytesTests {
    @Test(
        "a hundred thousand random messages never trap a decoder, and what is taken has no other form in bytes",
        arguments: Decoder.allCases)
    private func random(_ decoder: Decoder) {
        var generator = SeededGenerator(seed: 9, label: "random messages")
        let samples = decoder.samples
        var taken = 0
        for round in 0..<100_000 {
            var bytes = samples[generator.below(samples.count)]
            if round % 4 == 0 {
                bytes = (0..<generator.below(100)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                if let first = bytes.indices.first { bytes[first] &= 0x4F }
            }
            for _ in 0..<generator.below(4) where !bytes.isEmpty {
                let place = generator.below(bytes.count)
                bytes[place] =
                    generator.chance(in: 2) ? UInt8(generator.below(9)) : UInt8(generator.below(256))
            }
            if generator.chance(in: 8) { bytes = Array(bytes.prefix(generator.below(bytes.count + 1))) }
            if decoder == .recordFile, bytes.count == WitnessRecordFile.byteCount, generator.chance(in: 2) {
                let checksum = Checksum.crc32c(bytes, from: 8)
                for index in 0..<4 {
                    bytes[4 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(24 - 8 * index))
                }
            }
            guard let again = decoder.roundTrip(bytes) else { continue }
            taken += 1
            guard again == bytes || decoder == .header && again == Array(bytes.prefix(64)) else {
                Issue.record("\(decoder): \(bytes) came back as \(again)")
                return
            }
        }
        #expect(taken > 1000)
    }
}
