//! JUnit's XML as build servers read it: a suite for each server that was seen, in it a case for each finding that is about
//! servers. What could not have been found is skipped, and so is what was accepted.

use super::{Seen, Told, Verdict, place};
use crate::finding::{CATALOGUE, FindingId, Needs, severity_name};
use crate::mail::Protocol;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Findings told in one case.
const TOLD: usize = 20;

/// Of the whole capture.
const CAPTURE: &str = "capture";

struct Case {
    rule: FindingId,
    state: State,
}

enum State {
    Passed(Vec<String>),
    Failed { severity: u8, lines: Vec<String>, first: String },
    Skipped(String),
}

/// What is told of one finding on one server; of many only some.
#[derive(Default)]
struct Group {
    failed: Lines,
    below: Lines,
    accepted: Option<String>,
    /// The gravest of those that fail, and the first of them.
    severity: u8,
    first: String,
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    count: usize,
    remediation: String,
}

impl Lines {
    fn add(&mut self, told: &Told) {
        if self.count == 0 {
            self.remediation = told.remediation().to_owned();
        }
        self.count += 1;
        if self.count <= TOLD {
            self.lines.push(line(told));
        }
    }

    fn into_lines(mut self) -> Vec<String> {
        if self.count > TOLD {
            self.lines.push(format!("and {} more", self.count - TOLD));
        }
        if self.count > 0 {
            self.lines.push(format!("What to do: {}", self.remediation));
        }
        self.lines
    }
}

type Groups = BTreeMap<(String, FindingId), Group>;

pub(super) fn write(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    let mut groups = Groups::new();
    for told in verdict.findings() {
        let group = groups.entry((told.place(), told.rule)).or_default();
        if let Some(why) = told.accepted() {
            group.accepted.get_or_insert(why);
        } else if told.severity >= verdict.fails_from() {
            if group.failed.count == 0 {
                group.first = told.message().to_owned();
            }
            group.severity = group.severity.max(told.severity);
            group.failed.add(&told);
        } else {
            group.below.add(&told);
        }
    }
    let mut suites: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for (server, seen) in &verdict.servers {
        let name = place(server);
        let rules = CATALOGUE.iter().map(|entry| entry.id).filter(|rule| rule.needs() != Needs::NoServer);
        let cases = rules.map(|rule| case(rule, groups.remove(&(name.clone(), rule)), server.0, *seen, verdict));
        suites.insert(name.clone(), cases.collect());
    }
    // About no server, or about one for which there was no room.
    let mut of_capture = vec![];
    for ((place, rule), group) in groups {
        let case = Case { rule, state: judged(group) };
        match rule.needs() {
            Needs::NoServer => of_capture.push(case),
            _ => suites.entry(place).or_default().push(case),
        }
    }
    for entry in CATALOGUE.iter().filter(|entry| entry.id.needs() == Needs::NoServer) {
        if of_capture.iter().all(|case| case.rule != entry.id) {
            of_capture.push(Case { rule: entry.id, state: nothing(verdict) });
        }
    }
    suites.insert(CAPTURE.to_owned(), joined(of_capture));
    document(&suites, verdict, out)
}

/// Nothing was found, unless it is among what there was no room for.
fn nothing(verdict: &Verdict) -> State {
    match verdict.more_findings {
        0 => State::Passed(Vec::new()),
        _ => State::Skipped("not all findings are listed here; the records have them".to_owned()),
    }
}

/// One case for each finding: build servers know cases by their names.
fn joined(cases: Vec<Case>) -> Vec<Case> {
    let mut joined: BTreeMap<FindingId, State> = BTreeMap::new();
    for case in cases {
        match (joined.get_mut(&case.rule), case.state) {
            (Some(State::Failed { severity, lines, .. }), State::Failed { severity: other, lines: more, .. }) => {
                *severity = other.max(*severity);
                lines.extend(more);
            }
            (Some(State::Failed { .. }), _) => {}
            (_, state) => drop(joined.insert(case.rule, state)),
        }
    }
    joined.into_iter().map(|(rule, state)| Case { rule, state }).collect()
}

