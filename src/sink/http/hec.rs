//! Records into Splunk's HTTP event collector, and the acknowledgement that they are indexed.
//!
//! An answer of 200 says that a request was parsed; what the indexer had not written when it died is lost. With
//! acknowledgement each request has a number of which the collector is asked until it says yes, or never says so and the
//! records are sent again. It has no identities of its own: what came twice is there twice, with the same `event.id`.

use super::{Client, MOST, Pattern, Sent, Server, Verdict, in_parts, quoted, rendered, verdict, words_of};
use crate::output::{Form, Written};
use crate::sink::net::Address;
use crate::sink::tls::Papers;
use crate::sink::{Bounds, Fate, Parcel, Report, Transport, Trouble, host_name};
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::sync::Arc;
use ureq::http::{HeaderName, HeaderValue};

/// Octets of an answer: some numbers and words.
const LONGEST_ANSWER: u64 = 64 << 10;
/// Questions for the acknowledgement of a request. They come apart as those after troubles do, a minute at most: some five
/// minutes in all, after which Splunk advises to send again.
const QUESTIONS: u32 = 15;
/// Of these, what is left once the collector could not be asked.
const LAST_QUESTIONS: u32 = 3;

/// An event collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where it is, with its token as a [`super::Login::Token`] behind the word `Splunk`.
    pub server: Server,
    /// Whether records are delivered only once they are indexed.
    pub acknowledge: bool,
    /// Index; without it the token's own.
    pub index: Option<Pattern>,
    /// What they are there.
    pub sourcetype: Pattern,
    /// Where they come from; without it the token's own.
    pub source: Option<String>,
    /// This machine; without it its own name.
    pub hostname: Option<String>,
}

/// A way to an event collector.
pub struct Hec {
    client: Client,
    options: Options,
    hostname: String,
    form: Form,
    most: usize,
    /// Of all requests of this run.
    channel: String,
    /// It was seen to acknowledge.
    is_acknowledging: bool,
    pending: Vec<Pending>,
}

/// A request that was taken and not yet acknowledged.
struct Pending {
    /// Its first and its last record.
    first: u64,
    last: u64,
    number: u64,
    questions: u32,
}

impl Pending {
    fn new(first: u64, last: u64, number: u64) -> Self {
        Self { first, last, number, questions: 0 }
    }

    fn holds(&self, parcel: &Parcel) -> bool {
        (self.first..=self.last).contains(&parcel.number)
    }
}

impl Hec {
    /// Looks the host up and reads the files that the options name; connects when it is first used.
    ///
    /// # Errors
    ///
    /// One of them is not good: one line.
    pub fn new(options: &Options, form: Form) -> Result<Self, String> {
        let mut client = Client::of_service(&options.server)?;
        let channel = channel();
        if options.acknowledge {
            let value = HeaderValue::from_str(&channel).map_err(|error| error.to_string())?;
            client.headers.insert(HeaderName::from_static("x-splunk-request-channel"), value);
        }
        Ok(Self {
            client,
            hostname: options.hostname.clone().unwrap_or_else(host_name),
            options: options.clone(),
            form,
            most: MOST.records,
            channel,
            is_acknowledging: false,
            pending: Vec::new(),
        })
    }

