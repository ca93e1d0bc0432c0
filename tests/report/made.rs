//! Records that no capture holds: hostile ones, and many.

use serde_json::{Value, json};
use std::io::{self, Write};

/// Names that pages, spreadsheets and terminals would take for more than names.
pub(crate) const HOSTILE: [&str; 8] = [
    "<script>document.title='taken'</script>",
    "<img src=x onerror=document.title='taken'>",
    "=HYPERLINK(\"http://evil.example\",\"alice\")",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "alice\u{202e}ecila\u{2066}\u{200b}",
    "[click](javascript:alert(1))|x|",
    "\"'--><style>*{display:none}</style>",
    "a\tb\r\nc\u{0}\u{1b}[31m",
];

/// A finding and a login by an account of that name.
pub(crate) fn exposed(user: &str, number: usize) -> String {
    let time = "2026-11-24T23:02:05.168939Z";
    let common = |dataset: &str, action: &str, id: String| {
        json!({
            "@timestamp": time,
            "message": format!("Password of {user} sent in clear"),
            "event": { "id": id, "dataset": dataset, "action": action },
            "rule": { "name": user },
            "server": { "ip": "10.0.0.1", "port": 143 },
            "client": { "ip": "2001:db8::7", "port": 4000 },
            "user": { "name": user },
            "network": { "protocol": "imap" },
            "tls": { "server": {
                "subject": user, "issuer": user, "not_after": time, "hash": { "sha256": format!("{user}{number}") },
            } },
            "log": { "file": { "path": format!("{user}.pcap") } },
            "barewire": {
                "count": 1, "severity": "high", "confidence": user, "packet": 1, "first_seen": time, "last_seen": time,
                "coverage": user, "remediation": user,
                "server": { "software": user }, "client": { "software": user },
                "login": { "outcome": user, "outcome_reason": user, "secret_class": "password", "fingerprint": user },
                "starttls": { "offer": user, "offer_reason": user, "reply": user },
                "evidence": { "places": [user, "10.0.0.1:25 smtp x"] },
            },
        })
    };
    let lines: [Value; 6] = [
        common("barewire.finding", "cleartext-password", format!("F{number}")),
        common("barewire.finding", "credential-reuse", format!("R{number}")),
        common("barewire.finding", "coverage-gap", format!("G{number}")),
        common("barewire.finding", user, format!("N{number}")),
        common("barewire.login", "login", format!("L{number}")),
        common("barewire.session", "session", format!("S{number}")),
    ];
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// `count` records in which nothing is the same: a third findings, logins and sessions each.
pub(crate) fn write_many(count: u64, out: &mut dyn Write) -> io::Result<()> {
    for at in 0..count {
        let [a, b, c] = [at >> 16 & 255, at >> 8 & 255, at & 255];
        let (dataset, action) =
            [("barewire.finding", "cleartext-password"), ("barewire.login", "login"), ("barewire.session", "session")]
                [(at % 3) as usize];
        let second = at * 37 % 31_536_000;
        let (month, day) = (second / 2_628_000 + 1, second / 86_400 % 28 + 1);
        let (hour, minute) = (second / 3600 % 24, second / 60 % 60);
        let time = format!("2025-{month:02}-{day:02}T{hour:02}:{minute:02}:00.000000Z");
        writeln!(
            out,
            r#"{{"@timestamp":"{time}","message":"Password of user-{at} sent in clear by 10.{a}.{b}.{c} to IMAP server","event":{{"id":"{at:016x}","dataset":"{dataset}","action":"{action}"}},"client":{{"ip":"10.{a}.{b}.{c}","port":40000}},"server":{{"ip":"172.{a}.{b}.{c}","port":143}},"network":{{"protocol":"imap"}},"user":{{"name":"user-{at}-{:040}"}},"tls":{{"established":false,"server":{{"subject":"CN=host-{at}","issuer":"CN=host-{at}","not_after":"{time}","hash":{{"sha256":"{at:064x}"}}}}}},"log":{{"file":{{"path":"/captures/{at}.pcap"}}}},"barewire":{{"packet":{at},"confidence":"confirmed","severity":"high","count":1,"first_seen":"{time}","last_seen":"{time}","login":{{"outcome":"accepted","secret_class":"password","fingerprint":"fp1:0000:{at:032x}"}},"starttls":{{"offer":"offered","requested":false,"reply":"none"}},"implicit_tls":false,"coverage":"complete","server":{{"software":"Dovecot"}},"client":{{"software":"curl"}}}}}}"#,
            at
        )?;
    }
    Ok(())
}
