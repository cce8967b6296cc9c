import Basics
import Glibc

/// The proxies' side of a lab, whatever its machines are: who listens where, and the text of the settings.
///
/// node1 and node2 run the pair behind a second address; two web servers run on the client's machine.
public enum LabWeb {
    /// The group that moves the proxies' address, and the proxy's name.
    public static let group = "web"
    /// The address that the pair serves.
    public static let address = "192.168.56.101"
    /// Where clients connect.
    public static let endpoint = "\(address):80"
    /// The web servers by name, with their ports on the client's machine.
    public static let servers = [(name: "web1", port: 8081), (name: "web2", port: 8082)]
    /// A package of the distribution with a web server, for who has none.
    public static let package = "nginx-light"

    /// The group's lines in the settings, below `groups`.
    static var groupText: String {
        "  \(group): { address: \(address)/24, prefer: node1, proxy: \(group) }\n"
    }

    /// The lines of the settings after the groups. `client` is the address of the client's machine, `log` a file on each
    /// machine's own disk.
    static func proxyText(client host: String, log: String) -> String {
        let list = servers.map { "\($0.name): \(host):\($0.port)" }.joined(separator: ", ")
        return """
            proxies:
              \(group):
                listen: \(endpoint)
                sticky: cookie
                servers: { \(list) }
                check: { http: /, interval: 500ms }
                log: \(log)

            """
    }

    /// nginx's settings for both web servers, at the address `host`; everything that it writes lies in `directory`.
    static func serverText(host: String, directory: String) -> String {
        let sites = servers.map { server in
            """
                server {
                    listen \(host):\(server.port);
                    default_type text/plain;
                    location / { return 200 "\(server.name)\\n"; }
                }

            """
        }
        return """
            daemon off;
            worker_processes 1;
            pid \(directory)/nginx.pid;
            error_log \(directory)/nginx.log;
            events { worker_connections 512; }
            http {
                access_log off;
                client_body_temp_path \(directory)/body;
                proxy_temp_path \(directory)/proxy;
                fastcgi_temp_path \(directory)/fastcgi;
                uwsgi_temp_path \(directory)/uwsgi;
                scgi_temp_path \(directory)/scgi;
            \(sites.joined())}

            """
    }
}

extension LabWeb {
    /// Whether the settings in that file name proxies: then the nodes run them.
    static func isNamed(in settings: String) -> Bool {
        TextFile.read(settings)?.contains("\nproxies:\n") == true
    }

    /// For a lab's status. `holders` are the nodes that have the address.
    static func statusLine(holders: [String]) -> String {
        let place = holders.isEmpty ? "nowhere" : "on \(holders.joined(separator: " and "))"
        let names = servers.map(\.name).joined(separator: " and ")
        return "web: http://\(address)/ by the proxies, now \(place); \(names) are on the client's machine"
    }
}

extension LabTopology {
    /// Whether the nodes run the pair of proxies.
    var hasPair: Bool { LabWeb.isNamed(in: directory.settings) }

    /// Whether the proxies' address is on that node, which is on.
    func holdsPairAddress(_ node: String) throws(LabError) -> Bool {
        try machine(node).run(["ip", "-o", "address", "show"]).output.contains(" \(LabWeb.address)/")
    }

    /// Starts the web servers on the client's machine: the distribution's nginx, or servers of the lab's own; gives what
    /// they are.
    @discardableResult
    func startWebServers() throws(LabError) -> String {
        let client = machine("client")
        let place = directory.machine("client")
        let nginx = ["/usr/sbin/nginx", "/usr/bin/nginx"].first { (path: String) in access(path, X_OK) == 0 }
        guard let nginx else {
            for server in LabWeb.servers {
                let endpoint = "\(LabNetwork.address(of: "client")):\(server.port)"
                _ = try client.launch(
                    [program, "origin", endpoint, "--name", server.name], log: "\(place)/\(server.name).log")
            }
            return "the lab's own (apt-get install \(LabWeb.package) brings the distribution's)"
        }
        let settings = "\(place)/nginx.conf"
        let host = LabNetwork.address(of: "client")
        try TextFile.write(LabWeb.serverText(host: host, directory: place), to: settings)
        _ = try client.launch([nginx, "-c", settings, "-e", "\(place)/nginx.log"], log: "\(place)/web.log")
        return "the distribution's nginx"
    }

    /// Starts the proxies of a node that is up, and waits until they answer their operator.
    public func startProxy(_ node: String) throws(LabError) {
        _ = try machine(node).launch(
            [product, "proxy", "--settings", directory.settings], log: directory.machine(node) + "/proxy.log",
            environment: environment)
        let words = [product, "proxy", "status", "--json", "--settings", directory.settings]
        let answers: Bool? = try LabClock.wait(.seconds(10)) { () throws(LabError) -> Bool? in
            try machine(node).run(words, limit: .seconds(5)).status == 0 ? true : nil
        }
        guard answers != nil else { throw LabError("the proxy on \(node) does not answer") }
    }

    /// The process of a node's proxies.
    public func proxyProcess(_ node: String) -> Int32? {
        daemonProcesses(node).first { process in
            let line = TextFile.bytes("/proc/\(process)/cmdline") ?? []
            let words = line.split(separator: 0, omittingEmptySubsequences: false)
            return words.count > 1 && String(decoding: words[1], as: UTF8.self) == "proxy"
        }
    }
}
