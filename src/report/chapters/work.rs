//! What is to be changed: servers, accounts, clients, and how.

use super::super::model::Model;
use super::super::words::{named, protocol, server};
use super::super::worklist::Worklist;
use super::fill;
use crate::ops::{counted, grouped};
use crate::page::document::{Block, Cell, Chapter, Remedy, Table, Tone, name, number, text};
use crate::page::words::{day, some};
use std::cmp::Reverse;
use std::collections::BTreeMap;

pub(super) fn servers(model: &Model, list: &Worklist<'_>) -> Chapter {
    let total: u64 = list.servers.iter().fold(0, |sum, task| sum.saturating_add(task.tally.disclosures()));
    let rows = list.servers.iter().enumerate().map(|(at, task)| {
        let tally = task.tally;
        let charges = model.charges(tally).into_iter();
        let findings = charges.map(|(charge, kind)| format!("{}\u{a0}×{}", kind.title, grouped(charge.count)));
        let tasks = task.remedies.iter().map(|at| (*at + 1, list.remedies[*at].title().to_owned()));
        let change = if task.remedies.is_empty() {
            Cell::Text("Nothing on this server: its clients must change".to_owned())
        } else {
            Cell::Remedies(tasks.collect())
        };
        vec![
            Cell::Number(at as u64 + 1),
            Cell::Lines(vec![server(&task.service), protocol(&task.service).to_owned()]),
            Cell::some(&tally.software.text),
            change,
            Cell::Number(tally.disclosures()),
            Cell::Share(task.closes, total),
            Cell::Number(tally.accounts),
            Cell::Number(tally.clients),
            Cell::Severity(tally.severity()),
            Cell::Lines(findings.collect()),
        ]
    });
    let table = Table {
        caption: "Servers to change, those first whose change ends most of what was seen".to_owned(),
        columns: vec![
            number("Order"),
            name("Server"),
            text("Software"),
            text("What to change").wide(),
            number("Credentials in clear"),
            number("Closed so far"),
            number("Accounts"),
            number("Clients"),
            text("Gravest"),
            text("Findings").wide(),
        ],
        rows: Vec::new(),
        note: "--format csv has all of them with their settings. Closed so far: the share of all credentials in clear that went to this server or one above it. R and a number \
               name a remedy below. Move the clients first where a server is to refuse what they still do."
            .to_owned(),
    };
    let mut blocks = vec![];
    if list.servers.is_empty() {
        blocks.push(Block::Notice(Tone::Plain, "No server has a finding.".to_owned()));
    } else {
        blocks.push(fill(table, rows, "servers", model.services.others()));
    }
    if list.clean > 0 {
        let what = counted(list.clean, "server");
        let text = format!(
            "{what} had sessions and no finding. Without credentials or offers to look at there was little to find."
        );
        blocks.push(Block::Text(text));
    }
    Chapter { id: "servers", title: "Worklist: servers", blocks }
}

pub(super) fn accounts(model: &Model) -> Chapter {
    let accounts = model.sorted_accounts();
    let rows = accounts.iter().map(|account| {
        let servers = account.servers.iter().map(named);
        vec![
            Cell::Text(if account.name.is_empty() { "(empty name)".to_owned() } else { account.name.clone() }),
            Cell::Number(account.disclosures()),
            Cell::Text(if account.is_accepted { "yes" } else { "not seen" }.to_owned()),
            Cell::Lines(some(servers, account.server_count)),
            Cell::Lines(some(account.clients.iter().map(ToString::to_string), account.client_count)),
            Cell::Time(day(account.last)),
        ]
    });
    let table = Table {
        caption: "Accounts whose secret passed in clear".to_owned(),
        columns: vec![
            name("Account"),
            number("Times in clear"),
            text("Secret worked"),
            text("At servers"),
            text("From clients"),
            text("Last seen"),
        ],
        rows: Vec::new(),
        note: "Change the secret after the account has moved, not before: else the new one passes in clear as well. Names are \
               what clients sent; some may be no accounts."
            .to_owned(),
    };
    let blocks = match accounts.is_empty() {
        true => vec![Block::Notice(Tone::Plain, "No record names an account whose secret passed in clear.".to_owned())],
        false => vec![fill(table, rows, "accounts", model.accounts.others())],
    };
    Chapter { id: "accounts", title: "Worklist: accounts still exposed", blocks }
}

