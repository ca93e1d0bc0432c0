//! The findings by themselves, with where to look.

use super::super::model::Model;
use crate::ops::grouped;
use crate::page::document::{Block, Cell, Chapter, Table, Tone, name, number, text};
use crate::page::words::moment;

pub(super) fn chapter(model: &Model) -> Chapter {
    let shown = model.evidence.sorted();
    let left = model.records[0].saturating_sub(shown.len() as u64);
    let rows = shown.iter().map(|exhibit| {
        vec![
            Cell::Severity(exhibit.severity),
            Cell::Text(exhibit.message.clone()),
            Cell::Code(exhibit.name.clone()),
            Cell::Number(exhibit.count),
            Cell::Time(moment(exhibit.last)),
            Cell::Path(exhibit.source.clone()),
            exhibit.packet.map_or(Cell::Empty, Cell::Number),
            if exhibit.filter.is_empty() { Cell::Empty } else { Cell::Code(exhibit.filter.clone()) },
        ]
    });
    let mut note =
        "Packet: the number of the last packet that shows it, in its capture (Wireshark: Ctrl+G). The filter shows \
                    the connections between the two ends."
            .to_owned();
    if left > 0 {
        note = format!("The gravest are shown; {} more are in the records alone. {note}", grouped(left));
    }
    let blocks = if rows.len() == 0 {
        vec![Block::Notice(Tone::Plain, "No findings are in the input.".to_owned())]
    } else {
        vec![Block::Table(Table {
            caption: "Findings, the gravest first".to_owned(),
            columns: vec![
                text("Severity"),
                name("What was seen").wide(),
                text("Name"),
                number("Times"),
                text("Last (UTC)"),
                text("Capture"),
                number("Packet"),
                text("Wireshark filter").wide(),
            ],
            rows: rows.collect(),
            note,
        })]
    };
    Chapter { id: "evidence", title: "Evidence", blocks }
}
