//! What a page is asked to show: the part of an address after its `?`, read and written.

use super::words::Words;
use crate::finding::{FindingId, severity_of};
use crate::mail::{PROTOCOLS, Protocol};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// What records can be told apart by. The order is that of the values of a [`Query`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dimension {
    Severity,
    Rule,
    Protocol,
    Server,
    Client,
    User,
    Mechanism,
    Outcome,
    /// A part of the name of the user, the server, the client or the finding.
    Text,
}

/// The dimensions with their names in addresses and before people.
pub(super) const DIMENSIONS: [(Dimension, &str, &str); 9] = [
    (Dimension::Severity, "severity", "severity"),
    (Dimension::Rule, "finding", "finding"),
    (Dimension::Protocol, "protocol", "protocol"),
    (Dimension::Server, "server", "server"),
    (Dimension::Client, "client", "client"),
    (Dimension::User, "user", "account"),
    (Dimension::Mechanism, "mechanism", "mechanism"),
    (Dimension::Outcome, "outcome", "outcome"),
    (Dimension::Text, "text", "text"),
];

/// Spans of time before the newest record, as they stand in addresses and before people, in seconds.
pub(super) const SPANS: [(&str, &str, u64); 5] = [
    ("1h", "the last hour", 3600),
    ("24h", "the last 24 hours", 86_400),
    ("7d", "the last 7 days", 7 * 86_400),
    ("30d", "the last 30 days", 30 * 86_400),
    ("all", "all", u64::MAX),
];
/// The span where none is asked for.
pub(super) const ALL: usize = 4;

/// Octets of a value. A longer one is none that a record has.
const VALUE_OCTETS: usize = 1024;

/// What stands in an address as it is; a space is `%20`, which is right in every part of one.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b':').remove(b'@');

/// What is asked for. Unknown names are passed over, so that an address outlives the version that made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub(super) values: [Option<String>; DIMENSIONS.len()],
    /// A place in [`SPANS`].
    pub(super) span: Option<usize>,
    /// From 0.
    pub(super) page: usize,
}

impl Query {
    /// Of the text after the `?`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.replace('+', " ");
            let value = percent_decode_str(&value).decode_utf8_lossy();
            if value.is_empty() || value.len() > VALUE_OCTETS {
                continue;
            }
            if let Some(at) = DIMENSIONS.iter().position(|(_, known, _)| *known == name) {
                query.values[at] = Some(value.into_owned());
            } else if name == "since" {
                query.span = SPANS.iter().position(|(known, ..)| *known == value).filter(|at| *at != ALL);
            } else if name == "page" {
                query.page = value.parse::<usize>().map_or(0, |page| page.saturating_sub(1));
            }
        }
        query
    }

    /// The address of this page, such as `/?server=10.0.0.1:143`.
    pub(super) fn link(&self) -> String {
        let mut link = "/".to_owned();
        let mut mark = '?';
        let mut add = |name: &str, value: &str| {
            // Nothing fails that is written to a text.
            let _ = write!(link, "{mark}{name}={}", utf8_percent_encode(value, PLAIN));
            mark = '&';
        };
        for ((_, name, _), value) in DIMENSIONS.iter().zip(&self.values) {
            value.iter().for_each(|value| add(name, value));
        }
        self.span.iter().for_each(|at| add("since", SPANS[*at].0));
        if self.page > 0 {
            add("page", &(self.page + 1).to_string());
        }
        link
    }

    /// The same with one more asked for, from its first page.
    pub(super) fn with(&self, dimension: Dimension, value: &str) -> Self {
        let mut query = Self { page: 0, ..self.clone() };
        query.values[dimension as usize] = Some(value.to_owned());
        query
    }

    pub(super) fn without(&self, dimension: Dimension) -> Self {
        let mut query = Self { page: 0, ..self.clone() };
        query.values[dimension as usize] = None;
        query
    }

    pub(super) fn since(&self, span: usize) -> Self {
        Self { span: Some(span).filter(|at| *at != ALL), page: 0, ..self.clone() }
    }

    pub(super) fn value(&self, dimension: Dimension) -> Option<&str> {
        self.values[dimension as usize].as_deref()
    }

    /// Something is wanted that connections do not have, so that they are shown whatever it is.
    pub(super) fn passes_over_sessions(&self) -> bool {
        use Dimension as Of;
        let dimensions = [Of::Severity, Of::Rule, Of::User, Of::Mechanism, Of::Outcome, Of::Text];
        dimensions.into_iter().any(|dimension| self.value(dimension).is_some())
    }

    /// Nothing is left out but by time.
    pub(super) fn is_open(&self) -> bool {
        self.values.iter().all(Option::is_none)
    }
}

