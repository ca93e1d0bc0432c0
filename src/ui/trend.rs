//! Is it getting better? What came when, and how the two halves of the time compare.

use super::board::EventRow;
use super::query::{Dimension, Filter, Query};
use super::view::{Look, figure, table};
use crate::mail::PROTOCOLS;
use crate::ops::{counted, grouped};
use crate::output::Protection;
use crate::page::document::{Bars, Block, Cell, Figure, PROTECTED, Tone, name, number, text};
use crate::page::html::block;
use crate::page::words::{STEPS, length, percent, step, time};
use maud::{Markup, html};

/// Bars that can be told from each other.
const BARS: u64 = 48;
const SECOND: u64 = 1_000_000_000;
const WEEK: u64 = 7 * 86_400 * SECOND;
/// Halves of less are no earlier and later.
const SHORTEST: u64 = 3600 * SECOND;

/// What a bar of findings is made of.
const SEVERITIES: [(&str, &str); 3] =
    [("high and critical", "bad"), ("medium", "warning"), ("low and informational", "unknown")];
/// What a bar of logins is made of.
const OUTCOMES: [(&str, &str); 3] = [("accepted", "bad"), ("not accepted", "unknown"), ("not known", "warning")];

pub(super) fn trend(look: &Look<'_>) -> Markup {
    let findings = chart(
        "Findings by when they were first seen",
        &SEVERITIES,
        look.rows.iter().map(|row| {
            (
                row.first,
                match row.severity {
                    4.. => 0,
                    3 => 1,
                    _ => 2,
                },
            )
        }),
        "findings",
    );
    let logins = chart(
        "Logins in clear by what became of them",
        &OUTCOMES,
        look.board.logins(look.filter).map(|row| (row.about.time, outcome(look, row))),
        "logins",
    );
    let sessions = chart(
        "Sessions by how they were protected",
        &PROTECTED,
        look.board.sessions(look.filter).map(|row| (row.about.time, usize::from(row.protection))),
        "sessions",
    );
    html! {
        (block(&Block::Figures(vec![weeks(look)]), "weeks"))
        (progress(look))
        @if look.query.passes_over_sessions() { p.note { "Sessions are those of all accounts, mechanisms and findings." } }
        div.charts {
            @for (one, title) in [(&findings, "findings"), (&logins, "logins"), (&sessions, "sessions")] {
                div {
                    @match one {
                        Some(chart) => (chart),
                        None => p.note { "No course of " (title) " to draw: there are none, or all are of one moment." },
                    }
                }
            }
        }
    }
}

fn outcome(look: &Look<'_>, row: &EventRow) -> usize {
    match row.about.outcome.map(|outcome| look.board.words.text(outcome)) {
        Some("accepted") => 0,
        Some("rejected" | "rejected-after-auth" | "refused-by-policy" | "cancelled") => 1,
        _ => 2,
    }
}

/// What was first seen within the last seven days, and within the seven before, whichever span is shown.
fn weeks(look: &Look<'_>) -> Figure {
    let newest = look.filter.newest;
    let query = Query { span: None, ..look.query.clone() };
    let filter = Filter::new(&query, &look.board.words, newest);
    let mut weeks = [0_u64; 2];
    for row in look.board.findings(&filter) {
        // Clocks may be ahead of the one that is counted from; such a finding is of no week.
        let age = newest.checked_sub(row.first).map(|age| age / WEEK);
        if let Some(count) = age.and_then(|week| weeks.get_mut(week as usize)) {
            *count += 1;
        }
    }
    let [this, last] = weeks;
    let tone = match this {
        0 if look.is_told() => Tone::Good,
        0 => Tone::Plain,
        _ if this < last => Tone::Warning,
        _ => Tone::Bad,
    };
    let before = counted(last, "finding");
    let before = match look.board.oldest() {
        Some(oldest) if oldest <= newest.saturating_sub(2 * WEEK) => format!("{before} in the seven days before"),
        Some(oldest) if oldest <= newest.saturating_sub(WEEK) => {
            format!("{before} in the seven days before, of which only a part is at hand")
        }
        _ => "nothing is at hand of the seven days before".to_owned(),
    };
    figure(grouped(this), "new within seven days", before, tone)
}

