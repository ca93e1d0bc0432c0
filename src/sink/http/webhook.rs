//! Records by POST to whoever takes them: lines or a list, taken if the answer is 2xx.

use super::{Client, MOST, Sent, Server, Verdict, in_parts, rendered, verdict, words_of};
use crate::output::Form;
use crate::sink::net::Address;
use crate::sink::tls::Papers;
use crate::sink::{Bounds, Fate, Parcel, Report, Transport};
use std::sync::Arc;

/// How records stand in a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// Each in a line.
    #[default]
    Lines,
    /// In a list of JSON.
    List,
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where it is.
    pub server: Server,
    /// How records stand in a body.
    pub body: Body,
}

/// A way to a webhook.
pub struct Webhook {
    client: Client,
    body: Body,
    form: Form,
    most: usize,
}

impl Webhook {
    /// Looks the host up and reads the files that the options name; connects when it is first used.
    ///
    /// # Errors
    ///
    /// One of them is not good: one line.
    pub fn new(options: &Options, form: Form) -> Result<Self, String> {
        let client = Client::new(&options.server)?;
        Ok(Self { client, body: options.body, form, most: MOST.records })
    }

    /// Where it leads.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.client.address()
    }
}

impl Transport for Webhook {
    fn papers(&self) -> Option<Arc<Papers>> {
        self.client.papers()
    }

    fn bounds(&self) -> Bounds {
        MOST
    }

    fn deliver(&mut self, parcels: &[Parcel]) -> Report {
        let Self { client, body, form, most } = self;
        in_parts(parcels, most, |parcels| send(client, *body, *form, parcels))
    }
}

fn send(client: &Client, body: Body, form: Form, parcels: &[Parcel]) -> Sent {
    let mut fates = vec![Fate::Delivered; parcels.len()];
    let mut lines = Vec::with_capacity(parcels.len());
    for (parcel, fate) in parcels.iter().zip(&mut fates) {
        match rendered(parcel, form) {
            Ok((_, line)) => lines.push(line),
            Err(why) => *fate = Fate::Refused(why),
        }
    }
    if lines.is_empty() {
        return Sent::Fates(fates, None);
    }
    let kind = match (body, form) {
        (Body::List, _) => "application/json",
        (Body::Lines, Form::Cef) => "text/plain",
        (Body::Lines, _) => "application/x-ndjson",
    };
    let answer = match client.post("", kind, &written(&lines, body, form), None) {
        Ok(answer) => answer,
        Err(trouble) => return Sent::Failed(trouble),
    };
    match verdict(answer.status) {
        Verdict::Taken => Sent::Fates(fates, None),
        Verdict::Known => Sent::Bad(Fate::Duplicate, None),
        Verdict::TooLarge => Sent::TooLarge(words_of(&answer)),
        Verdict::Bad => Sent::Bad(Fate::Refused(words_of(&answer)), None),
        Verdict::Later => Sent::Failed(client.answered(&answer)),
    }
}

fn written(lines: &[Vec<u8>], body: Body, form: Form) -> Vec<u8> {
    let [opens, separates, closes]: [&[u8]; 3] = match body {
        Body::Lines => [b"", b"\n", b"\n"],
        Body::List => [b"[", b",", b"]"],
    };
    let mut octets = opens.to_vec();
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            octets.extend_from_slice(separates);
        }
        match (body, form) {
            (Body::List, Form::Cef) => octets.extend_from_slice(super::quoted(line).as_bytes()),
            _ => octets.extend_from_slice(line),
        }
    }
    octets.extend_from_slice(closes);
    octets
}
