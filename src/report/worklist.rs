//! What is to be changed, in the order that closes most.
//!
//! A server comes before another when more credentials in clear were seen there: mending it first ends most of what was
//! seen. Among those with none the gravest findings decide. A remedy that several servers need is told once.

use super::model::{ClientTally, Model, Service, ServiceTally};
use crate::finding::FindingId;
use crate::finding::remedies::{Remedy, Topic, checked_with, client_remedy, client_topic, server_remedy, server_topic};
use crate::finding::software::{self, Software};
use std::cmp::Reverse;
use std::net::IpAddr;

/// A remedy that some server or client needs.
pub(super) struct Needed {
    /// `None`: of a sensor that is newer than this program.
    pub(super) topic: Option<Topic>,
    pub(super) remedy: Option<&'static Remedy>,
    /// Where there is no other: what the record says.
    pub(super) told: String,
    pub(super) concerns: u64,
    pub(super) is_client: bool,
}

/// A server with what it must change.
pub(super) struct Task<'a> {
    pub(super) service: Service,
    pub(super) tally: &'a ServiceTally,
    /// Places in [`Worklist::remedies`].
    pub(super) remedies: Vec<usize>,
    /// Disclosures of this and of those before it.
    pub(super) closes: u64,
}

/// Everything that is to be done.
#[derive(Default)]
pub(super) struct Worklist<'a> {
    pub(super) servers: Vec<Task<'a>>,
    /// Those about which there is no finding.
    pub(super) clean: u64,
    pub(super) remedies: Vec<Needed>,
    /// Clients, each with the remedy of its software.
    pub(super) clients: Vec<(IpAddr, &'a ClientTally, usize)>,
}

impl<'a> Worklist<'a> {
    pub(super) fn new(model: &'a Model) -> Self {
        let mut list = Self::default();
        let mut services: Vec<(&Service, &ServiceTally)> = model.services.iter().collect();
        services.sort_by_key(|(service, tally)| {
            let charges: u64 = tally.charges.iter().map(|charge| charge.distinct).sum();
            (Reverse(tally.disclosures()), Reverse(tally.severity()), Reverse(charges), **service)
        });
        let mut closes = 0_u64;
        for (service, tally) in services {
            let remedies = list.remedies_of(model, tally);
            if tally.charges.is_empty() && tally.disclosures() == 0 {
                list.clean += 1;
                continue;
            }
            closes = closes.saturating_add(tally.disclosures());
            remedies.iter().for_each(|at| list.remedies[*at].concerns += 1);
            list.servers.push(Task { service: *service, tally, remedies, closes });
        }
        let mut clients: Vec<_> = model.clients.iter().collect();
        clients.sort_by_key(|(ip, tally)| (Reverse(tally.disclosures()), Reverse(tally.clear_sessions), **ip));
        for (ip, tally) in clients {
            let software = client_named(&tally.software.text);
            let Some(remedy) = client_remedy(FindingId::CleartextPassword, software.as_ref()) else { continue };
            let at = list.remedy(client_topic(FindingId::CleartextPassword), Some(remedy), "", true);
            list.remedies[at].concerns += 1;
            list.clients.push((*ip, tally, at));
        }
        list
    }

    /// What a server must change, most pressing first.
    fn remedies_of(&mut self, model: &Model, tally: &ServiceTally) -> Vec<usize> {
        let software = server_named(&tally.software.text);
        let mut needed = Vec::new();
        for (_, kind) in model.charges(tally) {
            let at = match kind.id {
                Some(id) => {
                    let Some(remedy) = server_remedy(id, software.as_ref()) else { continue };
                    self.remedy(server_topic(id), Some(remedy), "", false)
                }
                None => self.remedy(None, None, &kind.remediation, false),
            };
            if !needed.contains(&at) {
                needed.push(at);
            }
        }
        // Logins alone were given, and a login in clear was among them.
        if needed.is_empty()
            && tally.charges.is_empty()
            && tally.disclosures() > 0
            && let Some(remedy) = server_remedy(FindingId::CleartextPassword, software.as_ref())
        {
            needed.push(self.remedy(server_topic(FindingId::CleartextPassword), Some(remedy), "", false));
        }
        needed
    }

    /// The place of a remedy, the same for all who need it.
    fn remedy(&mut self, topic: Option<Topic>, remedy: Option<&'static Remedy>, told: &str, is_client: bool) -> usize {
        let is_same = |known: &Needed| match (known.remedy, remedy) {
            (Some(known), Some(wanted)) => std::ptr::eq(known, wanted),
            (None, None) => known.told == told,
            _ => false,
        };
        self.remedies.iter().position(is_same).unwrap_or_else(|| {
            self.remedies.push(Needed { topic, remedy, told: told.to_owned(), concerns: 0, is_client });
            self.remedies.len() - 1
        })
    }
}

impl Needed {
    /// What it is for, in a few words.
    pub(super) fn title(&self) -> &'static str {
        match self.topic {
            Some(Topic::RefuseClear) => "Refuse logins without TLS",
            Some(Topic::OfferStarttls) => "Offer STARTTLS",
            Some(Topic::ImplicitTls) => "Serve TLS from the first octet",
            Some(Topic::TlsVersions) => "Allow TLS 1.2 and 1.3 only",
            Some(Topic::Certificate) => "Install a certificate that clients can check",
            Some(Topic::DiscardBeforeTls) => "Discard what came before TLS",
            Some(Topic::Inspection) => "Leave mail alone on the path",
            Some(Topic::Transfer) => "Use TLS from server to server",
            Some(Topic::RequireTls) => "Require TLS in the client",
            None => "As the record says",
        }
    }

    pub(super) fn software(&self) -> &'static str {
        self.remedy.map_or("", |remedy| remedy.software)
    }

    pub(super) fn setting(&self) -> &str {
        self.remedy.map_or(&self.told, |remedy| remedy.setting)
    }

    pub(super) fn test(&self) -> &'static str {
        self.remedy.map_or("", |remedy| remedy.test)
    }

    pub(super) fn checked(&self) -> &'static str {
        let known = self.topic.and_then(|topic| checked_with(topic, self.software()));
        known.unwrap_or_default()
    }
}

fn server_named(name: &str) -> Option<Software> {
    software::SERVERS.iter().map(|known| known.software).find(|known| known.name == name)
}

fn client_named(name: &str) -> Option<Software> {
    software::CLIENTS.iter().map(|known| known.software).find(|known| known.name == name)
}
