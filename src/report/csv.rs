//! What is to be done as a table for spreadsheets and ticket systems: one row, one thing to do (RFC 4180).

use super::model::Model;
use super::words::{protocol, server};
use super::worklist::Worklist;
use crate::finding::severity_name;
use crate::page::words::time;
use std::io::{self, Write};

const COLUMNS: [&str; 17] = [
    "kind",
    "order",
    "name",
    "protocol",
    "software",
    "severity",
    "change",
    "credentials_in_clear",
    "secret_worked",
    "accounts",
    "clients",
    "servers",
    "sessions_in_clear",
    "last_seen",
    "findings",
    "setting",
    "test",
];

/// What an account's user must do, for there is no setting.
const ACCOUNT: &str = "Move all clients of the account to TLS, then change its secret";

/// Writes row by row: there may be hundreds of thousands.
pub(super) fn write(model: &Model, list: &Worklist<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page(out);
    page.row(&COLUMNS.map(str::to_owned))?;
    servers(model, list, &mut page)?;
    accounts(model, &mut page)?;
    for (at, (ip, client, remedy)) in list.clients.iter().enumerate() {
        let needed = &list.remedies[*remedy];
        let mut row = Row::new("client", at, ip.to_string());
        row.set("software", &client.software.text).set("change", needed.title());
        row.set("credentials_in_clear", client.disclosures()).set("sessions_in_clear", client.clear_sessions);
        row.set("accounts", client.account_count).set("servers", client.server_count);
        row.set("last_seen", time(client.last)).set("setting", needed.setting()).set("test", needed.test());
        page.row(&row.0)?;
    }
    Ok(())
}

fn servers(model: &Model, list: &Worklist<'_>, page: &mut Page<'_>) -> io::Result<()> {
    for (at, task) in list.servers.iter().enumerate() {
        let tally = task.tally;
        let mut row = Row::new("server", at, server(&task.service));
        row.set("protocol", protocol(&task.service)).set("software", &tally.software.text);
        row.set("credentials_in_clear", tally.disclosures());
        row.set("accounts", tally.accounts).set("clients", tally.clients).set("sessions_in_clear", tally.sessions[0]);
        row.set("last_seen", time(tally.last));
        if tally.severity() > 0 {
            row.set("severity", severity_name(tally.severity()));
        }
        let names = model.charges(tally).into_iter().map(|(_, kind)| kind.name.as_str());
        row.set("findings", names.collect::<Vec<_>>().join(" "));
        if task.remedies.is_empty() {
            row.set("change", "Nothing on this server: its clients must change");
            page.row(&row.0)?;
        }
        for needed in task.remedies.iter().map(|at| &list.remedies[*at]) {
            row.set("change", needed.title()).set("setting", needed.setting()).set("test", needed.test());
            page.row(&row.0)?;
        }
    }
    Ok(())
}

fn accounts(model: &Model, page: &mut Page<'_>) -> io::Result<()> {
    for (at, account) in model.sorted_accounts().into_iter().enumerate() {
        let mut row = Row::new("account", at, account.name.clone());
        row.set("change", ACCOUNT).set("credentials_in_clear", account.disclosures());
        row.set("secret_worked", if account.is_accepted { "yes" } else { "not seen" });
        row.set("clients", account.client_count).set("servers", account.server_count);
        row.set("last_seen", time(account.last));
        page.row(&row.0)?;
    }
    Ok(())
}

/// A row under way; what is not set is empty.
struct Row([String; COLUMNS.len()]);

impl Row {
    fn new(kind: &str, at: usize, name: String) -> Self {
        let mut row = Self(std::array::from_fn(|_| String::new()));
        row.set("kind", kind).set("order", at + 1).set("name", name);
        row
    }

    fn set(&mut self, column: &str, value: impl ToString) -> &mut Self {
        if let Some(at) = COLUMNS.iter().position(|known| *known == column) {
            self.0[at] = value.to_string();
        }
        self
    }
}

struct Page<'a>(&'a mut dyn Write);

impl Page<'_> {
    fn row(&mut self, fields: &[String]) -> io::Result<()> {
        let fields: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
        self.0.write_all(fields.join(",").as_bytes())?;
        self.0.write_all(b"\r\n")
    }
}

/// A field that no spreadsheet takes for a formula, and no reader for two.
fn quoted(field: &str) -> String {
    // Spreadsheets look behind spaces, and know the wide forms as well.
    let is_formula = field
        .trim_start_matches([' ', '\u{a0}', '\u{3000}'])
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%', '＝', '＋', '－', '＠']);
    let guard = if is_formula { "'" } else { "" };
    let needs_quotes = field.contains(['"', ',', ';', '\n', '\r', '\t', '\'']);
    if needs_quotes { format!("\"{guard}{}\"", field.replace('"', "\"\"")) } else { format!("{guard}{field}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "|cmd", "%0A"] {
            let field = quoted(formula);
            assert!(field.starts_with('\'') || field.starts_with("\"'"), "{field}");
        }
        assert_eq!(quoted("=cmd|' /C calc'!A0,\"x\""), "\"'=cmd|' /C calc'!A0,\"\"x\"\"\"");
        assert_eq!(quoted("10.0.0.1:143"), "10.0.0.1:143");
        assert_eq!(quoted("two\nlines"), "\"two\nlines\"");
    }
}
