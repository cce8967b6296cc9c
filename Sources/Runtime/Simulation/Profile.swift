/// What surrounds the pair in a run, and by which of the promises it is judged.
public struct Profile: Sendable {
    /// Which world it is.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// A witness grants, and nothing outside the fault model happens: all invariants.
        case arbiter
        /// `arbiter: none`: both may go alone. What differs is detected on both sides and overwritten by none (I12).
        case noArbiter = "none"
        /// The witness's disk goes back at any time and is reseeded by force: outside G3, still I12, I13 and I23.
        case beyond
    }

    public var kind: Kind
    /// A deliberate fault of the machines, for the tests of the simulator itself.
    public var fault: DeliberateBreak?
    /// Virtual seconds with faults.
    public var faultSeconds: UInt64 = 6

    public init(_ kind: Kind, fault: DeliberateBreak? = nil) {
        self.kind = kind
        self.fault = fault
    }

    /// The world that a seed is run in when none is named: mostly the first.
    public init(ofSeed seed: UInt64, fault: DeliberateBreak? = nil) {
        switch seed % 16 {
        case 7, 11: self.init(.noArbiter, fault: fault)
        case 13, 15: self.init(.beyond, fault: fault)
        default: self.init(.arbiter, fault: fault)
        }
    }

    /// Whether there is a witness.
    var hasArbiter: Bool { kind != .noArbiter }
    /// Whether every completed write can be held against what a holder serves.
    var keepsGuarantees: Bool { kind == .arbiter }
}

/// The rates of one seed, drawn from it.
struct Swarm {
    var crash = 0
    var crashWitness = 0
    var loseWitnessDisk = 0
    var cut = 0
    var diskError = 0
    var operatorAction = 0
    var connectionBreak = 0
    var slowDisk = 0
    var actionCrash = 0
    var crashAgain = 0
    var pause = 0
    var diskMicroseconds = 0
    var networkMicroseconds = 0
    var thinkMilliseconds = 0
    var logCapacity = 0
    /// How long a restarted member seeks its peer, and how long an elector hears nothing before it suspects.
    var waitMilliseconds = 0
    var silenceMilliseconds = 0
}
