import Balancing
import Basics
import Testing

@testable import ProxyReport

@Suite("the statistics page as text")
struct StatisticsPageTests {
    func page(_ snapshot: ProxySnapshot, note: String? = nil, refresh: Int? = 5) -> String {
        StatisticsPage(snapshot, token: "t0ken", note: note, refresh: refresh, machine: "node<1>").html
    }

    @Test("no name, address or machine can write HTML")
    func escaping() {
        let evil = "<script>alert('x')</script>\"&"
        let html = page(sample(name: evil, second: "\"><img src=x>"))
        #expect(!html.contains("<script") && !html.contains("<img") && !html.contains("node<1>"))
        #expect(html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"))
        #expect(html.contains("name=s value=\"&quot;&gt;&lt;img src=x&gt;\""))
    }

    @Test("every row has a cell for each column")
    func columns() {
        let rows = page(sample()).split(separator: "<tr").dropFirst().map(String.init)
        #expect(rows.count == 6)
        let wanted = 30
        #expect(rows[1].split(separator: "<th>").dropFirst().count == wanted - 1)
        for row in rows[2...] {
            #expect(row.split(separator: "</td>").count - 1 == wanted, "\(row)")
        }
    }

    @Test("each server has its orders, with the token, and the one that stands is not offered")
    func orders() {
        let html = page(sample { pool, _ in _ = pool.setAdmin(.drain, of: 0) })
        #expect(html.split(separator: "<form method=post").count == 3)
        #expect(html.split(separator: "name=token value=\"t0ken\"").count == 3)
        #expect(html.contains("value=drain disabled>") && html.contains("value=ready disabled>"))
        #expect(!html.contains("value=maint disabled>"))
    }

    @Test("it loads itself anew, unless it is told not to, and nothing from elsewhere")
    func refreshes() {
        #expect(page(sample()).contains("http-equiv=\"refresh\" content=\"5;url=/\""))
        #expect(!page(sample(), refresh: nil).contains("http-equiv"))
        let html = page(sample())
        #expect(!html.contains("http:") && !html.contains("https:") && !html.contains("src="))
        #expect(page(sample(), note: "DONE").contains("carried out"))
        #expect(page(sample(), note: "UNKNOWN").contains("no proxy or server has that name"))
        #expect(!page(sample(), note: "<b>").contains("<b>"))
    }

    @Test("lengths of time and numbers are written as people read them")
    func numbers() {
        #expect(PageText.duration(seconds: 5) == "5s" && PageText.duration(seconds: 65) == "1m05s")
        #expect(PageText.duration(seconds: 3660) == "1h01m" && PageText.duration(seconds: 90000) == "1d1h")
        #expect(PageText.grouped(1_234_567) == "1\u{202F}234\u{202F}567" && PageText.grouped(12) == "12")
    }

    @Test("the colour of a row follows its state")
    func colours() {
        let words = ["UP", "UP 1/3", "DOWN", "DOWN 1/2", "DOWN (checking)", "DRAIN", "MAINT", "no check"]
        #expect(
            words.map { StatisticsPage.color($0) } == [
                "up", "falling", "down", "rising", "down", "drain", "maint", "nocheck",
            ])
    }
}
