//! What people read when a run is over: the verdict first, then what it rests on. The records hold every detail; this
//! is a page. It decides nothing: the exit status comes in with its reason.

use super::findings;
use super::page::{Page, aligned};
use super::words::{clock, counted, grouped, octets};
use crate::finding::{SEVERITIES, severity_name};
use std::collections::BTreeSet;

/// Problems told one by one.
const PROBLEMS: usize = 20;

/// Sessions of one protocol by how they were protected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionLine {
    /// As people read it: `POP3`.
    pub protocol: &'static str,
    /// Without TLS.
    pub clear: u64,
    /// TLS after STARTTLS.
    pub starttls: u64,
    /// TLS from the start.
    pub implicit_tls: u64,
    /// Whether TLS came about is not known.
    pub unknown: u64,
}

/// A finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingLine {
    /// 1 info to 5 critical.
    pub severity: u8,
    /// Its name in records.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Address and port, or what else the finding is about; empty when that is the capture.
    pub server: String,
    /// It is about one mail service.
    pub is_service: bool,
    /// Distinct clients.
    pub clients: u64,
    /// Users, [`NAMED_USERS`](super::NAMED_USERS) of them.
    pub users: Vec<String>,
    /// How many more there are.
    pub more_users: u64,
    /// Occurrences.
    pub count: u64,
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Packets read.
    pub packets: u64,
    /// Their octets.
    pub octets: u64,
    /// Time the run took.
    pub seconds: f64,
    /// Packets that were not looked into, by reason.
    pub skipped: Vec<(&'static str, u64)>,
    /// Packets that no network in order has, by what is odd about them.
    pub odd: Vec<(&'static str, u64)>,
    /// Packets that the capture is known to have lost.
    pub dropped: u64,
    /// Holes in mail connections.
    pub gaps: u64,
    /// Octets missing in them.
    pub gap_octets: u64,
    /// Connections given up for want of memory.
    pub evicted: u64,
    /// Mail sessions by protocol.
    pub sessions: Vec<SessionLine>,
    /// Logins seen in clear, by outcome.
    pub logins: Vec<(&'static str, u64)>,
    /// Distinct findings.
    pub findings: Vec<FindingLine>,
    /// Distinct findings that the baseline accepts; they are not among the others.
    pub accepted: u64,
    /// What went wrong, in sentences.
    pub problems: Vec<String>,
    /// Exit status and why; told when it is not 0.
    pub status: Option<(u8, String)>,
}

impl SessionLine {
    fn total(&self) -> u64 {
        self.clear + self.starttls + self.implicit_tls + self.unknown
    }
}

impl Summary {
    /// The page in printable ASCII and line feeds, at most 100 columns wide. `colour` adds ANSI colours, for terminals.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let mut page = Page { text: String::new(), colour };
        self.verdict(&mut page);
        findings::list(&self.findings, &mut page);
        self.list_sessions(&mut page);
        self.list_logins(&mut page);
        self.list_capture(&mut page);
        self.list_problems(&mut page);
        page.text
    }

    /// What matters in at most three sentences.
    fn verdict(&self, page: &mut Page) {
        let sessions: u64 = self.sessions.iter().map(SessionLine::total).sum();
        if let Some(text) = self.verdict_on_logins() {
            page.strong(&text);
        }
        if !self.findings.is_empty() {
            page.strong(&self.verdict_on_findings());
        } else if sessions > 0 {
            let new = if self.accepted > 0 { "Nothing new" } else { "Nothing" };
            page.strong(&format!("{new} was found in {}.", counted(sessions, "mail session")));
        }
        if self.accepted > 0 {
            let those = if self.accepted == 1 { "stands" } else { "stand" };
            page.line(&format!("{} {those} in the baseline.", counted(self.accepted, "finding")));
        }
        if sessions == 0 {
            page.strong("No mail session was seen, so nothing was judged.");
        }
        if self.dropped > 0 || self.gaps > 0 || self.evicted > 0 {
            page.line("Part of the traffic was not captured or not followed: more may have passed unseen.");
        }
    }

    fn verdict_on_logins(&self) -> Option<String> {
        let total: u64 = self.logins.iter().map(|(_, count)| count).sum();
        let accepted: u64 = self.logins.iter().filter(|(name, _)| *name == "accepted").map(|(_, count)| count).sum();
        let of_them = match (total, accepted) {
            (0, _) => return None,
            (1, 1) => "and was accepted".to_owned(),
            (1, _) => "and was not seen to be accepted".to_owned(),
            (_, 0) => "none of them seen to be accepted".to_owned(),
            (total, accepted) if total == accepted => "all of them accepted".to_owned(),
            (_, accepted) => format!("{} of them accepted", grouped(accepted)),
        };
        Some(format!("{} crossed the wire in clear, {of_them}.", counted(total, "login")))
    }

    /// An address with its port is a service; what many clients met with there counts once.
    fn verdict_on_findings(&self) -> String {
        let services: BTreeSet<&str> =
            self.findings.iter().filter(|line| line.is_service).map(|line| &*line.server).collect();
        let place = match services.len() {
            0 => "There are findings about the capture".to_owned(),
            1 => "1 mail service has findings".to_owned(),
            many => format!("{} mail services have findings", grouped(many as u64)),
        };
        let by_severity = SEVERITIES.iter().rev().filter_map(|&name| {
            let count = self.findings.iter().filter(|line| severity_name(line.severity) == name).count();
            (count > 0).then(|| format!("{} {name}", grouped(count as u64)))
        });
        let by_severity: Vec<String> = by_severity.collect();
        format!("{place}: {}.", by_severity.join(", "))
    }

    fn list_sessions(&self, page: &mut Page) {
        let seen: Vec<&SessionLine> = self.sessions.iter().filter(|line| line.total() > 0).collect();
        let cells = |name: &str, line: &SessionLine| {
            let counts = [line.clear, line.starttls, line.implicit_tls, line.unknown, line.total()];
            std::iter::once(name.to_owned()).chain(counts.map(grouped)).collect::<Vec<_>>()
        };
        let mut rows =
            vec![["", "in clear", "STARTTLS", "implicit TLS", "not known", "total"].map(str::to_owned).to_vec()];
        rows.extend(seen.iter().map(|line| cells(line.protocol, line)));
        if seen.len() > 1 {
            let sum = |of: fn(&SessionLine) -> u64| seen.iter().map(|line| of(line)).sum();
            let total = SessionLine {
                protocol: "all",
                clear: sum(|line| line.clear),
                starttls: sum(|line| line.starttls),
                implicit_tls: sum(|line| line.implicit_tls),
                unknown: sum(|line| line.unknown),
            };
            rows.push(cells(total.protocol, &total));
        }
        if !seen.is_empty() {
            page.heading("Mail sessions, by how they were protected");
            aligned(&rows).iter().for_each(|row| page.line(row));
        }
    }

    fn list_logins(&self, page: &mut Page) {
        let seen = self.logins.iter().filter(|(_, count)| *count > 0);
        let rows: Vec<Vec<String>> = seen.map(|(name, count)| vec![(*name).to_owned(), grouped(*count)]).collect();
        if !rows.is_empty() {
            page.heading("Logins in clear, by what the server made of them");
            aligned(&rows).iter().for_each(|row| page.line(row));
        }
    }

    fn list_capture(&self, page: &mut Page) {
        let rate = if self.seconds > 0.0 { (self.packets as f64 / self.seconds) as u64 } else { 0 };
        let took = match self.seconds {
            ..1.0 => format!("{:.0} ms", self.seconds * 1000.0),
            ..60.0 => format!("{:.1} s", self.seconds),
            longer => clock(longer as u64),
        };
        let (skipped, reasons) = summed(&self.skipped);
        let missing = if self.gaps > 0 { counted(self.gap_octets, "octet") + " missing" } else { String::new() };
        let mut facts = vec![
            ("packets", self.packets, format!("in {took}, {} a second", grouped(rate))),
            ("octets", self.octets, octets(self.octets)),
            ("skipped", skipped, reasons),
            ("dropped", self.dropped, String::new()),
            ("gaps", self.gaps, missing),
        ];
        let (odd, kinds) = summed(&self.odd);
        if odd > 0 {
            facts.push(("odd", odd, kinds));
        }
        if self.evicted > 0 {
            facts.push(("given up", self.evicted, "connections, for want of memory".to_owned()));
        }
        page.heading("Capture");
        let rows: Vec<Vec<String>> =
            facts.iter().map(|(name, count, _)| vec![(*name).to_owned(), grouped(*count)]).collect();
        for (row, (_, _, note)) in aligned(&rows).iter().zip(&facts) {
            page.noted(row, note);
        }
    }

    fn list_problems(&self, page: &mut Page) {
        if !self.problems.is_empty() {
            page.heading("Problems");
            self.problems.iter().take(PROBLEMS).for_each(|problem| page.noted("  -", problem));
            let more = self.problems.len().saturating_sub(PROBLEMS);
            if more > 0 {
                page.line(&format!("  and {} more", grouped(more as u64)));
            }
        }
        if let Some((status, why)) = self.status.as_ref().filter(|(status, _)| *status != 0) {
            page.text.push('\n');
            page.noted(&format!("Exit status {status}:"), why);
        }
    }
}

/// How many in all, and of which kinds.
fn summed(counts: &[(&str, u64)]) -> (u64, String) {
    let kinds = counts.iter().filter(|(_, count)| *count > 0);
    let kinds: Vec<String> = kinds.map(|(kind, count)| format!("{kind} {}", grouped(*count))).collect();
    (counts.iter().map(|(_, count)| count).sum(), kinds.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::page::COLUMNS;

    fn finding(
        severity: u8,
        id: &'static str,
        title: &'static str,
        server: &str,
        users: &[&str],
        count: u64,
    ) -> FindingLine {
        let users: Vec<String> = users.iter().map(|&user| user.to_owned()).collect();
        let clients = if server.is_empty() { 0 } else { users.len().max(1) as u64 };
        FindingLine {
            severity,
            id,
            title,
            server: server.to_owned(),
            is_service: !server.is_empty(),
            clients,
            users,
            more_users: 0,
            count,
        }
    }

    fn sample() -> Summary {
        let password = ("cleartext-password", "Password sent in clear");
        let accepts = ("server-accepts-cleartext-auth", "Server accepts passwords without TLS");
        Summary {
            packets: 12_345_678,
            octets: 9_876_543_210,
            seconds: 12.34,
            skipped: vec![("link type", 0), ("not IP", 1_204), ("not TCP", 45_678), ("IP fragment", 3)],
            dropped: 0,
            gaps: 12,
            gap_octets: 34_567,
            evicted: 0,
            odd: Vec::new(),
            sessions: vec![
                SessionLine { protocol: "POP3", clear: 1_012, starttls: 3, implicit_tls: 0, unknown: 1 },
                SessionLine { protocol: "IMAP", clear: 44, starttls: 120, implicit_tls: 2_801, unknown: 0 },
                SessionLine { protocol: "SMTP", clear: 9, starttls: 510, implicit_tls: 77, unknown: 4 },
            ],
            logins: vec![("accepted", 1_040), ("rejected", 12), ("refused-by-policy", 0), ("unknown", 3)],
            findings: vec![
                finding(3, "starttls-not-offered", "STARTTLS not offered", "198.51.100.25:110", &[], 1_012),
                finding(
                    4,
                    password.0,
                    password.1,
                    "198.51.100.25:110",
                    &["alice", "bob", "carol", "dave", "erin"],
                    1_000,
                ),
                finding(4, password.0, password.1, "[2001:db8::25]:143", &["frank"], 1),
                finding(4, accepts.0, accepts.1, "198.51.100.25:110", &["alice", "bob"], 1_000),
                finding(1, "coverage-gap", "The capture does not hold all of the mail traffic", "", &[], 12),
            ],
            accepted: 0,
            problems: vec!["day2.pcap ends inside a packet: the rest of the file was not read".to_owned()],
            status: Some((1, "3 findings at or above medium".to_owned())),
        }
    }

    #[test]
    fn the_page_reads_from_the_verdict_down() {
        let page = sample().render(false);
        let verdict = "1,055 logins crossed the wire in clear, 1,040 of them accepted.\n\
                       2 mail services have findings: 3 high, 1 medium, 1 info.\n";
        assert!(page.starts_with(verdict), "{page}");
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} in\n{page}"));
        let order = [
            "\n  high",
            "[cleartext-password]",
            "[server-accepts",
            "\n  medium",
            "\n  info",
            "Mail sessions",
            "Logins",
            "Capture",
            "Problems",
            "Exit status 1",
        ];
        assert!(order.map(at).is_sorted(), "{page}");
        at("alice, bob, carol and 2 more");
        at("once");
    }

    #[test]
    fn columns_stand_under_each_other() {
        let page = sample().render(false);
        let ends: BTreeSet<usize> =
            page.lines().filter(|line| line.ends_with(" times") || line.ends_with(" once")).map(str::len).collect();
        assert_eq!(ends.len(), 1, "{page}");
    }

    #[test]
    fn a_run_without_mail_or_findings_says_so() {
        let page = Summary::default().render(false);
        assert!(page.starts_with("No mail session was seen, so nothing was judged.\n"));
        assert!(!page.contains("Exit status"));
        let sessions = vec![SessionLine { protocol: "IMAP", implicit_tls: 1, ..SessionLine::default() }];
        let quiet = Summary { sessions, packets: 40, octets: 9_000, seconds: 0.2, ..Summary::default() };
        assert!(quiet.render(false).starts_with("Nothing was found in 1 mail session.\n"));
        let lossy = Summary { dropped: 1, ..quiet };
        assert!(lossy.render(false).contains("more may have passed unseen"));
    }

    #[test]
    fn one_login_is_told_as_one() {
        let page = |outcome| Summary { logins: vec![(outcome, 1)], ..Summary::default() }.render(false);
        assert!(page("accepted").starts_with("1 login crossed the wire in clear, and was accepted.\n"));
        assert!(page("rejected").starts_with("1 login crossed the wire in clear, and was not seen to be accepted.\n"));
    }

    #[test]
    fn long_lists_are_cut() {
        let mut summary = sample();
        let more = (0..30).map(|at| finding(2, "x", "X", &format!("192.0.2.{at}:25"), &[], 1));
        summary.findings.extend(more);
        let page = summary.render(false);
        assert!(page.contains("  and 24 more; see the records\n"), "{page}");
        assert!(page.contains("[coverage-gap]"), "one fault of many servers hides no other:\n{page}");
        const NAMES: [&str; 16] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"];
        summary.findings.extend(NAMES.map(|name| finding(2, name, "Y", "192.0.2.1:25", &[], 1)));
        let page = summary.render(false);
        assert!(page.contains(" lesser findings; see the records\n"), "{page}");
        assert!(!page.contains("[coverage-gap]"), "the least severe go first:\n{page}");
    }

    #[test]
    fn a_finding_about_the_capture_hides_no_missing_mail() {
        let findings = vec![finding(1, "coverage-gap", "Something is missing", "", &[], 2)];
        let problems = (0..25).map(|at| format!("{at}.pcap cannot be read")).collect();
        let page = Summary { findings, problems, ..Summary::default() }.render(false);
        assert!(
            page.starts_with(
                "There are findings about the capture: 1 info.\nNo mail session was seen, so nothing was judged.\n"
            ),
            "{page}"
        );
        assert!(page.contains("  - 19.pcap cannot be read\n  and 5 more\n"), "{page}");
    }

    #[test]
    fn hostile_and_huge_values_stay_within_the_page() {
        let name = "\u{1b}[31m".repeat(80);
        let worst = FindingLine {
            severity: 5,
            id: "cleartext-password",
            title: "Password sent in clear",
            is_service: true,
            server: "[2001:db8:1111:2222:3333:4444:5555:6666]:65535".to_owned(),
            clients: u64::MAX,
            users: vec![name.clone(), name.clone(), "\u{fc}\n".to_owned(), name.clone()],
            more_users: u64::MAX / 2,
            count: u64::MAX,
        };
        let mut summary = sample();
        summary.findings.push(worst);
        summary.skipped = vec![("malformed", u64::MAX / 8); 7];
        summary.problems.push(name.repeat(4));
        summary.status = Some((3, name));
        let page = summary.render(false);
        assert!(page.bytes().all(|octet| matches!(octet, b' '..=b'~' | b'\n')), "{page}");
        assert!(page.lines().all(|line| line.len() <= COLUMNS && line.trim_end() == line), "{page}");
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let page = sample().render(true);
        let mut plain = page.clone();
        for code in ["\x1b[1m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[0m"] {
            plain = plain.replace(code, "");
        }
        assert_ne!(page, plain);
        assert_eq!(plain, sample().render(false));
    }
}
