import Balancing
import Basics
import Testing

@testable import ProxyReport

@Suite("the statistics as CSV and JSON")
struct ReportTableTests {
    /// As HAProxy 2.6.12 prints it, up to the columns of its modules.
    let head =
        "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight"
        + ",act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max"
        + ",check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail"
        + ",req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt"
        + ",qtime,ctime,rtime,ttime,agent_status,agent_code,agent_duration,check_desc,agent_desc,check_rise,check_fall"
        + ",check_health,agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,conn_rate,conn_rate_max,conn_tot"
        + ",intercepted,dcon,dses,wrew,connect,reuse,cache_lookups,cache_hits,srv_icur,src_ilim,qtime_max,ctime_max"
        + ",rtime_max,ttime_max,eint,idle_conn_cur,safe_conn_cur,used_conn_cur,need_conn_est,uweight,agg_server_status"
        + ",agg_server_check_status,agg_check_status,"

    /// The rows of a CSV without quotes, by column.
    func rows(_ csv: String) -> [[String: String]] {
        let lines = csv.split(separator: "\n").map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        let names = [String(lines[0][0].dropFirst(2))] + lines[0].dropFirst()
        return lines.dropFirst().map { cells in
            Dictionary(zip(names, cells).filter { !$0.0.isEmpty }, uniquingKeysWith: { first, _ in first })
        }
    }

    @Test("the head is HAProxy's, and each row has as many columns")
    func columns() {
        let lines = sample().table.csv.split(separator: "\n")
        #expect(String(lines[0]) == head)
        #expect(lines.count == 5)
        for line in lines { #expect(line.count { $0 == "," } == head.count { $0 == "," }) }
    }

    @Test("a frontend, its servers and their backend say what was counted")
    func values() {
        let snapshot = sample { pool, traffic in
            for server in 0..<2 { _ = pool.checked(server, passed: true, at: at(0)) }
            traffic.checked(0, CheckResult(.layer7OK, code: 200, duration: .milliseconds(3)), wasUp: false)
            _ = pool.place(1, sticky: nil, source: 0)
            traffic.placed(on: 0, isSticky: false, at: at(9_900))
            traffic.ended(record(0))
        }
        let rows = rows(snapshot.table.csv)
        #expect(rows.map { $0["svname"] } == ["FRONTEND", "web1", "web2", "BACKEND"])
        #expect(rows.map { $0["type"] } == ["0", "2", "2", "1"])
        #expect(rows.map { $0["scur"] } == ["3", "1", "0", "1"])
        #expect(rows.map { $0["bin"] } == ["100", "100", "0", "100"])
        #expect(rows.map { $0["hrsp_2xx"] } == ["1", "1", "0", "1"])
        #expect(rows.map { $0["status"] } == ["OPEN", "UP", "UP", "UP"])
        #expect(rows[1]["check_status"] == "L7OK" && rows[1]["check_code"] == "200")
        #expect(rows[1]["last_chk"] == "L7OK/200 in 3ms" && rows[2]["check_status"] == "INI")
        #expect(rows[1]["rate"] == "1" && rows[1]["lastsess"] == "0" && rows[2]["lastsess"] == "-1")
        #expect(rows[2]["slim"] == "5" && rows[2]["bck"] == "1" && rows[2]["act"] == "0")
        #expect(rows[3]["act"] == "1" && rows[3]["bck"] == "1" && rows[3]["weight"] == "100")
        #expect(rows[3]["algo"] == "roundrobin" && rows[3]["cookie"] == "TANDEM")
    }

    @Test("the states have HAProxy's words, with the progress of checks")
    func states() {
        func status(_ checks: [Bool], _ admin: BackendPool.AdminState = .ready, weight: Int = 100) -> String?
        {
            let snapshot = sample { pool, _ in
                for passed in checks { _ = pool.checked(0, passed: passed, at: at(0)) }
                _ = pool.setAdmin(admin, of: 0)
                _ = pool.setWeight(weight, of: 0)
            }
            return snapshot.proxies.first.map { $0.servers[0].status($0.rules) }
        }
        #expect(status([]) == "DOWN (checking)")
        #expect(status([true]) == "UP")
        #expect(status([true, false]) == "UP 2/3")
        #expect(status([true, false, false]) == "UP 1/3")
        #expect(status([true, false, false, false]) == "DOWN")
        #expect(status([false, true]) == "DOWN 1/2")
        #expect(status([true], .drain) == "DRAIN")
        #expect(status([true], weight: 0) == "DRAIN")
        #expect(status([false], .drain) == "DOWN")
        #expect(status([true], .maintenance) == "MAINT")
        #expect(sample(checked: false).proxies.first.map { $0.servers[0].status($0.rules) } == "no check")
    }

    @Test("a comma or a quote in a cell breaks no column, and JSON is escaped")
    func quoting() {
        #expect(ReportTable.quoted("a,\"b\"") == "\"a,\"\"b\"\"\"")
        #expect(ReportTable.quoted("plain") == "plain")
        #expect(ReportTable.jsonText("a\"\\\n") == "\"a\\\"\\\\\\u000a\"")
        let json = sample().table.json
        #expect(json.contains("\"pxname\":\"web\",\"svname\":\"web1\",\"qcur\":0,"))
        #expect(json.split(separator: "\n").count == 6 && json.hasPrefix("[\n{") && json.hasSuffix("}\n]\n"))
    }
}