    /// Where it leads.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.client.address()
    }

    /// The object around a record.
    fn event(&self, written: &Written, line: &[u8]) -> Vec<u8> {
        let mut head = json!({ "sourcetype": self.options.sourcetype.of(written) });
        if !self.hostname.is_empty() {
            head["host"] = json!(self.hostname);
        }
        if let Some(index) = &self.options.index {
            head["index"] = json!(index.of(written));
        }
        if let Some(source) = &self.options.source {
            head["source"] = json!(source);
        }
        let mut event = head.to_string().into_bytes();
        event.pop();
        if let Some(time) = written.time() {
            let _ = write!(event, ",\"time\":{}.{:06}", time / 1_000_000_000, time % 1_000_000_000 / 1000);
        }
        event.extend_from_slice(b",\"event\":");
        match self.form {
            Form::Cef => event.extend_from_slice(quoted(line).as_bytes()),
            Form::Ecs | Form::Ocsf => event.extend_from_slice(line),
        }
        event.push(b'}');
        event
    }

    /// Sends records in one request. Gives its number where it was taken and has one.
    fn send(&self, parcels: &[Parcel]) -> (Sent, Option<u64>) {
        let mut fates = vec![Fate::Delivered; parcels.len()];
        let mut body = Vec::with_capacity(parcels.iter().map(|parcel| parcel.line.len() + 256).sum());
        for (parcel, fate) in parcels.iter().zip(&mut fates) {
            match rendered(parcel, self.form) {
                Ok((written, line)) => body.extend(self.event(&written, &line)),
                Err(why) => *fate = Fate::Refused(why),
            }
        }
        if body.is_empty() {
            return (Sent::Fates(fates, None), None);
        }
        let answer = self.client.post("/services/collector/event", "application/json", &body, Some(LONGEST_ANSWER));
        let answer = match answer {
            Ok(answer) => answer,
            Err(trouble) => return (Sent::Failed(trouble), None),
        };
        let said: Option<Said> = serde_json::from_slice(&answer.body).ok();
        match (verdict(answer.status), said) {
            (Verdict::Taken, Some(Said { code: 0, number, .. })) => (Sent::Fates(fates, None), number),
            (Verdict::TooLarge, _) => (Sent::TooLarge(words_of(&answer)), None),
            (Verdict::Bad, Some(Said { code, place, .. })) if is_of_a_record(code) => {
                // Those that were not sent do not count there.
                let sent: Vec<usize> = (0..fates.len()).filter(|at| fates[*at] == Fate::Delivered).collect();
                let place = place.and_then(|place| sent.get(place).copied());
                (Sent::Bad(Fate::Refused(words_of(&answer)), place), None)
            }
            _ => (Sent::Failed(self.client.answered(&answer)), None),
        }
    }

    /// Requests stay pending over calls until they are acknowledged: the caller waits in between.
    fn deliver_acknowledged(&mut self, parcels: &[Parcel]) -> Report {
        let mut report = Report::all(parcels.len(), Fate::Waits);
        let (Some(first), Some(last)) = (parcels.first(), parcels.last()) else { return report };
        if !self.is_acknowledging {
            // Asked of a number that there is not, before anything is sent: a token that acknowledges nothing would take
            // records again and again.
            if let Err(trouble) = self.ask(&[0]) {
                return Report::failed(parcels.len(), trouble);
            }
            self.is_acknowledging = true;
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.retain(|one| one.last >= first.number && one.first <= last.number);
        let mut most = self.most;
        let is_sent = |parcel: &Parcel, pending: &[Pending]| pending.iter().any(|one| one.holds(parcel));
        let mut at = 0;
        let before = pending.len();
        while at < parcels.len() && report.trouble.is_none() {
            let is_one = is_sent(&parcels[at], &pending[..before]);
            let run = parcels[at..].iter().take_while(|one| is_sent(one, &pending[..before]) == is_one).count();
            if !is_one {
                let sent = in_parts(&parcels[at..at + run], &mut most, |part| self.send_to_ask(part, &mut pending));
                report.fates[at..at + run].clone_from_slice(&sent.fates);
                report.trouble = sent.trouble;
            }
            at += run;
        }
        self.most = most;
        let asked = self.settle(&mut pending, parcels, &mut report.fates);
        self.pending = pending;
        report.trouble = report.trouble.or(asked.err());
        report
    }

    /// Sends records, which wait once they are taken.
    fn send_to_ask(&self, parcels: &[Parcel], pending: &mut Vec<Pending>) -> Sent {
        match self.send(parcels) {
            (Sent::Fates(mut fates, None), number) if fates.contains(&Fate::Delivered) => {
                let Some(number) = number else {
                    return Sent::Failed(
                        self.client.trouble("it takes records and gives no number to ask for them by"),
                    );
                };
                fates.iter_mut().filter(|fate| **fate == Fate::Delivered).for_each(|fate| *fate = Fate::Waits);
                let ends = parcels.first().zip(parcels.last());
                pending.extend(ends.map(|(first, last)| Pending::new(first.number, last.number, number)));
                Sent::Fates(fates, None)
            }
            (sent, _) => sent,
        }
    }

    /// Asks for all that are pending and takes out those that are done with.
    fn settle(&mut self, pending: &mut Vec<Pending>, parcels: &[Parcel], fates: &mut [Fate]) -> Result<(), Trouble> {
        if pending.is_empty() {
            return Ok(());
        }
        let numbers: Vec<u64> = pending.iter().map(|one| one.number).collect();
        let indexed = match self.ask(&numbers) {
            Ok(indexed) => indexed,
            Err(trouble) => {
                // Whoever was started anew knows no number any more, and may acknowledge nothing.
                self.is_acknowledging = false;
                pending.iter_mut().for_each(|one| one.questions = one.questions.max(QUESTIONS - LAST_QUESTIONS));
                return Err(trouble);
            }
        };
        let waiting = pending.len();
        pending.retain_mut(|one| {
            let is_indexed = indexed.contains(&one.number);
            if is_indexed {
                let own = parcels.iter().zip(fates.iter_mut()).filter(|(parcel, _)| one.holds(parcel));
                own.filter(|(_, fate)| **fate == Fate::Waits).for_each(|(_, fate)| *fate = Fate::Delivered);
            }
            one.questions += 1;
            !is_indexed && one.questions < QUESTIONS
        });
        match pending.len() + indexed.len() < waiting {
            true => Err(self.client.trouble("it does not acknowledge what it took, which is sent again")),
            false => Ok(()),
        }
    }

    /// Which of some requests are indexed.
    fn ask(&self, numbers: &[u64]) -> Result<Vec<u64>, Trouble> {
        let path = format!("/services/collector/ack?channel={}", self.channel);
        let body = json!({ "acks": numbers }).to_string();
        let answer = self.client.post(&path, "application/json", body.as_bytes(), Some(LONGEST_ANSWER))?;
        let said: Option<Acks> = serde_json::from_slice(&answer.body).ok();
        match said.filter(|_| verdict(answer.status) == Verdict::Taken) {
            Some(Acks { acks }) => {
                let is_indexed = |number: &u64| acks.get(&number.to_string()) == Some(&true);
                Ok(numbers.iter().copied().filter(is_indexed).collect())
            }
            None => {
                let mut trouble = self.client.answered(&answer);
                trouble.why += "; have the token acknowledge, or leave acknowledge out";
                Err(trouble)
            }
        }
    }
}