/// A query made ready to be asked of many records.
pub(super) struct Filter<'a> {
    /// Nanoseconds since 1970 that spans are counted back from.
    pub(super) newest: u64,
    /// Earlier is left out.
    from: u64,
    severity: Wanted<u8>,
    rule: Wanted<u16>,
    protocol: Wanted<Protocol>,
    server: Wanted<(IpAddr, u16)>,
    client: Wanted<IpAddr>,
    user: Wanted<&'a str>,
    mechanism: Wanted<u16>,
    outcome: Wanted<u16>,
    /// What is looked for, in lower case, and by the numbers of words whether it is in the name or title of a finding.
    text: Option<(String, Vec<bool>)>,
}

/// A value that must be met.
#[derive(Clone, Copy)]
enum Wanted<T> {
    Any,
    Only(T),
    /// One that no record has.
    None,
}

impl<T: PartialEq> Wanted<T> {
    fn of<'a>(text: Option<&'a str>, read: impl FnOnce(&'a str) -> Option<T>) -> Self {
        text.map_or(Self::Any, |text| read(text).map_or(Self::None, Self::Only))
    }

    fn takes(&self, value: Option<&T>) -> bool {
        match self {
            Self::Any => true,
            Self::Only(wanted) => value == Some(wanted),
            Self::None => false,
        }
    }
}

/// What all records have, as far as it is known.
pub(super) struct About {
    pub(super) time: u64,
    pub(super) protocol: Option<Protocol>,
    pub(super) server: Option<(IpAddr, u16)>,
    pub(super) client: Option<IpAddr>,
    pub(super) user: Option<Box<str>>,
    /// The number of a word, as those that follow.
    pub(super) mechanism: Option<u16>,
    pub(super) outcome: Option<u16>,
}

impl<'a> Filter<'a> {
    /// Spans are counted back from `newest`.
    pub(super) fn new(query: &'a Query, words: &'a Words, newest: u64) -> Self {
        let of = |dimension| query.value(dimension);
        let word = |dimension| Wanted::of(of(dimension), |text| words.find(text));
        let seconds = query.span.map_or(u64::MAX, |at| SPANS[at].2);
        Self {
            newest,
            from: newest.saturating_sub(seconds.saturating_mul(1_000_000_000)),
            severity: Wanted::of(of(Dimension::Severity), severity_of),
            rule: word(Dimension::Rule),
            protocol: Wanted::of(of(Dimension::Protocol), |text| {
                PROTOCOLS.iter().find(|info| info.name == text).map(|info| info.protocol)
            }),
            server: Wanted::of(of(Dimension::Server), |text| {
                text.parse::<SocketAddr>().ok().map(|server| (server.ip(), server.port()))
            }),
            client: Wanted::of(of(Dimension::Client), |text| text.parse().ok()),
            user: Wanted::of(of(Dimension::User), Some),
            mechanism: word(Dimension::Mechanism),
            outcome: word(Dimension::Outcome),
            text: of(Dimension::Text).map(str::to_lowercase).map(|text| {
                let has = |word: &str| {
                    let title = FindingId::parse(word).map(|id| id.entry().title.to_lowercase());
                    word.to_lowercase().contains(&text) || title.is_some_and(|title| title.contains(&text))
                };
                let rules = words.all().map(has).collect();
                (text, rules)
            }),
        }
    }

