//! The list of findings on the summary: most severe first, equal ones under one title.

use super::page::{COLUMNS, Page};
use super::summary::FindingLine;
use super::words::{counted, fitted, grouped};
use crate::finding::severity_name;
use std::cmp::Reverse;
use std::fmt::Write as _;

/// Findings told by their servers.
const KINDS: usize = 16;
/// Servers of a finding told one by one; a fault that all of them share must not hide the others.
const SERVERS: usize = 6;
/// Users of a finding told by name.
pub const NAMED_USERS: usize = 3;
/// Characters of a user's name.
const USER_CHARS: usize = 24;
/// Characters of a server: an IPv6 address with its port.
const SERVER_CHARS: usize = 47;
/// Where titles stand, right of `critical`.
const INDENT: usize = 12;

/// Writes the findings, the most severe and frequent where there are too many.
pub(super) fn list(findings: &[FindingLine], page: &mut Page) {
    if findings.is_empty() {
        return;
    }
    let mut sorted: Vec<&FindingLine> = findings.iter().collect();
    sorted.sort_by_key(|line| (Reverse(line.severity), line.id, Reverse(line.count)));
    let is_same = |a: &&FindingLine, b: &&FindingLine| (a.severity, a.id) == (b.severity, b.id);
    let mut kinds: Vec<&[&FindingLine]> = sorted.chunk_by(is_same).collect();
    let lesser = kinds.split_off(kinds.len().min(KINDS));
    let shown: Vec<&FindingLine> = kinds.iter().flat_map(|kind| kind.iter().take(SERVERS)).copied().collect();
    let widths = Widths::of(&shown);
    page.heading("Findings");
    let mut severity = None;
    for kind in kinds {
        title(kind[0], severity != Some(kind[0].severity), page);
        severity = Some(kind[0].severity);
        kind.iter().take(SERVERS).for_each(|line| page.line(&widths.row(line)));
        if kind.len() > SERVERS {
            let more = grouped((kind.len() - SERVERS) as u64);
            page.line(&format!("{:INDENT$}  and {more} more; see the records", ""));
        }
    }
    if !lesser.is_empty() {
        let more = counted(lesser.len() as u64, "lesser finding");
        page.line(&format!("{:INDENT$}and {more}; see the records", ""));
    }
    page.text.push('\n');
    page.line("  How to mend one: barewire explain NAME, the name in brackets.");
}

/// The line above the findings of one name, with the severity in the margin where it changes.
fn title(line: &FindingLine, is_new_severity: bool, page: &mut Page) {
    let margin = INDENT - 2;
    let severity = if is_new_severity { severity_name(line.severity) } else { "" };
    let colour = match line.severity {
        4.. => "1;31",
        3 => "1;33",
        _ => "1",
    };
    let severity = page.painted(&format!("{severity:<margin$}"), colour);
    let title = fitted(&format!("{} [{}]", line.title, line.id), COLUMNS - INDENT);
    let _ = writeln!(page.text, "  {severity}{title}");
}

/// Widths of the columns that findings stand in.
struct Widths {
    server: usize,
    users: usize,
    clients: usize,
    count: usize,
}

impl Widths {
    /// Users get what the others leave, and no more than they need.
    fn of(lines: &[&FindingLine]) -> Self {
        let widest =
            |text: &dyn Fn(&FindingLine) -> String| lines.iter().map(|line| text(line).len()).max().unwrap_or(0);
        let (server, clients, count) = (widest(&server), widest(&clients), widest(&times));
        let left = COLUMNS.saturating_sub(INDENT + 2 + server + clients + count + 3 * 3);
        Self { server, users: widest(&|line| people(line, left)), clients, count }
    }

    fn row(&self, line: &FindingLine) -> String {
        let users = people(line, self.users);
        let mut row = format!("{:INDENT$}  {:<2$}", "", server(line), self.server);
        if self.users > 0 {
            let _ = write!(row, "   {users:<0$}", self.users);
        }
        let _ = write!(row, "   {:>2$}   {:>3$}", clients(line), times(line), self.clients, self.count);
        row
    }
}

fn server(line: &FindingLine) -> String {
    let server = if line.server.is_empty() { "the capture" } else { &line.server };
    fitted(server, SERVER_CHARS)
}

fn clients(line: &FindingLine) -> String {
    match line.clients {
        0 => String::new(),
        // As wide as the plural: the nouns stand under each other.
        1 => "1 client ".to_owned(),
        many => counted(many, "client"),
    }
}

fn times(line: &FindingLine) -> String {
    if line.count == 1 { "once".to_owned() } else { counted(line.count, "time") }
}

/// As many names as there is room for, three at most, and how many more there are.
fn people(line: &FindingLine, width: usize) -> String {
    let list = |shown: usize| {
        let names: Vec<String> = line.users.iter().take(shown).map(|user| fitted(user, USER_CHARS)).collect();
        let more = (line.users.len() - names.len()) as u64 + line.more_users;
        let rest = if more > 0 { format!(" and {} more", grouped(more)) } else { String::new() };
        names.join(", ") + &rest
    };
    let fits = (1..=NAMED_USERS).rev().map(list).find(|text| text.len() <= width);
    fits.unwrap_or_else(|| fitted(&list(1), width))
}
