import Basics
import Election
import Testing

@Suite("Leases")
struct LeaseTests {
    static let profiles: [LeaseProfile] = [.normal, .fast, .slow]
    static let start = Instant(nanoseconds: 1_000_000_000_000)

    @Test("the three profiles satisfy both inequalities", arguments: profiles)
    func profilesHold(profile: LeaseProfile) throws {
        #expect(try profile.checked() == profile)
    }

    @Test("a promise that is a nanosecond too short is refused with the least that would do")
    func promiseTooShort() throws {
        let least = Interval(nanoseconds: 1_288_888_889)
        func profile(_ promise: Interval) throws(LeaseProfileError) -> LeaseProfile {
            try LeaseProfile(
                holder: .seconds(1), renewal: .milliseconds(300), promise: promise, mute: .milliseconds(60),
                slack: .milliseconds(400))
        }
        _ = try profile(least)
        #expect(throws: LeaseProfileError.promiseTooShort(minimum: least)) {
            try profile(Interval(nanoseconds: least.nanoseconds - 1))
        }
    }

    @Test("a lease that one lost renewal would end is refused")
    func leaseTooShort() {
        #expect(throws: LeaseProfileError.leaseTooShort(minimum: .milliseconds(1001))) {
            try LeaseProfile(
                holder: .seconds(1), renewal: .milliseconds(300), promise: .seconds(2),
                mute: .milliseconds(60),
                slack: .milliseconds(401))
        }
    }

    @Test("fast is refused where wake-ups come late")
    func fits() {
        #expect(LeaseProfile.fast.fits(lateness: .milliseconds(70), roundTrip: .milliseconds(5)))
        #expect(!LeaseProfile.fast.fits(lateness: .milliseconds(75), roundTrip: .milliseconds(1)))
    }

    @Test("the holder counts from sending, not from the answer")
    func countsFromSending() {
        var lease = HolderLease(profile: .normal, startingAt: Self.start)
        #expect(!lease.isHeld(at: Self.start))
        #expect(lease.nextRenewal == Self.start)
        let renewal = lease.sending(at: Self.start)
        #expect(lease.nextRenewal == Self.start + .milliseconds(300))
        let answered = Self.start + .milliseconds(900)
        #expect(lease.confirmed(renewal, at: answered) == true)
        #expect(lease.deadline == Self.start + .seconds(1))
        #expect(lease.isHeld(at: Self.start + .milliseconds(999)))
        #expect(!lease.isHeld(at: Self.start + .seconds(1)))
    }

    @Test("an answer after the lease it would give is worth nothing")
    func lateAnswer() {
        var lease = HolderLease(profile: .normal, startingAt: Self.start)
        let renewal = lease.sending(at: Self.start)
        #expect(lease.confirmed(renewal, at: Self.start + .seconds(1)) == false)
        #expect(lease.deadline == nil)
    }

    @Test("an older answer never shortens the lease, an unknown one gives none")
    func reordered() {
        var lease = HolderLease(profile: .normal, startingAt: Self.start)
        let first = lease.sending(at: Self.start)
        let second = lease.sending(at: Self.start + .milliseconds(300))
        #expect(lease.confirmed(second, at: Self.start + .milliseconds(310)) == true)
        #expect(lease.confirmed(first, at: Self.start + .milliseconds(320)) == false)
        #expect(lease.deadline == Self.start + .milliseconds(1300))
        #expect(
            lease.confirmed(RenewalIdentifier(rawValue: 99), at: Self.start + .milliseconds(330)) == false)
    }

    @Test("a lease that comes back after it ran out is a blip, and counted")
    func blip() {
        var lease = HolderLease(profile: .normal, startingAt: Self.start)
        #expect(lease.confirmed(lease.sending(at: Self.start), at: Self.start) == true)
        let later = Self.start + .milliseconds(1500)
        #expect(lease.confirmed(lease.sending(at: later), at: later) == true)
        #expect(lease.blips == 1)
    }

    @Test("after a release nothing that was sent before confirms anything")
    func released() {
        var lease = HolderLease(profile: .normal, startingAt: Self.start)
        let renewal = lease.sending(at: Self.start)
        lease.released()
        #expect(lease.confirmed(renewal, at: Self.start + .milliseconds(1)) == false)
        #expect(!lease.isHeld(at: Self.start))
    }

    @Test("the grantor grants nobody else until its promise, counted from receipt, is over")
    func promise() {
        var promise = GrantorPromise(profile: .normal, recordedHolder: .first, startingAt: Self.start)
        let receipt = Self.start + .seconds(5)
        #expect(promise.renewed(by: .first, at: receipt) == true)
        #expect(promise.mayGrant(to: .first, at: receipt))
        #expect(!promise.mayGrant(to: .second, at: receipt + .milliseconds(1299)))
        #expect(promise.remaining(at: receipt + .milliseconds(1200)) == .milliseconds(100))
        #expect(promise.renewed(by: .second, at: receipt + .milliseconds(1299)) == false)
        #expect(promise.renewed(by: .second, at: receipt + .milliseconds(1300)) == true)
        #expect(!promise.mayGrant(to: .first, at: receipt + .milliseconds(1301)))
    }

    @Test("a restarted grantor keeps the longest promise that it may have made")
    func restartedGrantor() {
        let known = GrantorPromise(profile: .normal, recordedHolder: .first, startingAt: Self.start)
        #expect(known.mayGrant(to: .first, at: Self.start))
        #expect(!known.mayGrant(to: .second, at: Self.start + .milliseconds(1299)))
        #expect(known.mayGrant(to: .second, at: Self.start + .milliseconds(1300)))
        let unknown = GrantorPromise(profile: .normal, recordedHolder: nil, startingAt: Self.start)
        #expect(!unknown.mayGrant(to: .first, at: Self.start))
    }

    @Test("a released promise binds no longer, but only the holder can release it")
    func release() {
        var promise = GrantorPromise(profile: .normal, recordedHolder: .first, startingAt: Self.start)
        promise.released(by: .second, at: Self.start)
        #expect(!promise.mayGrant(to: .second, at: Self.start))
        promise.released(by: .first, at: Self.start)
        #expect(promise.mayGrant(to: .second, at: Self.start))
    }

    @Test(
        "on any two clocks within the assumed error the holder is mute before another is granted",
        arguments: profiles)
    func neverTwo(profile: LeaseProfile) {
        var generator = SeededGenerator(seed: 1989, label: "lease")
        for _ in 0..<2000 {
            // The rates of both clocks in a thousandth, and how long the renewal travels, in real
            // nanoseconds.
            let holderRate = UInt64(900 + generator.below(201))
            let grantorRate = UInt64(900 + generator.below(201))
            let travel = UInt64(generator.below(Int(profile.holder.nanoseconds)))
            var lease = HolderLease(profile: profile, startingAt: Instant(nanoseconds: 0))
            var promise = GrantorPromise(
                profile: profile, recordedHolder: nil, startingAt: Instant(nanoseconds: 0))
            let sentReal: UInt64 = 100_000_000_000
            let sent = Instant(nanoseconds: sentReal / 1000 * holderRate)
            let renewal = lease.sending(at: sent)
            let received = Instant(nanoseconds: (sentReal + travel) / 1000 * grantorRate)
            #expect(promise.renewed(by: .first, at: received) == true)
            let answered = Instant(nanoseconds: (sentReal + travel) / 1000 * holderRate)
            guard lease.confirmed(renewal, at: answered), let deadline = lease.deadline else { continue }
            let muteReal = deadline.nanoseconds / holderRate * 1000 + profile.mute.nanoseconds
            let freeReal = promise.until.nanoseconds / grantorRate * 1000
            #expect(muteReal <= freeReal + 2000, "rates \(holderRate) \(grantorRate), travel \(travel)")
        }
    }
}
