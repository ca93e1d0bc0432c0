//! What people see who watch on a terminal: a few lines that are drawn again each second below all others. It decides
//! nothing and counts nothing; whether there is a terminal is the caller's to know.

use super::words::{clock, counted, grouped};
use super::{SessionLine, one_line};
use crate::finding::{Collected, severity_name};
use std::net::SocketAddr;
use std::time::Duration;

/// Findings that are shown.
pub const LATEST: usize = 6;

/// How things stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// What is listened on.
    pub interfaces: String,
    /// Since the start.
    pub elapsed: Duration,
    /// Packets so far.
    pub packets: u64,
    /// Packets in the last second.
    pub rate: u64,
    /// Packets that were lost on the way here.
    pub dropped: u64,
    /// Octets of mail connections that were not captured.
    pub missing: u64,
    /// Sessions that are over, by protocol.
    pub sessions: Vec<SessionLine>,
    /// Logins in clear by outcome.
    pub logins: Vec<(&'static str, u64)>,
    /// See [`finding`], the latest last.
    pub latest: Vec<String>,
    /// What is wrong with the sensor itself.
    pub trouble: Option<String>,
}

/// A finding in one line.
#[must_use]
pub fn finding(collected: &Collected) -> String {
    let finding = &collected.finding;
    let time = crate::output::time_text(collected.last.time);
    let server = finding.flow.map(|flow| SocketAddr::new(flow.server.ip(), flow.server.port).to_string());
    let user = finding.user.as_ref().map(|user| one_line(user.as_str())).unwrap_or_default();
    let (severity, name) = (severity_name(finding.severity), finding.id.name());
    let line = format!("{}  {severity:<8}  {name}  {}  {user}", &time[11..19], server.unwrap_or_default());
    line.trim_end().to_owned()
}

impl Glance {
    /// Lines of printable ASCII, none longer than `columns`.
    #[must_use]
    pub fn lines(&self, columns: usize) -> Vec<String> {
        let mut lines = vec![self.head(columns)];
        let dropped =
            if self.dropped > 0 { format!("{} DROPPED", grouped(self.dropped)) } else { "none dropped".to_owned() };
        let missing = match self.missing {
            0 => String::new(),
            octets => format!(", {} of mail missing", counted(octets, "octet")),
        };
        let packets = counted(self.packets, "packet");
        lines.push(format!("{packets}, {} a second, {dropped}{missing}", grouped(self.rate)));
        lines.push(self.sessions());
        let total: u64 = self.logins.iter().map(|(_, count)| count).sum();
        let outcomes = self.logins.iter().filter(|(_, count)| *count > 0);
        let outcomes: Vec<String> = outcomes.map(|(name, count)| format!("{} {name}", grouped(*count))).collect();
        let colon = if outcomes.is_empty() { "" } else { ": " };
        lines.push(format!("{} in clear{colon}{}", counted(total, "login"), outcomes.join(", ")));
        match self.latest.is_empty() {
            true => lines.push("no findings yet".to_owned()),
            false => lines.extend(self.latest.iter().rev().take(LATEST).map(|line| format!("  {line}"))),
        }
        lines.extend(self.trouble.as_ref().map(|trouble| format!("TROUBLE: {}", one_line(trouble))));
        lines.iter().map(|line| cut(line, columns)).collect()
    }

    fn head(&self, columns: usize) -> String {
        let text = format!("-- {} since {} ", one_line(&self.interfaces), clock(self.elapsed.as_secs()));
        format!("{text:-<columns$}")
    }

    /// All protocols together, and which began in clear and stayed so.
    fn sessions(&self) -> String {
        let sum = |of: fn(&SessionLine) -> u64| self.sessions.iter().map(of).sum::<u64>();
        let clear = sum(|line| line.clear);
        let tls = sum(|line| line.starttls) + sum(|line| line.implicit_tls);
        let unknown = sum(|line| line.unknown);
        let total = clear + tls + unknown;
        if total == 0 {
            return "no mail session is over yet".to_owned();
        }
        let of_clear = self.sessions.iter().filter(|line| line.clear > 0);
        let of_clear: Vec<String> = of_clear.map(|line| format!("{} {}", grouped(line.clear), line.protocol)).collect();
        let which = if clear > 0 { format!(" ({})", of_clear.join(", ")) } else { String::new() };
        let unknown = if unknown > 0 { format!(", {} not known", grouped(unknown)) } else { String::new() };
        format!(
            "{}: {} in clear{which}, {} under TLS{unknown}",
            counted(total, "mail session"),
            grouped(clear),
            grouped(tls)
        )
    }
}

fn cut(line: &str, columns: usize) -> String {
    line.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).take(columns).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance() -> Glance {
        Glance {
            interfaces: "eth1".to_owned(),
            elapsed: Duration::from_secs(65),
            packets: 1_234_567,
            rate: 890,
            sessions: vec![
                SessionLine { protocol: "POP3", clear: 3, starttls: 1, implicit_tls: 0, unknown: 1 },
                SessionLine { protocol: "IMAP", clear: 0, starttls: 2, implicit_tls: 4, unknown: 0 },
            ],
            logins: vec![("accepted", 2), ("rejected", 0), ("unknown", 1)],
            latest: (1..=7).map(|number| format!("finding {number}")).collect(),
            ..Glance::default()
        }
    }

    #[test]
    fn it_says_what_matters() {
        let lines = glance().lines(79);
        let text = lines.join("\n");
        assert!(text.starts_with("-- eth1 since 1:05 ------"), "{text}");
        for line in [
            "1,234,567 packets, 890 a second, none dropped",
            "11 mail sessions: 3 in clear (3 POP3), 7 under TLS, 1 not known",
            "3 logins in clear: 2 accepted, 1 unknown",
            "  finding 7",
            "  finding 2",
        ] {
            assert!(lines.iter().any(|shown| shown == line), "{line}: {text}");
        }
        assert!(!text.contains("finding 1"), "the latest alone");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_or_has_control_characters() {
        let mut glance = glance();
        glance.latest.push(format!("\u{1b}[2J\u{202e}{}", "x".repeat(500)));
        glance.trouble = Some("a\nb".repeat(100));
        glance.interfaces = "e".repeat(200);
        for columns in [0, 1, 20, 79, 200] {
            for line in glance.lines(columns) {
                assert!(line.len() <= columns && line.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{line:?}");
            }
        }
    }

    #[test]
    fn before_anything_was_seen_it_says_so() {
        let lines = Glance::default().lines(79);
        assert_eq!(
            lines[1..],
            [
                "0 packets, 0 a second, none dropped",
                "no mail session is over yet",
                "0 logins in clear",
                "no findings yet"
            ]
        );
    }
}
