import Basics

/// What will happen, in the order of time and, within one instant, of scheduling: a binary heap of keys. The events
/// themselves stay where they are, so that the heap moves nothing that is reference-counted.
struct EventQueue<Event> {
    private struct Key {
        var time: Instant
        var sequence: UInt64
        /// Where the event is in `events`.
        var place: Int

        func isBefore(_ other: Key) -> Bool {
            time != other.time ? time < other.time : sequence < other.sequence
        }
    }

    private var heap: [Key] = []
    private var events: [Event?] = []
    private var freePlaces: [Int] = []
    private var sequence: UInt64 = 0

    mutating func insert(_ event: Event, at time: Instant) {
        sequence += 1
        let place: Int
        if let free = freePlaces.popLast() {
            place = free
            events[place] = event
        } else {
            place = events.count
            events.append(event)
        }
        heap.append(Key(time: time, sequence: sequence, place: place))
        var child = heap.count - 1
        while child > 0, heap[child].isBefore(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func removeFirst() -> (time: Instant, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        guard let event = events[first.place].take() else { return nil }
        freePlaces.append(first.place)
        return (first.time, event)
    }

    /// Moves the root down to where it belongs.
    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            let left = 2 * parent + 1
            if left < heap.count, heap[left].isBefore(heap[least]) { least = left }
            if left + 1 < heap.count, heap[left + 1].isBefore(heap[least]) { least = left + 1 }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
