import Basics
import Glibc
import Lab
import Testing

@Suite("Lines of an NFS client")
struct LineWriterTests {
    private let three = (0..<3).map { LineAnswer(number: $0, milliseconds: 1, code: 0) }

    @Test("a log is read up to its last whole line")
    func parses() {
        #expect(
            LineAnswer.parse("0 3 0\n1 1480 0\n2 20 5\n3 7") == [
                LineAnswer(number: 0, milliseconds: 3, code: 0),
                LineAnswer(number: 1, milliseconds: 1480, code: 0),
                LineAnswer(number: 2, milliseconds: 20, code: 5),
            ])
        #expect(LineAnswer.parse("").isEmpty)
    }

    @Test("a file holds when every acknowledged line is there in order, and at most one more")
    func holds() {
        #expect(LineAnswer.fault(in: "0\n1\n2\n", after: three) == nil)
        #expect(LineAnswer.fault(in: "0\n1\n2\n3\n", after: three) == nil)
    }

    @Test("a line that is missing, doubled, torn or nobody's is found")
    func faults() {
        for file in ["0\n1\n", "0\n2\n", "0\n1\n1\n2\n", "0\n1\n2", "0\n\0\n2\n", "", "0\n1\n2\n3\n4\n"] {
            #expect(LineAnswer.fault(in: file, after: three) != nil, "\(file)")
        }
        // A line that failed was not acknowledged.
        let failed = three.dropLast() + [LineAnswer(number: 2, milliseconds: 1, code: EIO)]
        #expect(LineAnswer.fault(in: "0\n1\n", after: Array(failed)) == nil)
    }

    @Test("a line that was answered with an error may be there as often as it was tried, and no oftener")
    func repeats() {
        let unsure = [LineAnswer(number: 1, milliseconds: 1, code: EIO)]
        let answers = [three[0]] + unsure + [three[1], three[2]]
        #expect(LineAnswer.fault(in: "0\n1\n2\n", after: answers) == nil)
        #expect(LineAnswer.fault(in: "0\n1\n1\n2\n", after: answers) == nil)
        #expect(LineAnswer.fault(in: "0\n1\n1\n1\n2\n", after: answers) != nil)
        #expect(LineAnswer.fault(in: "0\n1\n2\n2\n", after: answers) != nil)
    }
}
