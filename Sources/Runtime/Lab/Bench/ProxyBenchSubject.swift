/// Which program is measured as the proxy.
public enum ProxyBenchProgram: String, CaseIterable, Sendable {
    case tandem, haproxy, nginx
}

/// How it is set.
public enum ProxyBenchMode: String, CaseIterable, Sendable {
    /// Each request is placed; no access log.
    case http
    /// The same, with a line a request in a file.
    case httpLog = "http, access log"
    /// Connections are passed through.
    case tcp
}

/// One program in one mode: the settings that make the three do the same.
///
/// In HTTP mode each places requests in turn on two servers, keeps connections on both sides, and adds X-Forwarded-For;
/// ours and HAProxy set the sticky cookie in each response, which nginx of the distribution cannot. Each has one thread.
struct ProxyBenchSubject: Hashable {
    let program: ProxyBenchProgram
    let mode: ProxyBenchMode

    var name: String { "\(program.rawValue) \(mode.rawValue)" }

    /// The program's own settings file. `place` is the bench's directory.
    func settings(port: Int, origins: [Int], place: String) -> String {
        switch program {
        case .tandem: tandem(port, origins, place)
        case .haproxy: haproxy(port, origins)
        case .nginx: nginx(port, origins, place)
        }
    }

    /// The call that runs it in the foreground.
    func command(product: String, settings: String) -> [String] {
        switch program {
        case .tandem: [product, "proxy", "--settings", settings]
        case .haproxy: ["haproxy", "-db", "-f", settings]
        case .nginx: ["nginx", "-c", settings, "-g", "daemon off;"]
        }
    }

    private func tandem(_ port: Int, _ origins: [Int], _ place: String) -> String {
        """
        cluster: bench
        secret: \(place)/secret
        state-directory: \(place)
        run-directory: \(place)
        nodes: { node1: { address: 127.0.0.1 }, node2: { address: 127.0.0.2 } }
        witness: { address: 127.0.0.3 }
        groups: { files: { volume: { size: 64MiB, backing: \(place)/files.img } } }
        proxies:
          web:
            listen: 127.0.0.1:\(port)
            \(mode == .tcp ? "mode: tcp" : "sticky: cookie")
            log: \(mode == .httpLog ? "stdout" : "none")
            servers: { web1: 127.0.0.1:\(origins[0]), web2: 127.0.0.1:\(origins[1]) }

        """
    }

    private func haproxy(_ port: Int, _ origins: [Int]) -> String {
        let isHTTP = mode != .tcp
        return """
            global
                nbthread 1
                maxconn 10500
                no strict-limits
            \(mode == .httpLog ? "    log stdout format raw local0" : "")
            defaults
                mode \(isHTTP ? "http" : "tcp")
                timeout connect 5s
                timeout client 60s
                timeout server 60s
                timeout http-keep-alive 60s
            frontend in
                bind 127.0.0.1:\(port)
                default_backend out
            \(mode == .httpLog ? "    log global\n    option httplog" : "")
            \(isHTTP ? "    option forwardfor" : "")
            backend out
                balance roundrobin
            \(isHTTP ? "    cookie SRV insert indirect nocache" : "")
                server web1 127.0.0.1:\(origins[0]) check \(isHTTP ? "cookie web1" : "")
                server web2 127.0.0.1:\(origins[1]) check \(isHTTP ? "cookie web2" : "")

            """
    }

    private func nginx(_ port: Int, _ origins: [Int], _ place: String) -> String {
        // The stream module of the distribution lies beside the program and is not there everywhere.
        let load = mode == .tcp ? "load_module /usr/lib/nginx/modules/ngx_stream_module.so;" : ""
        let upstream = "out"
        let servers = origins.map { "server 127.0.0.1:\($0);" }.joined(separator: " ")
        let log = mode == .httpLog ? "access_log \(place)/nginx.access;" : "access_log off;"
        let inside =
            mode == .tcp
            ? """
            stream {
                upstream out { \(servers) }
                server { listen 127.0.0.1:\(port); proxy_pass out; }
            }
            """
            : """
            http {
                \(log)
                keepalive_requests 100000000;
                client_body_temp_path \(place)/t1; proxy_temp_path \(place)/t2; fastcgi_temp_path \(place)/t3;
                uwsgi_temp_path \(place)/t4; scgi_temp_path \(place)/t5;
                upstream \(upstream) { \(servers) keepalive 64; keepalive_requests 100000000; }
                server {
                    listen 127.0.0.1:\(port);
                    location / {
                        proxy_pass http://\(upstream);
                        proxy_http_version 1.1;
                        proxy_set_header Connection "";
                        proxy_set_header Host $host;
                        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                        proxy_set_header X-Forwarded-Proto $scheme;
                    }
                }
            }
            """
        return """
            \(load)
            master_process off;
            worker_processes 1;
            pid \(place)/nginx.pid;
            error_log \(place)/nginx.error;
            events { worker_connections 12000; }
            \(inside)

            """
    }
}
