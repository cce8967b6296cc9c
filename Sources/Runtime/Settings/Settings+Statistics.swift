public import Basics

extension Settings {
    /// The statistics page of the proxies: a listener of its own, behind user and password.
    public struct Statistics: Sendable, Equatable {
        /// Where the password is written.
        public enum Password: Sendable, Equatable {
            /// In the settings file itself.
            case text(String)
            /// The first line of the file with that absolute path.
            case file(String)
        }

        public var listen: Proxy.Endpoint
        public var user: String
        public var password: Password
        /// Between two loads of the page; 0 for never.
        public var refresh: Interval
    }
}
