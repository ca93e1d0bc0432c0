//! Records as octets that another run of this program reads: nothing is left out, and nothing that is read is believed.
//!
//! Each type writes its fields one after the other; what is read must be a value that could have been written, with no
//! octet left over. Where the octets are kept, and what tells that they are whole, is not known here.

use super::catalogue::{CATALOGUE, FindingId};
use super::record::{Coverage, Evidence, Finding, Flow, Login, Offer, Record, Session, Starttls, TlsFacts};
use super::software::{CLIENTS, SERVERS, Software};
use super::uid::Uid;
use super::varint;
use crate::mail::{
    CapabilitySource, CertificateFacts, ClientHello, Confidence, Outcome, PROTOCOLS, Protocol, Reason, SecretClass,
    StarttlsReply, Strength, Text, Timing, Validity, Variant,
};
use crate::secret::Fingerprint;
use crate::stream::{Direction, Overlap};
use crate::wire::{Endpoint, PacketRef, Timestamp, Tunnel, TunnelKind};
use std::sync::{Arc, Mutex, PoisonError};

/// The form that is written. It grows by one whenever a record changes.
pub const SERIAL_VERSION: u32 = 1;

/// Things in a list: more than any record has.
const MOST: u64 = 4096;
/// Octets of a word or path.
const WORD_OCTETS: u64 = 64 * 1024;

/// Octets that are still to be read.
struct Reader<'a>(&'a [u8]);

/// What is written and read.
trait Serial: Sized {
    fn write(&self, out: &mut Vec<u8>);
    fn read(from: &mut Reader<'_>) -> Option<Self>;
}

impl Record {
    /// Appends all that it says.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Finding(finding) => (0_u8.write(out), finding.write(out)).1,
            Self::Login(login) => (1_u8.write(out), login.write(out)).1,
            Self::Session(session) => (2_u8.write(out), session.write(out)).1,
        }
    }

    /// Reads what [`Record::write`] wrote; `None` if it wrote no such octets.
    #[must_use]
    pub fn read(octets: &[u8]) -> Option<Self> {
        let mut from = Reader(octets);
        let record = match u8::read(&mut from)? {
            0 => Self::Finding(Serial::read(&mut from)?),
            1 => Self::Login(Serial::read(&mut from)?),
            2 => Self::Session(Serial::read(&mut from)?),
            _ => return None,
        };
        from.0.is_empty().then_some(record)
    }
}

impl<'a> Reader<'a> {
    fn part(&mut self, len: usize) -> Option<&'a [u8]> {
        self.0.split_off(..len)
    }

    fn octets<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.part(N)?.try_into().ok()
    }

    fn len(&mut self, most: u64) -> Option<usize> {
        let len = u64::read(self)?;
        (len <= most).then_some(len as usize)
    }
}

impl Serial for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        varint::append(*self, out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        varint::read(|| from.octets().map(|[octet]| octet).ok_or(())).ok()?
    }
}

macro_rules! numbers {
    ($($name:ty),*) => { $(
        impl Serial for $name {
            fn write(&self, out: &mut Vec<u8>) {
                (*self as u64).write(out);
            }

            fn read(from: &mut Reader<'_>) -> Option<Self> {
                u64::read(from)?.try_into().ok()
            }
        }
    )* };
}

numbers!(u8, u16, u32, usize);

macro_rules! whole {
    ($($name:ty),*) => { $(
        impl Serial for $name {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn read(from: &mut Reader<'_>) -> Option<Self> {
                from.octets().map(Self::from_le_bytes)
            }
        }
    )* };
}

whole!(u128, i64);

impl Serial for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        match from.octets()? {
            [0] => Some(false),
            [1] => Some(true),
            [_] => None,
        }
    }
}

impl<T: Serial> Serial for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        self.iter().for_each(|value| value.write(out));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        if bool::read(from)? { T::read(from).map(Some) } else { Some(None) }
    }
}

impl<T: Serial> Serial for Box<T> {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        T::read(from).map(Self::new)
    }
}

