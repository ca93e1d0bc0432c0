//! The few numbers to know.

use super::super::model::{IMPLICIT, Model, STARTTLS};
use super::super::worklist::Worklist;
use super::fill;
use crate::finding::SEVERITIES;
use crate::ops::{counted, grouped};
use crate::page::document::{Block, Cell, Chapter, Figure, Table, Tone, name, number, text};
use crate::page::words::percent;
use std::cmp::Reverse;

pub(super) fn chapter(model: &Model, list: &Worklist<'_>) -> Chapter {
    let mut blocks = vec![Block::Figures(figures(model, list))];
    if model.records[0] > 0 {
        blocks.push(severities(model));
        blocks.push(kinds(model));
    }
    if model.outcomes.total() > 0 {
        blocks.push(outcomes(model));
    }
    Chapter { id: "numbers", title: "Headline numbers", blocks }
}

fn figure(value: String, label: &str, note: String, tone: Tone) -> Figure {
    Figure { value, label: label.to_owned(), note, tone }
}

/// Nothing is good news only where it would have been told.
fn tone(is_good: bool, is_told: bool) -> Tone {
    match (is_good, is_told) {
        (true, true) => Tone::Good,
        (true, false) => Tone::Plain,
        (false, _) => Tone::Bad,
    }
}

fn figures(model: &Model, list: &Worklist<'_>) -> Vec<Figure> {
    let disclosed = model.disclosures();
    // Without findings and logins there may have been none, or nobody asked for them.
    let is_told = model.records[0] + model.records[1] > 0;
    let accounts = model.accounts.len() as u64;
    let accepted = model.accounts.iter().filter(|(_, account)| account.is_accepted).count() as u64;
    let least = |count: u64, others: u64| if others > 0 { format!("≥ {}", grouped(count)) } else { grouped(count) };
    let to_change = list.servers.iter().filter(|task| !task.remedies.is_empty()).count() as u64;
    let sessions = model.sessions();
    let all: u64 = sessions.iter().sum();
    let protected = sessions[STARTTLS] + sessions[IMPLICIT];
    let mut figures = vec![
        figure(
            grouped(disclosed),
            "credentials sent in clear",
            "logins that gave a secret away".to_owned(),
            tone(disclosed == 0, is_told),
        ),
        figure(
            least(accounts, model.accounts.others()),
            "accounts exposed",
            format!("the server took the secret of {}", grouped(accepted)),
            tone(accounts == 0, is_told),
        ),
        figure(
            least(to_change, model.services.others()),
            "servers to change",
            format!("{} with findings, {} without", grouped(list.servers.len() as u64), grouped(list.clean)),
            tone(to_change == 0, is_told),
        ),
        figure(
            least(list.clients.len() as u64, model.clients.others()),
            "client addresses to move",
            "seen in clear".to_owned(),
            tone(list.clients.is_empty(), is_told),
        ),
    ];
    figures.push(if all > 0 {
        let note = format!("{} of {}", grouped(protected), counted(all, "session"));
        figure(percent(protected, all), "sessions under TLS", note, tone(protected == all, true))
    } else {
        Figure {
            value: "–".to_owned(),
            label: "sessions under TLS".to_owned(),
            note: "no sessions are in the input".to_owned(),
            tone: Tone::Plain,
        }
    });
    figures
}

fn severities(model: &Model) -> Block {
    let rows = (1..=SEVERITIES.len())
        .rev()
        .map(|severity| vec![Cell::Severity(severity as u8), Cell::Number(model.severities[severity])]);
    let note = match model.accepted {
        0 => String::new(),
        1 => "1 of them stands in the baseline; it is to be changed all the same.".to_owned(),
        some => format!("{} of them stand in the baseline; they are to be changed all the same.", grouped(some)),
    };
    Block::Table(Table {
        caption: "Distinct findings by severity".to_owned(),
        columns: vec![name("Severity"), number("Findings")],
        rows: rows.collect(),
        note,
    })
}

fn kinds(model: &Model) -> Block {
    let mut kinds: Vec<_> = model.kinds.iter().map(|(_, kind)| kind).collect();
    kinds.sort_by_key(|kind| (Reverse(kind.severity), Reverse(kind.count), kind.name.clone()));
    let rows = kinds.iter().map(|kind| {
        vec![
            Cell::Text(kind.title.clone()),
            Cell::Code(kind.name.clone()),
            Cell::Severity(kind.severity),
            Cell::Number(kind.distinct),
            Cell::Number(kind.count),
        ]
    });
    let table = Table {
        caption: "Findings by kind".to_owned(),
        columns: vec![name("Finding"), text("Name"), text("Gravest"), number("Distinct"), number("Times")],
        rows: Vec::new(),
        note: "barewire explain NAME says what one means, what it needs as proof and how to mend it.".to_owned(),
    };
    fill(table, rows, "kinds", model.kinds.others())
}

fn outcomes(model: &Model) -> Block {
    let rows = model.outcomes.sorted().into_iter().map(|(word, count)| {
        vec![Cell::Text(word.to_owned()), Cell::Number(count), Cell::Share(count, model.outcomes.total())]
    });
    Block::Table(Table {
        caption: "Logins in clear, by what the server made of them".to_owned(),
        columns: vec![name("Outcome"), number("Logins"), number("Share")],
        rows: rows.collect(),
        note: "Also a login that was refused has given its secret away.".to_owned(),
    })
}