impl Transport for Hec {
    fn papers(&self) -> Option<Arc<Papers>> {
        self.client.papers()
    }

    fn bounds(&self) -> Bounds {
        MOST
    }

    fn deliver(&mut self, parcels: &[Parcel]) -> Report {
        if self.options.acknowledge {
            return self.deliver_acknowledged(parcels);
        }
        let mut most = self.most;
        let report = in_parts(parcels, &mut most, |parcels| self.send(parcels).0);
        self.most = most;
        report
    }
}

/// What it says to events.
#[derive(Deserialize)]
struct Said {
    code: u32,
    #[serde(rename = "ackId")]
    number: Option<u64>,
    #[serde(rename = "invalid-event-number")]
    place: Option<usize>,
}

#[derive(Deserialize)]
struct Acks {
    acks: HashMap<String, bool>,
}

/// Codes of the collector that are about one of the events: no data, invalid data, no event, an empty one, its fields. All
/// others are about the token, the index, the channel or the state of the indexers, and pass or are put right.
fn is_of_a_record(code: u32) -> bool {
    matches!(code, 5 | 6 | 12 | 13 | 15)
}

/// A GUID that no other sensor has.
fn channel() -> String {
    let [high, low] = [0, 1].map(|part| RandomState::new().hash_one(part));
    let (time, node) = (high >> 32, low & 0xffff_ffff_ffff);
    format!("{time:08x}-{:04x}-4{:03x}-a{:03x}-{node:012x}", high >> 16 & 0xffff, high & 0xfff, low >> 48 & 0xfff)
}

#[cfg(test)]
#[path = "hec/tests.rs"]
mod tests;