impl<T: Serial> Serial for Arc<T> {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        T::read(from).map(Self::new)
    }
}

impl<T: Serial> Serial for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        self.iter().for_each(|value| value.write(out));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        // Nothing is set aside for what may not come.
        (0..from.len(MOST)?).map(|_| T::read(from)).collect()
    }
}

impl<T: Serial, const N: usize> Serial for [T; N] {
    fn write(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.write(out));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let all: Vec<T> = (0..N).map(|_| T::read(from)).collect::<Option<_>>()?;
        all.try_into().ok()
    }
}

impl Serial for String {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let len = from.len(WORD_OCTETS)?;
        std::str::from_utf8(from.part(len)?).ok().map(str::to_owned)
    }
}

impl Serial for Box<str> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        String::read(from).map(String::into_boxed_str)
    }
}

impl Serial for &'static str {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let len = from.len(WORD_LETTERS)?;
        word(std::str::from_utf8(from.part(len)?).ok()?)
    }
}

/// Letters of a word of this program's own.
const WORD_LETTERS: u64 = 64;
/// Such words: records have less than a hundred in all.
const WORDS: usize = 512;

/// Words of this program's own, of each the one copy, which stays for ever.
struct Words(Vec<&'static str>);

impl Words {
    /// Attack: a file of words that never were would fill the memory, so there is an end to them.
    fn of(&mut self, text: &str) -> Option<&'static str> {
        if let Some(known) = self.0.iter().find(|known| **known == text) {
            return Some(known);
        }
        if self.0.len() >= WORDS || !text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
            return None;
        }
        let word: &'static str = Box::leak(text.into());
        self.0.push(word);
        Some(word)
    }
}

fn word(text: &str) -> Option<&'static str> {
    static KNOWN: Mutex<Words> = Mutex::new(Words(Vec::new()));
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).of(text)
}

impl Serial for Text {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_lossy().write(out);
        self.as_bytes().len().write(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (is_lossy, len) = (bool::read(from)?, from.len(WORD_OCTETS)?);
        Self::reread(from.part(len)?, is_lossy)
    }
}

impl Serial for Fingerprint {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.octets());
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        from.octets().map(|octets| Self::restored(&octets))
    }
}

impl Serial for Uid {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.octets());
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        from.octets().map(Self::restored)
    }
}

/// Servers by their place in the list, clients after them.
impl Serial for &'static Software {
    fn write(&self, out: &mut Vec<u8>) {
        let at = softwares().position(|known| known.name == self.name);
        at.unwrap_or(usize::MAX).write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        softwares().nth(usize::read(from)?)
    }
}

fn softwares() -> impl Iterator<Item = &'static Software> {
    SERVERS.iter().map(|known| &known.software).chain(CLIENTS.iter().map(|known| &known.software))
}

impl Serial for Endpoint {
    fn write(&self, out: &mut Vec<u8>) {
        ({ self.address }.write(out), { self.port }.write(out)).1
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { address: Serial::read(from)?, port: Serial::read(from)? })
    }
}

impl Serial for Timestamp {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        u64::read(from).map(Self)
    }
}

impl Serial for Tunnel {
    fn write(&self, out: &mut Vec<u8>) {
        ({ self.kind }.write(out), self.ends().write(out)).1
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (kind, ends) = (TunnelKind::read(from)?, Serial::read(from)?);
        Some(Self::new(kind, ends))
    }
}

/// One of a list, by its place there.
macro_rules! one_of {
    ($name:ty: $list:expr) => {
        impl Serial for $name {
            fn write(&self, out: &mut Vec<u8>) {
                let at = $list.into_iter().position(|one| one == *self);
                debug_assert!(at.is_some(), "the list has them all");
                at.unwrap_or(usize::MAX).write(out);
            }

            fn read(from: &mut Reader<'_>) -> Option<Self> {
                $list.into_iter().nth(usize::read(from)?)
            }
        }
    };
    ($name:ident { $($variant:ident),* }) => { one_of!($name: [$($name::$variant),*]); };
}