fn case(rule: FindingId, group: Option<Group>, protocol: Protocol, seen: Seen, verdict: &Verdict) -> Case {
    let nothing_to_see = match rule.needs() {
        _ if !rule.concerns(protocol) => Some("not of this protocol"),
        Needs::ClearStart if seen.clear_starts == 0 => Some("each connection began with TLS"),
        Needs::Login if seen.logins == 0 => Some("no login in clear was seen"),
        Needs::Tls if seen.tls == 0 => Some("no TLS was seen"),
        _ => None,
    };
    let state = match (group, nothing_to_see) {
        (Some(group), _) => judged(group),
        (None, Some(why)) => State::Skipped(why.to_owned()),
        (None, None) => nothing(verdict),
    };
    Case { rule, state }
}

fn judged(group: Group) -> State {
    let Group { failed, below, accepted, severity, first } = group;
    match (failed.count, accepted) {
        (0, Some(why)) if below.count == 0 => State::Skipped(why),
        (0, _) => State::Passed(below.into_lines()),
        _ => State::Failed { severity, first, lines: failed.into_lines() },
    }
}

fn line(told: &Told) -> String {
    let capture = told.capture().map(|name| format!("{name}, ")).unwrap_or_default();
    let packet = told.written.number("/barewire/packet").unwrap_or_default();
    format!("{}: {} ({capture}packet {packet})", severity_name(told.severity), told.message())
}

fn document(suites: &BTreeMap<String, Vec<Case>>, verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    let gaps = verdict.gaps();
    let errors = usize::from(!gaps.is_empty());
    let count = |wanted: fn(&State) -> bool| suites.values().flatten().filter(|case| wanted(&case.state)).count();
    let mut writer = Writer::new_with_indent(out, b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let totals = [
        ("name", "barewire".to_owned()),
        ("tests", (count(|_| true) + 1).to_string()),
        ("failures", count(|state| matches!(state, State::Failed { .. })).to_string()),
        ("errors", errors.to_string()),
        ("skipped", count(|state| matches!(state, State::Skipped(_))).to_string()),
    ];
    let totals = totals.iter().map(|(name, value)| (*name, value.as_str()));
    writer.create_element("testsuites").with_attributes(totals).write_inner_content(|writer| {
        for (name, cases) in suites {
            suite(writer, name, cases, if name == CAPTURE { Some(&gaps) } else { None })?;
        }
        Ok(())
    })?;
    writer.into_inner().write_all(b"\n")
}

fn suite(
    writer: &mut Writer<&mut dyn Write>,
    name: &str,
    cases: &[Case],
    gaps: Option<&Vec<String>>,
) -> io::Result<()> {
    let count = |wanted: fn(&State) -> bool| cases.iter().filter(|case| wanted(&case.state)).count().to_string();
    let errors = gaps.is_some_and(|gaps| !gaps.is_empty());
    let totals = [
        ("name", name.to_owned()),
        ("tests", (cases.len() + usize::from(gaps.is_some())).to_string()),
        ("failures", count(|state| matches!(state, State::Failed { .. }))),
        ("errors", u8::from(errors).to_string()),
        ("skipped", count(|state| matches!(state, State::Skipped(_)))),
    ];
    let totals = totals.iter().map(|(name, value)| (*name, value.as_str()));
    writer.create_element("testsuite").with_attributes(totals).write_inner_content(|writer| {
        for case in cases {
            let element =
                writer.create_element("testcase").with_attributes([("classname", name), ("name", case.rule.name())]);
            match &case.state {
                State::Passed(lines) if lines.is_empty() => element.write_empty()?,
                state => element.write_inner_content(|writer| outcome(writer, state))?,
            };
        }
        if let Some(gaps) = gaps {
            let element =
                writer.create_element("testcase").with_attributes([("classname", name), ("name", "analysis-complete")]);
            if gaps.is_empty() {
                element.write_empty()?;
            } else {
                let gaps = gaps.join("\n");
                element.write_inner_content(|writer| {
                    let error =
                        writer.create_element("error").with_attribute(("message", "the analysis is incomplete"));
                    error.write_text_content(BytesText::new(&gaps)).map(drop)
                })?;
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn outcome(writer: &mut Writer<&mut dyn Write>, state: &State) -> io::Result<()> {
    match state {
        State::Passed(lines) => {
            writer.create_element("system-out").write_text_content(BytesText::new(&lines.join("\n")))
        }
        State::Failed { severity, lines, first } => {
            let attributes = [("message", first.as_str()), ("type", severity_name(*severity))];
            let failure = writer.create_element("failure").with_attributes(attributes);
            failure.write_text_content(BytesText::new(&lines.join("\n")))
        }
        State::Skipped(why) => writer.create_element("skipped").with_attribute(("message", why.as_str())).write_empty(),
    }
    .map(drop)
}
