import Basics
import Quorum
import WireFormat

/// Values that several tests use.
enum Sample {
    static let record = ArbiterRecord(
        epoch: 7, grant: Mark(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10), holder: .second,
        copies: .both)
    static let stamp = EpochStamp(record)
    static let request = ArbiterRequest(
        identifier: Mark(high: 0x11, low: 0x12), purpose: .narrow, asker: .second, expectedEpoch: 7,
        expectedGrant: record.grant, holder: .second, copies: NodeSet(.second), restarted: true)
    static let hello = Hello(
        node: .second, size: 1 << 30, record: record, current: Generation(rawValue: 0xA1),
        bitmap: Generation(rawValue: 0xA2), history: [Generation(rawValue: 0xA3)], condition: 2,
        isPrimary: true,
        isRestarted: false, dirtyBlocks: 0x21, unflushedBlocks: 0x22)

    static let range = ByteRange(offset: 0x1_0000_0200, length: 5)
    static let headers: [FrameHeader] = [
        .write(range, tag: 0x99, stamp: stamp), .zero(range, tag: 0x99, stamp: stamp),
        .resync(range, tag: 0x99, stamp: stamp), .flush(tag: 0x99, settled: 0x88, stamp: stamp),
        .acknowledgement(tag: 0x99, ok: true, stamp: stamp),
        .acknowledgement(tag: 0x99, ok: false, stamp: stamp), .flushDone(tag: 0x99, ok: true, stamp: stamp),
        .control(payloadLength: 1, stamp: stamp), .read(range, tag: 0x99, stamp: stamp),
        .readAnswer(range, tag: 0x99, ok: true, stamp: stamp),
    ]

    static var controls: [ControlFrame] {
        var bare = hello
        bare.record = nil
        bare.history = []
        bare.isPrimary = false
        bare.isRestarted = true
        return [
            .hello(hello), .hello(bare), .bitmap(start: 0x0102_0304, words: [1, .max]),
            .bitmap(start: 0, words: []),
            .bitmap(
                start: .max - 4095, words: (0..<UInt64(ControlFrame.bitmapWordsMaximum)).map { $0 << 32 }),
            .bitmapEnd, .resyncReady,
            .resyncDone(current: hello.current, history: [hello.bitmap, hello.current]),
            .resyncDone(current: .none, history: []), .resyncDoneStored, .record(record), .handOverWanted,
            .handOverRefused, .ping(nonce: 0x0102), .alive(nonce: .max), .goodbye(reason: 8),
        ]
    }

    static let requests: [WitnessRequest] = [
        .hello(WitnessHello(cluster: 0xC1, node: .second, life: Mark(high: 0x31, low: 0x32))),
        .read(group: "files"), .change(group: "files", request),
        .renew(
            group: "files",
            LeaseRenewal(sequence: 9, epoch: 7, grant: record.grant, heardPeer: true, isRestarted: false)),
        .create(group: "f", record), .create(group: String(repeating: "é", count: 32), record),
        .told(group: "files", record), .release(group: "files", epoch: 7, grant: record.grant), .list,
    ]

    static var answers: [WitnessAnswer] {
        [
            .welcome(life: Mark(high: 1, low: 2)), .record(group: "files", record),
            .record(group: "files", nil),
            .answer(group: "files", identifier: request.identifier, .granted(record)),
            .renewed(group: "files", sequence: 9, confirmed: true, lease: .seconds(1)),
            .renewed(group: "files", sequence: .max, confirmed: false, lease: .milliseconds(0)),
            .refusal(.wrongCluster, group: "", text: "another cluster"),
            .refusal(.storageFailed, group: "files", text: ""), .groups([]),
            .groups([
                WitnessGroup(name: "a", record: record, isRolledBack: false),
                WitnessGroup(name: "b", record: nil, isRolledBack: true),
            ]),
        ]
            + ArbiterRefusal.allCases.map {
                .answer(group: "g", identifier: request.identifier, .refused($0, record))
            }
            + [.answer(group: "g", identifier: .none, .refused(.noRecord, nil))]
    }

    static let file = WitnessRecordFile(
        cluster: 0xC1, group: "files", record: record, granted: request.identifier, asker: .second,
        isRolledBack: true)
}

/// The error that `body` throws, `nil` if it returns.
func failure<Failure: Error>(_ body: () throws(Failure) -> Void) -> Failure? {
    do throws(Failure) {
        try body()
        return nil
    } catch {
        return error
    }
}

func headerError(_ bytes: [UInt8]) -> FrameError? {
    failure { () throws(FrameError) in _ = try FrameHeader.decode(bytes) }
}

func controlError(_ payload: [UInt8]) -> FrameError? {
    failure { () throws(FrameError) in _ = try ControlFrame.decode(payload) }
}