one_of!(FindingId: CATALOGUE.iter().map(|entry| entry.id));
one_of!(Protocol: PROTOCOLS.iter().map(|info| info.protocol));
one_of!(TunnelKind: TunnelKind::ALL.iter().map(|(kind, _)| *kind));
one_of!(Reason: Reason::ALL);
one_of!(Direction { ToServer, ToClient });
one_of!(Confidence { Possible, Probable, Confirmed });
one_of!(Validity { Unknown, Likely, Valid, Ambiguous });
one_of!(SecretClass { Password, Bearer, Crackable, None });
one_of!(Variant { Command, Quoted, Literal, LiteralPlus, InitialResponse, Continuation });
one_of!(Timing { BeforeReply, AfterReply, Unknown });
one_of!(CapabilitySource { Greeting, Ehlo, Capa, Capability, TaggedOk });
one_of!(StarttlsReply { Accepted, Refused, RefusedTemporarily, Odd });

/// One of a few, or the one with a reason, whose number is the last.
macro_rules! one_or_reason {
    ($name:ident { $($variant:ident = $number:literal),*; $reason:ident = $last:literal }) => {
        impl Serial for $name {
            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant => out.push($number),)*
                    Self::$reason(reason) => (out.push($last), reason.write(out)).1,
                }
            }

            fn read(from: &mut Reader<'_>) -> Option<Self> {
                match from.octets()? {
                    $([$number] => Some(Self::$variant),)*
                    [$last] => Reason::read(from).map(Self::$reason),
                    [_] => None,
                }
            }
        }
    };
}

one_or_reason!(Offer { Offered = 0, NotOffered = 1; Unknown = 2 });
one_or_reason!(Coverage { Complete = 0; Partial = 1 });
one_or_reason!(Outcome {
    Accepted = 0, Rejected = 1, RejectedAfterAuth = 2, RefusedByPolicy = 3, Cancelled = 4; Unknown = 5
});

/// Field by field. A field that is forgotten here does not compile.
macro_rules! fields {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl Serial for $name {
            fn write(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.write(out);)*
            }

            fn read(from: &mut Reader<'_>) -> Option<Self> {
                Some(Self { $($field: Serial::read(from)?),* })
            }
        }
    };
}

