//! What the records cover, and what nobody can know from them.

use super::super::model::Model;
use super::super::read::Given;
use super::super::words::reason;
use super::{fill, fill_to};
use crate::ops::{counted, grouped};
use crate::page::document::{Block, Cell, Chapter, Table, Tone, name, number, text};
use crate::page::words::{moment, percent};

/// What cannot be told without a kind of records, in the order that the model counts them.
const WITHOUT: [&str; 3] = [
    "No findings are in the input: there were none, or the sensor was not asked for them. If not, what servers and clients \
     did wrong beyond logins in clear, and gaps of the capture, cannot be told.",
    "No logins are in the input: there were none, or the sensor was not asked for them. If not, how single attempts ended \
     cannot be told, and how often a secret crossed the wire is taken from the counts of findings.",
    "No sessions are in the input: the share of protected sessions, the course of STARTTLS, versions of TLS, certificates \
     that are in order and servers without a finding cannot be told.",
];

/// Rows that do not push the rest of the page out of sight.
const FEW: usize = 15;

pub(super) fn chapter(given: &Given, model: &Model) -> Chapter {
    let mut blocks = Vec::new();
    verdict(model, &mut blocks);
    let missing = WITHOUT.iter().zip(model.records).filter(|(_, count)| *count == 0).map(|(what, _)| *what);
    blocks.extend(missing.map(|what| Block::Notice(Tone::Warning, what.to_owned())));
    if model.records.contains(&0) {
        let how = "barewire replay --records findings,logins,sessions writes all three kinds.";
        blocks.push(Block::Text(how.to_owned()));
    }
    faults(given, model, &mut blocks);
    blocks.push(inputs(given));
    gaps(model, &mut blocks);
    unknown(model, &mut blocks);
    blocks.push(sources(model));
    Chapter { id: "coverage", title: "Coverage and blind spots", blocks }
}

/// Whether anything is known to be missing.
fn verdict(model: &Model, blocks: &mut Vec<Block>) {
    let sessions = model.coverage.total();
    let whole = model.coverage.of("complete");
    let gaps: u64 = model.gaps.iter().map(|(_, gap)| gap.count).sum();
    let say = |tone, text| Block::Notice(tone, text);
    blocks.push(if gaps > 0 || whole < sessions {
        let mut told = String::from("The sensor was partly blind: ");
        if gaps > 0 {
            told += &format!("it reported missing traffic {}", times(gaps));
        }
        if whole < sessions {
            let part = percent(sessions - whole, sessions);
            let link = if gaps > 0 { "; " } else { "" };
            told += &format!(
                "{link}{} of {} ({part}) were not seen whole",
                grouped(sessions - whole),
                counted(sessions, "session")
            );
        }
        say(Tone::Bad, told + ". What is missing may hold more than what was found.")
    } else if sessions > 0 && model.records[0] > 0 {
        say(Tone::Good, format!("All of {} were seen whole, and no gap was reported.", counted(sessions, "session")))
    } else {
        let seen = match sessions {
            0 => String::new(),
            _ => format!("All of {} were seen whole. ", counted(sessions, "session")),
        };
        let unknown = "Whether the capture has gaps is not known from these records alone.";
        say(Tone::Warning, seen + unknown)
    });
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { counted(count, "time") }
}

/// What could not be read or kept.
fn faults(given: &Given, model: &Model, blocks: &mut Vec<Block>) {
    let mut list = Vec::new();
    let all = |count: fn(&super::super::read::FileTally) -> u64| given.files.iter().map(count).sum::<u64>();
    for (count, noun, what) in [
        (all(|file| file.unreadable), "line", "cut off, damaged or no JSON, and left out"),
        (all(|file| file.foreign), "line", "no record of barewire in ECS form, and left out"),
        (all(|file| file.long), "line", "longer than any record, and left out"),
        (model.unchecked, "record", "beyond what is kept to know repetitions: some may count twice"),
        (model.repeated, "record", "there before under the same event.id, each of which counts once"),
        (model.truncated, "record", "shortened by the sensor to keep a line's length"),
    ] {
        if count > 0 {
            list.push(format!("{}: {what}.", counted(count, noun)));
        }
    }
    for file in given.files.iter().filter(|file| !file.fault.is_empty()) {
        list.push(format!("{}: read in part only: {}.", file.name, file.fault));
    }
    if model.is_least() {
        let what = "Numbers of distinct accounts and clients of a server are least numbers: there were too many to tell apart.";
        list.push(what.to_owned());
    }
    let unsure: u64 =
        model.confidences.sorted().iter().filter(|(word, _)| *word != "confirmed").map(|(_, count)| count).sum();
    if unsure > 0 {
        let unsure = counted(unsure, "finding");
        list.push(format!("{unsure}: after an inference or a heuristic only; all others are confirmed."));
    }
    if !list.is_empty() {
        blocks.push(Block::List(list));
    }
}