    /// Whether a finding passes, of this severity and kind.
    pub(super) fn takes_finding(&self, one: &About, severity: u8, rule: u16) -> bool {
        self.takes(one, Some(rule)) && self.severity.takes(Some(&severity)) && self.rule.takes(Some(&rule))
    }

    /// Whether a login passes, whatever finding and severity are wanted.
    pub(super) fn takes_login(&self, one: &About) -> bool {
        self.takes(one, None)
    }

    fn takes(&self, one: &About, rule: Option<u16>) -> bool {
        self.takes_session(one)
            && self.user.takes(one.user.as_deref().as_ref())
            && self.mechanism.takes(one.mechanism.as_ref())
            && self.outcome.takes(one.outcome.as_ref())
            && self.text.as_ref().is_none_or(|(text, rules)| has(one, rule, text, rules))
    }

    /// Whether a connection passes by what connections have.
    pub(super) fn takes_session(&self, one: &About) -> bool {
        one.time >= self.from
            && self.protocol.takes(one.protocol.as_ref())
            && self.server.takes(one.server.as_ref())
            && self.client.takes(one.client.as_ref())
    }
}

fn has(one: &About, rule: Option<u16>, text: &str, rules: &[bool]) -> bool {
    one.user.as_ref().is_some_and(|user| user.to_lowercase().contains(text))
        || rule.is_some_and(|rule| rules.get(usize::from(rule)) == Some(&true))
        || one.server.is_some_and(|(ip, port)| SocketAddr::new(ip, port).to_string().contains(text))
        || one.client.is_some_and(|client| client.to_string().contains(text))
}

/// How a value is called before people.
pub(super) fn named(dimension: Dimension, value: &str) -> Cow<'_, str> {
    match dimension {
        Dimension::Text => Cow::Owned(format!("\u{201c}{value}\u{201d}")),
        _ => Cow::Borrowed(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_was_written() {
        let hostile = "a&b=c#<script>\u{202e}\"'%41 +\u{e9}";
        let query = Query { page: 2, ..Query::default() }
            .with(Dimension::User, hostile)
            .with(Dimension::Server, "[2001:db8::1]:143")
            .since(1);
        let link = query.link();
        assert!(link.bytes().all(|octet| octet.is_ascii_graphic() && !b"<>\"'#".contains(&octet)), "{link}");
        assert_eq!(Query::parse(link.strip_prefix("/?").expect("a query")), query);
        assert_eq!(query.page, 0, "another question begins at its first page");
        assert_eq!(query.without(Dimension::User).value(Dimension::User), None);
        assert_eq!(Query::default().link(), "/");
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let text = format!("since=1d&page=x&colour=red&user=&&=&client={}&server=x", "9".repeat(2000));
        assert_eq!(Query::parse(&text), Query::default().with(Dimension::Server, "x"));
        assert_eq!(Query::parse("text=a+b%20c%zz").value(Dimension::Text), Some("a b c%zz"));
        assert_eq!(Query::parse("since=all&page=0"), Query::default());
        assert_eq!(Query::parse("page=18446744073709551615").page, usize::MAX - 1);
    }

    #[test]
    fn a_span_begins_with_its_first_moment() {
        let (query, words) = (Query::default().since(0), Words::default());
        let filter = Filter::new(&query, &words, 3600 * 1_000_000_000 + 7);
        let of = |time| About {
            time,
            protocol: None,
            server: None,
            client: None,
            user: None,
            mechanism: None,
            outcome: None,
        };
        assert_eq!([6, 7, 8].map(|time| filter.takes_finding(&of(time), 1, 0)), [false, true, true]);
    }

    #[test]
    fn the_list_of_dimensions_is_in_their_order() {
        assert!(DIMENSIONS.iter().enumerate().all(|(at, (dimension, ..))| *dimension as usize == at));
        assert_eq!(SPANS[ALL].2, u64::MAX);
    }
}