fields!(PacketRef { time, input, number });
fields!(Flow { client, server, start, protocol, vlan, tunnel, isns });
fields!(Starttls { offer, is_requested, reply, reply_code });
fields!(Strength { hash, iterations, ntlm });
fields!(ClientHello { server_name, version, ja4, is_sslv2 });
fields!(CertificateFacts {
    sha256,
    subject,
    issuer,
    not_before,
    not_after,
    is_self_signed,
    names,
    has_more_names,
    key,
    key_bits,
    signature,
    chain_len,
});
fields!(TlsFacts { version, cipher, hello, certificate });
fields!(Overlap { direction, begin, octets, ttl, is_sound, is_older, is_late, is_elsewhere, is_urgent });
fields!(Evidence {
    kind,
    also,
    timing,
    octets,
    server_reacted,
    cause,
    context,
    offer_source,
    capabilities,
    path,
    strength,
    tls,
    places,
    attempts,
    seconds,
    overlap,
});
fields!(Finding {
    id,
    severity,
    confidence,
    flow,
    at,
    user,
    authzid,
    mechanism,
    outcome,
    validity,
    fingerprint,
    starttls,
    missing,
    evidence,
    uid,
    related,
    server_software,
    client_software,
});
fields!(Login {
    flow,
    ordinal,
    at,
    mechanism,
    variant,
    class,
    user,
    domain,
    authzid,
    fingerprint,
    is_ambiguous,
    other_fingerprint,
    outcome,
    validity,
    is_empty,
    strength,
    is_injected,
    is_inferred,
    code,
    confidence,
    starttls,
});
fields!(Session {
    flow,
    end,
    packets,
    octets,
    starttls,
    is_tls,
    tls,
    is_implicit_tls,
    tls_failure,
    is_masked,
    exposed,
    logins,
    messages,
    coverage,
    confidence,
    banner,
    client_name,
    proxied_client,
    server_software,
    client_software,
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A finding with as much to it as there can be.
    fn full() -> Record {
        let text = |text: &str| Some(Text::new(text.as_bytes()));
        let at = PacketRef { time: Timestamp(7 << 40), input: 3, number: 99 };
        let end = |port| Endpoint { address: Endpoint::v4(0x0a00_0001), port };
        let flow = Flow {
            client: end(5000),
            server: end(143),
            start: at,
            protocol: Protocol::Imap,
            vlan: Some(4095),
            tunnel: Some(Tunnel::new(TunnelKind::Vxlan, Some([1, u128::MAX]))),
            isns: Some([0, u32::MAX]),
        };
        let certificate = CertificateFacts {
            sha256: [9; 32],
            subject: Text::new(b"CN=mail.example"),
            issuer: Text::new(b"CN=mail.example,O=Example Mail of a long name"),
            not_before: -1,
            not_after: i64::MAX,
            is_self_signed: true,
            names: vec![Text::new(b"mail.example"), Text::new(b"\xff\n")],
            has_more_names: false,
            key: "rsa",
            key_bits: 2048,
            signature: "sha256WithRSA",
            chain_len: 2,
        };
        let mut finding = Finding::new(FindingId::CleartextPassword, Some(flow), at, Confidence::Probable);
        finding.user = text("eve\r\nadmin@example.org of some length");
        finding.outcome = Some(Outcome::Unknown(Reason::Gap));
        finding.starttls = Some(Starttls {
            offer: Offer::Unknown(Reason::NotAsked),
            is_requested: true,
            reply: Some(StarttlsReply::Odd),
            reply_code: text("NO"),
        });
        finding.related = vec![Uid::restored([5; 10])];
        finding.fingerprint = Some(Fingerprint::restored(&[4; Fingerprint::LEN]));
        finding.server_software = softwares().next();
        finding.client_software = softwares().last();
        let evidence = finding.evidence_mut();
        evidence.kind = Some("self-signed");
        evidence.also = vec!["expired", "weak-key"];
        evidence.tls.certificate = Some(Box::new(certificate));
        evidence.places = vec!["192.0.2.1:143 imap eve".to_owned()];
        evidence.attempts = Some([3, 4]);
        Record::Finding(Box::new(finding))
    }

    fn written(record: &Record) -> Vec<u8> {
        let mut out = Vec::new();
        record.write(&mut out);
        out
    }

    #[test]
    fn what_was_written_is_read_and_no_more_than_that() {
        let octets = written(&full());
        assert_eq!(Record::read(&octets), Some(full()));
        assert_eq!(Record::read(&[&octets[..], &[0]].concat()), None, "an octet is left over");
        for cut in 0..octets.len() {
            assert_eq!(Record::read(&octets[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn text_that_could_forge_a_line_is_not_believed() {
        let mut octets = Vec::new();
        false.write(&mut octets);
        String::from("a\nb").write(&mut octets);
        assert_eq!(Text::read(&mut Reader(&octets)), None);
    }

    #[test]
    fn words_without_an_end_come_to_one() {
        let mut words = Words(Vec::new());
        let read = (0..2 * WORDS).filter(|number| words.of(&format!("made-up-{number}")).is_some()).count();
        assert_eq!(read, WORDS);
        assert_eq!(words.of("made-up-0"), Some("made-up-0"));
        assert_eq!(Words(Vec::new()).of("line\nend"), None);
    }

    proptest! {
        /// Whatever stands in a file, it is read or refused, and what is read is written as it stood there.
        #[test]
        fn no_octets_bring_it_down(octets: Vec<u8>, changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
            drop(Record::read(&octets));
            let mut octets = written(&full());
            for (at, octet) in changes {
                let at = at.index(octets.len());
                octets[at] = octet;
            }
            if let Some(record) = Record::read(&octets) {
                prop_assert_eq!(Record::read(&written(&record)), Some(record));
            }
        }
    }
}
