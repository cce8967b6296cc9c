/// A proxy that cases are run against, and the settings that make it one: one server, no checks, no log.
struct ProxyCasePeer {
    let program: ProxyBenchProgram
    let port: Int
    let origin: Int
    let place: String

    var name: String {
        switch program {
        case .tandem: "tandem"
        case .haproxy: "HAProxy"
        case .nginx: "nginx"
        }
    }

    func command(product: String, settings: String) -> [String] {
        ProxyBenchSubject(program: program, mode: .http).command(product: product, settings: settings)
    }

    /// The call that says which version it is; nil for ours.
    var versionCommand: [String]? {
        switch program {
        case .tandem: nil
        case .haproxy: ["haproxy", "-v"]
        case .nginx: ["nginx", "-v"]
        }
    }

    var settings: String {
        switch program {
        case .tandem: tandem
        case .haproxy: haproxy
        case .nginx: nginx
        }
    }

    private var tandem: String {
        """
        cluster: cases
        secret: \(place)/secret
        state-directory: \(place)
        run-directory: \(place)
        nodes: { node1: { address: 127.0.0.1 }, node2: { address: 127.0.0.2 } }
        witness: { address: 127.0.0.3 }
        groups: { files: { volume: { size: 64MiB, backing: \(place)/files.img } } }
        proxies:
          origin:
            listen: 127.0.0.1:\(port)
            log: none
            sticky: cookie
            check: none
            servers: { web1: 127.0.0.1:\(origin) }

        """
    }

    private var haproxy: String {
        """
        global
            nbthread 1
        defaults
            mode http
            timeout connect 2s
            timeout client 10s
            timeout server 10s
            timeout http-request 10s
        frontend in
            bind 127.0.0.1:\(port)
            option forwardfor
            default_backend out
        backend out
            cookie TANDEM insert indirect nocache
            server web1 127.0.0.1:\(origin) cookie web1

        """
    }

    private var nginx: String {
        let upstream = "out"
        return """
            master_process off;
            worker_processes 1;
            pid \(place)/nginx.pid;
            error_log \(place)/nginx.error;
            events { worker_connections 512; }
            http {
                access_log off;
                client_body_temp_path \(place)/t1; proxy_temp_path \(place)/t2; fastcgi_temp_path \(place)/t3;
                uwsgi_temp_path \(place)/t4; scgi_temp_path \(place)/t5;
                map $http_upgrade $hop { default upgrade; '' ''; }
                upstream \(upstream) { server 127.0.0.1:\(origin) max_fails=0; keepalive 8; }
                server {
                    listen 127.0.0.1:\(port);
                    location / {
                        proxy_pass http://\(upstream);
                        proxy_http_version 1.1;
                        proxy_set_header Connection $hop;
                        proxy_set_header Upgrade $http_upgrade;
                        proxy_set_header Host $http_host;
                        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                        proxy_set_header X-Forwarded-Proto $scheme;
                    }
                }
            }

            """
    }
}
