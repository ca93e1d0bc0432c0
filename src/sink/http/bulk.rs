//! Records into Elasticsearch and OpenSearch by bulk requests that create documents.
//!
//! The identity of a document is the record's, so one that is sent again is answered 409 and counted as a duplicate. The
//! status of the whole answer says nothing of its items: each is read.

use super::{Answer, Client, MOST, Pattern, Sent, Server, Verdict, in_parts, kind_of, rendered, verdict};
use crate::output::Form;
use crate::sink::net::{Address, printable};
use crate::sink::tls::Papers;
use crate::sink::{Bounds, Fate, Parcel, Report, Transport};
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde_json::json;
use std::fmt;
/// What comes back at most: a status and a reason for each item.
const ITEM_OCTETS: u64 = 8 << 10;
/// No more of each item than is read, where the engine can leave the rest out.
const PATH: &str = "/_bulk?filter_path=items.*._id,items.*.status,items.*.error.type,items.*.error.reason";
use std::sync::Arc;

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where it is.
    pub server: Server,
    /// Index or data stream.
    pub index: Pattern,
}

/// A way to a cluster.
pub struct Bulk {
    client: Client,
    index: Pattern,
    form: Form,
    most: usize,
}

impl Bulk {
    /// Looks the host up and reads the files that the options name; connects when it is first used.
    ///
    /// # Errors
    ///
    /// One of them is not good, or the form is no JSON: one line.
    pub fn new(options: &Options, form: Form) -> Result<Self, String> {
        if form == Form::Cef {
            return Err("format cef is no JSON, which alone can be searched there; take ecs or ocsf".to_owned());
        }
        let client = Client::of_service(&options.server)?;
        Ok(Self { client, index: options.index.clone(), form, most: MOST.records })
    }

    /// Where it leads.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.client.address()
    }
}

impl Transport for Bulk {
    fn papers(&self) -> Option<Arc<Papers>> {
        self.client.papers()
    }

    fn bounds(&self) -> Bounds {
        MOST
    }

    fn deliver(&mut self, parcels: &[Parcel]) -> Report {
        let Self { client, index, form, most } = self;
        in_parts(parcels, most, |parcels| send(client, index, *form, parcels))
    }
}

fn send(client: &Client, index: &Pattern, form: Form, parcels: &[Parcel]) -> Sent {
    let mut fates = vec![Fate::Waits; parcels.len()];
    let mut body = Vec::with_capacity(parcels.iter().map(|parcel| parcel.line.len() + 128).sum());
    let mut sent = Vec::with_capacity(parcels.len());
    for (parcel, (at, fate)) in parcels.iter().zip(fates.iter_mut().enumerate()) {
        match rendered(parcel, form) {
            Ok((written, _)) if kind_of(&written).is_empty() => *fate = Fate::Refused("of no kind".to_owned()),
            Ok((written, line)) => {
                let id = written.document_id();
                let action = json!({ "create": { "_index": index.of(&written), "_id": id } }).to_string();
                body.extend_from_slice(action.as_bytes());
                body.push(b'\n');
                body.extend_from_slice(&line);
                body.push(b'\n');
                sent.push((at, id));
            }
            Err(why) => *fate = Fate::Refused(why),
        }
    }
    if sent.is_empty() {
        return Sent::Fates(fates, None);
    }
    let longest = (64 << 10) + ITEM_OCTETS * sent.len() as u64;
    let answer = match client.post(PATH, "application/x-ndjson", &body, Some(longest)) {
        Ok(answer) => answer,
        Err(trouble) => return Sent::Failed(trouble),
    };
    match verdict(answer.status) {
        Verdict::Taken => {}
        Verdict::TooLarge => return Sent::TooLarge(super::words_of(&answer)),
        // The items have their own statuses, so that is not about one of them.
        Verdict::Known | Verdict::Bad | Verdict::Later => return Sent::Failed(client.answered(&answer)),
    }
    match judge(&answer, &sent, &mut fates) {
        Ok(None) => Sent::Fates(fates, None),
        Ok(Some(why)) => {
            let mut trouble = client.trouble(&why);
            trouble.retry_after = answer.retry_after;
            Sent::Fates(fates, Some(trouble))
        }
        Err(why) => Sent::Failed(client.trouble(&why)),
    }
}

/// Reads what became of each item. Gives why some wait.
fn judge(answer: &Answer, sent: &[(usize, String)], fates: &mut [Fate]) -> Result<Option<String>, String> {
    let items = items(&answer.body, sent.len())?;
    // All before one is believed.
    let is_ours = |(item, (_, id)): (&Item, &(usize, String))| item.id.as_ref().is_none_or(|found| found == id);
    if !items.iter().zip(sent).all(is_ours) {
        return Err("its answer is about other documents than were sent".to_owned());
    }
    let mut waits = None;
    for (item, (at, _)) in items.iter().zip(sent) {
        fates[*at] = match verdict(item.status) {
            Verdict::Taken => Fate::Delivered,
            Verdict::Known => Fate::Duplicate,
            Verdict::TooLarge | Verdict::Bad => Fate::Refused(item.words()),
            Verdict::Later => {
                waits.get_or_insert_with(|| format!("it takes documents later: {}", item.words()));
                Fate::Waits
            }
        };
    }
    Ok(waits)
}

fn items(body: &[u8], count: usize) -> Result<Vec<Item>, String> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let answer = Items::deserialize(&mut reader).and_then(|answer| reader.end().map(|()| answer));
    let items = answer.map_err(|error| format!("its answer is not that to a bulk request ({error})"))?.items.0;
    match items.len() {
        found if found == count => Ok(items),
        found => Err(format!("it answers about {found} documents of {count}")),
    }
}

#[derive(Deserialize)]
struct Items {
    items: List,
}

#[derive(Deserialize)]
struct Action {
    create: Item,
}

/// What became of a document.
#[derive(Deserialize)]
struct Item {
    #[serde(rename = "_id")]
    id: Option<String>,
    status: u16,
    error: Option<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(rename = "type")]
    kind: Option<String>,
    reason: Option<String>,
}

impl Item {
    /// Status and reason, for people. The reason may quote the record.
    fn words(&self) -> String {
        let cause = self.error.as_ref();
        let of =
            |text: Option<&String>| text.map(|text| format!(" {}", printable(text.as_bytes()))).unwrap_or_default();
        let kind = of(cause.and_then(|cause| cause.kind.as_ref()));
        format!("{}{kind}{}", self.status, of(cause.and_then(|cause| cause.reason.as_ref())))
    }
}

/// No more of them than were ever sent: a few octets of an answer must not become a hundred in memory.
struct List(Vec<Item>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl<'de> Visitor<'de> for Bounded {
            type Value = List;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List, A::Error> {
                let mut items = Vec::new();
                while let Some(Action { create }) = list.next_element()? {
                    if items.len() == MOST.records {
                        return Err(de::Error::custom("more items than were sent"));
                    }
                    items.push(create);
                }
                Ok(List(items))
            }
        }
        deserializer.deserialize_seq(Bounded)
    }
}

#[cfg(test)]
#[path = "bulk/tests.rs"]
mod tests;