/// The share of sessions without TLS by protocol, in the earlier and the later half of the time that there is.
fn progress(look: &Look<'_>) -> Markup {
    // By their times.
    let mut times = look.board.sessions(look.filter).map(|row| row.about.time);
    let Some(first) = times.next() else {
        return html! { p.note { "Sessions are not at hand, so the share without TLS cannot be told." } };
    };
    let last = times.next_back().unwrap_or(first);
    let middle = first + (last - first) / 2;
    let mut counts = [[[0_u64; 2]; 2]; PROTOCOLS.len()];
    for row in look.board.sessions(look.filter) {
        let Some(protocol) = row.about.protocol else { continue };
        let protection = usize::from(row.protection);
        if protection == Protection::Unknown as usize {
            continue;
        }
        let [clear, all] = &mut counts[protocol as usize][usize::from(row.about.time > middle)];
        *clear += u64::from(protection == Protection::Clear as usize);
        *all += 1;
    }
    let rows = PROTOCOLS.iter().zip(&counts).filter(|(_, halves)| halves.iter().any(|[_, all]| *all > 0));
    let rows = rows.map(|(info, [before, after])| {
        let link = look.query.with(Dimension::Protocol, info.name).link();
        let (tone, word) = change(*before, *after, last - first);
        vec![
            Cell::Link(info.title.to_owned(), link),
            Cell::Number(before[1] + after[1]),
            Cell::Number(before[0] + after[0]),
            Cell::Share(before[0], before[1]),
            Cell::Share(after[0], after[1]),
            Cell::State(tone, word),
        ]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    if rows.is_empty() {
        return html! { p.note { "Of no session is it known how it was protected." } };
    }
    let columns = vec![
        name("Protocol"),
        number("Sessions"),
        number("In clear"),
        number("Without TLS, earlier half"),
        number("Later half"),
        text("Change"),
    ];
    let note = format!("The halves are of the time from {} to {}.", time(first), time(last));
    block(&table("Share of sessions without TLS", columns, rows, note), "progress")
}

/// Of shares in clear over so many nanoseconds, in words.
fn change(before: [u64; 2], after: [u64; 2], span: u64) -> (Tone, String) {
    if before[1] == 0 || after[1] == 0 {
        return (Tone::Plain, "nothing to compare".to_owned());
    }
    if span < SHORTEST {
        return (Tone::Plain, "too short a time".to_owned());
    }
    // Shares compared without fractions.
    let [then, now] = [u128::from(before[0]) * u128::from(after[1]), u128::from(after[0]) * u128::from(before[1])];
    match now.cmp(&then) {
        std::cmp::Ordering::Less => (Tone::Good, "better".to_owned()),
        std::cmp::Ordering::Greater => (Tone::Bad, "worse".to_owned()),
        std::cmp::Ordering::Equal => (Tone::Plain, "the same".to_owned()),
    }
}

/// A drawing of what came when, and its numbers; `None` where all came within a second.
fn chart(
    title: &str,
    parts: &[(&'static str, &'static str)],
    events: impl Iterator<Item = (u64, usize)>,
    id: &str,
) -> Option<Markup> {
    let events: Vec<(u64, usize)> = events.map(|(time, part)| (time / 1_000_000_000, part)).collect();
    let first = events.iter().map(|(time, _)| *time).min()?;
    let last = events.iter().map(|(time, _)| *time).max().filter(|last| *last > first)?;
    let seconds = STEPS.into_iter().find(|step| last / step - first / step < BARS).unwrap_or(STEPS[STEPS.len() - 1]);
    let (from, to) = (first / seconds, last / seconds);
    let mut counts = vec![vec![0_u64; parts.len()]; (to - from + 1) as usize];
    for (time, part) in &events {
        if let Some(count) = counts[(time / seconds - from) as usize].get_mut(*part) {
            *count += 1;
        }
    }
    let label = |at: usize| step((from + at as u64) * seconds, seconds);
    let bars = Bars {
        is_time: true,
        title: title.to_owned(),
        description: format!("Each bar is {}.", length(seconds)),
        parts: parts.to_vec(),
        bars: counts.iter().enumerate().map(|(at, counts)| (label(at), counts.clone())).collect(),
    };
    let columns = std::iter::once(name("From")).chain(parts.iter().map(|(part, _)| number(part))).collect();
    let rows = counts.iter().enumerate().map(|(at, counts)| {
        std::iter::once(Cell::Time(label(at))).chain(counts.iter().map(|count| Cell::Number(*count))).collect()
    });
    let numbers =
        table(&format!("{title}, in steps of {} (UTC)", length(seconds)), columns, rows.collect(), String::new());
    let total: u64 = counts.iter().map(|counts| counts[0]).sum();
    Some(html! {
        (block(&Block::Bars(bars), &format!("{id}-bars")))
        details id={ (id) "-numbers" } {
            summary { "The numbers: " (grouped(total)) " of " (grouped(events.len() as u64)) " " (parts[0].0) " (" (percent(total, events.len() as u64)) ")" }
            (block(&numbers, &format!("{id}-table")))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_compared_and_not_numbers() {
        let words = [([1, 2], [5, 20]), ([0, 1], [1, 1000]), ([1, 2], [50, 100]), ([0, 0], [1, 1])]
            .map(|(before, after)| change(before, after, SHORTEST).1);
        assert_eq!(words, ["better", "worse", "the same", "nothing to compare"]);
        assert_eq!(change([1, 2], [2, 2], SHORTEST - 1).1, "too short a time", "nobody gets better within seconds");
    }

    #[test]
    fn every_event_is_in_a_bar_whatever_the_span() {
        for span in [1, 47, 48, 3600, 86_400 * 365, u64::MAX / 1_000_000_000 - 1] {
            let events = (0..=100).map(|at| ((span as u128 * 1_000_000_000 * at / 100) as u64, 0));
            let page = chart("X", &[("all", "bad")], events, "x").expect("a chart").into_string();
            assert!(page.contains("The numbers: 101 of 101 all (100 %)"), "{span}");
            assert!(page.matches("<rect").count() as u64 <= BARS, "{span}");
        }
        assert!(chart("X", &[("all", "bad")], [(1, 0), (2, 0)].into_iter(), "x").is_none());
    }
}