fn inputs(given: &Given) -> Block {
    let rows = given.files.iter().map(|file| {
        let counts =
            [file.lines, file.records[0], file.records[1], file.records[2], file.unreadable + file.foreign + file.long];
        let mut row = vec![Cell::Path(file.name.clone())];
        row.extend(counts.map(Cell::Number));
        row
    });
    fill(
        Table {
            caption: "Inputs of this report".to_owned(),
            columns: vec![
                name("Input"),
                number("Lines"),
                number("Findings"),
                number("Logins"),
                number("Sessions"),
                number("Left out"),
            ],
            rows: Vec::new(),
            note: "Records as they stand in the input; those that stand there several times count once in all that follows."
                .to_owned(),
        },
        rows,
        "inputs",
        0,
    )
}

fn gaps(model: &Model, blocks: &mut Vec<Block>) {
    if model.gaps.len() == 0 {
        return;
    }
    let mut gaps: Vec<_> = model.gaps.iter().map(|(_, gap)| gap).collect();
    gaps.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.source, &a.reason).cmp(&(&b.source, &b.reason))));
    let rows = gaps.iter().map(|gap| {
        vec![
            Cell::Path(gap.source.clone()),
            Cell::Text(reason(&gap.reason).to_owned()),
            Cell::Number(gap.count),
            Cell::Time(moment(gap.last)),
        ]
    });
    let table = Table {
        caption: "Missing traffic that the sensor reported".to_owned(),
        columns: vec![name("Capture"), text("What is missing"), number("Times"), text("Last (UTC)")],
        rows: Vec::new(),
        note: "Packets that were dropped are among them. Check the span port for both directions and for drops, raise the \
               ring size, capture whole frames."
            .to_owned(),
    };
    blocks.push(fill_to(FEW, table, rows, "gaps", model.gaps.others()));
}

/// What is not known of what was seen.
fn unknown(model: &Model, blocks: &mut Vec<Block>) {
    let mut rows = Vec::new();
    let mut add = |what: &str, words: Vec<(&str, u64)>, all: u64| {
        for (word, count) in words {
            rows.push(vec![
                Cell::Text(what.to_owned()),
                Cell::Text(reason(word).to_owned()),
                Cell::Number(count),
                Cell::Share(count, all),
            ]);
        }
    };
    let sessions = model.coverage.total();
    let in_part = model.coverage.sorted().into_iter().filter(|(word, _)| *word != "complete").collect();
    add("Sessions not seen whole", in_part, sessions);
    add("Sessions whose offer of STARTTLS is not known", model.unknown_offers.sorted(), sessions);
    add("Logins whose outcome is not known", model.unknown_outcomes.sorted(), model.outcomes.total());
    if !rows.is_empty() {
        blocks.push(Block::Table(Table {
            caption: "What is not known, and why".to_owned(),
            columns: vec![name("Of what"), text("Why"), number("Number"), number("Share")],
            rows,
            note: String::new(),
        }));
    }
}

fn sources(model: &Model) -> Block {
    let mut sources: Vec<_> = model.sources.iter().map(|(_, source)| source).collect();
    sources.sort_by(|a, b| b.records.cmp(&a.records).then_with(|| a.name.cmp(&b.name)));
    let rows = sources.iter().map(|source| {
        vec![
            Cell::Path(source.name.clone()),
            Cell::Number(source.records),
            Cell::Time(moment(source.first)),
            Cell::Time(moment(source.last)),
        ]
    });
    let table = Table {
        caption: "Captures and interfaces that the records are of".to_owned(),
        columns: vec![name("Capture"), number("Records"), text("First packet told of (UTC)"), text("Last (UTC)")],
        rows: Vec::new(),
        note: "A capture without any record is not listed: nothing here tells that it was read.".to_owned(),
    };
    fill_to(FEW, table, rows, "captures", model.sources.others())
}