pub(super) fn clients(model: &Model, list: &Worklist<'_>) -> Chapter {
    let mut by_software: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    for (_, client, _) in &list.clients {
        let sum = by_software.entry(&client.software.text).or_default();
        sum[0] += 1;
        sum[1] = sum[1].saturating_add(client.disclosures());
        sum[2] += client.clear_sessions;
    }
    let mut software: Vec<_> = by_software.into_iter().collect();
    software.sort_by_key(|(name, sum)| (Reverse(sum[1]), Reverse(sum[0]), *name));
    let by_software = software.into_iter().map(|(name, sum)| {
        let name = if name.is_empty() { "not recognised" } else { name };
        vec![Cell::Text(name.to_owned()), Cell::Number(sum[0]), Cell::Number(sum[1]), Cell::Number(sum[2])]
    });
    let software = Table {
        caption: "Software of clients still to move".to_owned(),
        columns: vec![
            name("Software"),
            number("Addresses"),
            number("Credentials in clear"),
            number("Sessions in clear"),
        ],
        rows: Vec::new(),
        note: String::new(),
    };
    let rows = list.clients.iter().map(|(ip, client, remedy)| {
        vec![
            Cell::Text(ip.to_string()),
            Cell::some(&client.software.text),
            Cell::Remedies(vec![(*remedy + 1, list.remedies[*remedy].title().to_owned())]),
            Cell::Number(client.disclosures()),
            Cell::Number(client.clear_sessions),
            Cell::Lines(some(client.accounts.iter().cloned(), client.account_count)),
            Cell::Lines(some(client.servers.iter().map(named), client.server_count)),
            Cell::Time(day(client.last)),
        ]
    });
    let table = Table {
        caption: "Client addresses still to move".to_owned(),
        columns: vec![
            name("Client"),
            text("Software"),
            text("What to change").wide(),
            number("Credentials in clear"),
            number("Sessions in clear"),
            text("Accounts"),
            text("To servers"),
            text("Last seen"),
        ],
        rows: Vec::new(),
        note: "An address may be that of many devices, or of a server that passes mail on.".to_owned(),
    };
    let blocks = match list.clients.is_empty() {
        true => vec![Block::Notice(Tone::Plain, "No record names a client that spoke in clear.".to_owned())],
        false => vec![
            fill(software, by_software, "kinds of software", 0),
            fill(table, rows, "clients", model.clients.others()),
        ],
    };
    Chapter { id: "clients", title: "Worklist: clients still to move", blocks }
}

pub(super) fn remedies(list: &Worklist<'_>) -> Chapter {
    let each = list.remedies.iter().enumerate().map(|(at, needed)| {
        let software = needed.software();
        let noun = if needed.is_client { "client" } else { "server" };
        Block::Remedy(Remedy {
            number: at + 1,
            title: match software {
                "" => needed.title().to_owned(),
                software => format!("{}: {software}", needed.title()),
            },
            concerns: format!("For {}.", counted(needed.concerns, noun)),
            setting: needed.setting().to_owned(),
            test: needed.test().to_owned(),
            checked: needed.checked().to_owned(),
        })
    });
    let mut blocks: Vec<Block> = each.collect();
    let intro = if blocks.is_empty() {
        "Nothing is to be changed after what the records tell."
    } else {
        "HOST is the server's name. A test is a command, and below it what its output must, or must not, show."
    };
    blocks.insert(0, Block::Text(intro.to_owned()));
    Chapter { id: "remedies", title: "How to change it", blocks }
}
