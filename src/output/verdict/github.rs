//! Workflow commands of GitHub Actions, and the page of a job. A line that begins with `::` is a command to whoever runs the
//! job, so nothing from the wire may begin one or end the one it stands in; `##[` is one of an older kind, see [`Told`].

use super::{Told, Verdict};
use crate::finding::{SEVERITIES, severity_name};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// GitHub shows so many of each level and step, and drops the others without a word.
const SHOWN: usize = 10;
/// Rows of the page, which may have 1 MiB.
const ROWS: usize = 200;

const LEVELS: [&str; 3] = ["error", "warning", "notice"];

/// By [`LEVELS`]: what fails the run, what is medium, the rest.
fn level(told: &Told, verdict: &Verdict) -> usize {
    match told.severity {
        severity if verdict.about.fail_on.is_some_and(|bound| severity >= bound) => 0,
        4.. if verdict.about.fail_on.is_none() => 0,
        3.. => 1,
        _ => 2,
    }
}

pub(super) fn write(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    for gap in verdict.gaps().iter().take(SHOWN) {
        writeln!(out, "::error title=barewire%3A analysis incomplete::{}", data(gap))?;
    }
    let mut all: [Vec<(u8, String)>; LEVELS.len()] = Default::default();
    let (mut accepted, mut total) = (0, verdict.more_findings);
    for told in verdict.findings() {
        if told.accepted().is_some() {
            accepted += 1;
            continue;
        }
        total += 1;
        let level = level(&told, verdict);
        let gravest = &mut all[level];
        // The gravest first, of equal ones the first.
        let place = gravest.partition_point(|(severity, _)| *severity >= told.severity);
        if place < SHOWN {
            gravest.insert(place, (told.severity, command(LEVELS[level], &told)));
            gravest.truncate(SHOWN);
        }
    }
    let shown: Vec<&String> = all.iter().flatten().map(|(_, command)| command).collect();
    for command in &shown {
        writeln!(out, "{command}")?;
    }
    let left = total - shown.len() as u64;
    let more = if left > 0 { format!(", {left} of them not shown as annotations") } else { String::new() };
    let accepted = if accepted > 0 { format!("; {accepted} accepted") } else { String::new() };
    writeln!(out, "barewire: {total} findings{more}{accepted}")
}

fn command(level: &str, told: &Told) -> String {
    let title = property(&format!("{} ({})", told.rule.name(), severity_name(told.severity)));
    let file = told.capture().map(|name| format!("file={},", property(name))).unwrap_or_default();
    format!("::{level} {file}title={title}::{}", data(&annotation(told)))
}

fn annotation(told: &Told) -> String {
    let packet = told.written.number("/barewire/packet").unwrap_or_default();
    format!("{}\nPacket {packet}. {}", told.message(), told.rule.entry().remediation)
}

/// What follows the second `::` of a command.
fn data(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '%' => escaped.push_str("%25"),
            '\r' => escaped.push_str("%0D"),
            '\n' => escaped.push_str("%0A"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

pub(super) fn write_summary(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    let mut counts = [0_u64; SEVERITIES.len()];
    // Most findings that fail have many clients: a row for each finding and server.
    let mut rows: BTreeMap<(std::cmp::Reverse<u8>, &str, String), (u64, String)> = BTreeMap::new();
    let mut accepted = 0_u64;
    for told in verdict.findings() {
        if told.accepted().is_some() {
            accepted += 1;
            continue;
        }
        counts[usize::from(told.severity) - 1] += 1;
        let place = [told.text("/network/protocol"), &told.written.server()].join(" ");
        let key = (std::cmp::Reverse(told.severity), told.rule.name(), place);
        let row = rows.entry(key).or_insert_with(|| (0, told.message().to_owned()));
        row.0 += 1;
    }
    let verdict_word = match verdict.status.0 {
        0 => "passed",
        1 => "failed",
        _ => "is incomplete",
    };
    writeln!(out, "## Mail credentials on the wire: the check {verdict_word}\n")?;
    for gap in verdict.gaps() {
        writeln!(out, "- {}", markdown(&gap))?;
    }
    let by_severity: Vec<String> = (0..SEVERITIES.len())
        .rev()
        .filter(|at| counts[*at] > 0)
        .map(|at| format!("{} {}", counts[at], SEVERITIES[at]))
        .collect();
    let found = if by_severity.is_empty() { "Nothing was found.".to_owned() } else { by_severity.join(", ") + "." };
    let accepted = if accepted > 0 { format!(" {accepted} more are accepted.") } else { String::new() };
    let services =
        format!(" {}{} mail services were seen.", verdict.servers.len(), if verdict.more_servers { "+" } else { "" });
    writeln!(out, "{found}{accepted}{services}\n")?;
    if !rows.is_empty() {
        writeln!(out, "| severity | finding | server | how many | the first |\n| --- | --- | --- | ---: | --- |")?;
    }
    for ((severity, rule, place), (count, first)) in rows.iter().take(ROWS) {
        let severity = severity_name(severity.0);
        writeln!(out, "| {severity} | {rule} | {} | {count} | {} |", markdown(place), markdown(first))?;
    }
    if rows.len() > ROWS {
        writeln!(out, "\n{} more rows are left out.", rows.len() - ROWS)?;
    }
    writeln!(out, "\n`barewire explain NAME` says what a finding means and how to mend it.")
}

/// Text that is no Markdown and no HTML, in a cell of a table.
fn markdown(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '\r' | '\n' => plain.push(' '),
            // A name such as @team or #12 would call somebody or lead somewhere.
            '@' => plain.push_str("&#64;"),
            '#' => plain.push_str("&#35;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '!' | '|' | '~' => plain.extend(['\\', c]),
            c => plain.push(c),
        }
    }
    // Whatever looks like an address would be made a link.
    plain.replace("://", ":&#47;/").replace("www.", "www&#46;")
}
