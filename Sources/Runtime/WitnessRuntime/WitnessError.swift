import Glibc
public import LinuxSystem
public import SecureChannel
public import WireFormat

/// Why the witness does not run, or could not be asked.
public enum WitnessError: Error, Equatable, Sendable {
    /// The settings say `arbiter: none`.
    case notConfigured
    case secret(SecretFileError)
    /// Another witness keeps its records in that directory.
    case alreadyRunning(directory: String)
    case notPermitted(path: String)
    /// Another process has the address and port.
    case portInUse(String)
    /// This machine does not have the address.
    case absentAddress(String)
    /// A stored record cannot be believed.
    case badRecord(path: String, WitnessRecordError)
    /// A stored record is of another cluster or group.
    case foreignRecord(path: String)
    case system(SystemError)
    /// The control socket could not be opened, in a sentence.
    case unopened(String)
    /// No session could be made, or it ended.
    case session(SecureConnectionError)
    /// The witness refused, in its words.
    case refused(WitnessRefusal, text: String)
    /// It answered something else than what was asked.
    case unexpectedAnswer
}

extension WitnessError: CustomStringConvertible {
    /// One sentence for the operator.
    public var description: String {
        switch self {
        case .notConfigured:
            "the settings have no witness (`arbiter: none`): there is nothing to run or to ask"
        case .secret(let error): "\(error)"
        case .alreadyRunning(let directory):
            "another `tandem witness` keeps its records in \(directory): end it first"
        case .notPermitted(let path):
            "no permission for \(path): run this as root, or as the user who owns it"
        case .portInUse(let address):
            "\(address) is in use by another process: end it, or give the witness another `port` in the settings"
        case .absentAddress(let address):
            "this machine does not have the witness's address \(address): run the witness on the machine that has"
                + " it, or correct the settings"
        case .badRecord(let path, let error):
            "\(path): \(error); move the file away, start the witness, connect both nodes and run"
                + " `tandem witness reseed GROUP`"
        case .foreignRecord(let path):
            "\(path) belongs to another cluster or group: move it away, or correct `state-directory`"
        case .system(let error) where error.code == ENOSPC || error.code == EDQUOT:
            "\(error): make room there, or give the witness another `state-directory`"
        case .system(let error): "\(error)"
        case .unopened(let reason): reason
        case .session(let error): "the witness cannot be asked: \(error)\(Self.remedy(error))"
        case .refused(_, let text): "the witness refused: \(text)"
        case .unexpectedAnswer: "the witness answers something else than what was asked: compare the versions"
        }
    }

    /// What to do about a session that failed, where its own words do not say it: who answers with another secret
    /// need not be started.
    private static func remedy(_ error: SecureConnectionError) -> String {
        switch error {
        case .system, .timedOut, .channel(.closed, _), .channel(.cut, _):
            "; start `tandem witness` on its machine, or repair the way to it"
        case .channel, .messageTooLong, .crowdedOut: ""
        }
    }
}
