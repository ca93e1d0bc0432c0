//! The shape of a line: field by field as it is written, in the order it is written. How the fields come about is
//! told in `convert`.
//!
//! A field that is `None` is left out, there are no nulls. Lists are of plain strings only: Wazuh cannot decode arrays
//! of objects and Elasticsearch flattens them. What each field means stands in the schema, not here.

use super::fixed;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::io::Write as _;
use std::net::IpAddr;

/// Text from the wire: borrowed as it stands, owned once it had to be shortened.
pub(super) type WireText<'a> = Cow<'a, str>;

/// Text of a fixed length, without a place of its own: times and identities stand in each line several times.
#[derive(Clone, Copy)]
pub(super) struct Letters<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Default for Letters<N> {
    fn default() -> Self {
        Self([b' '; N])
    }
}

impl<const N: usize> Serialize for Letters<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(PLAIN, &Fixed(&self.0))
    }
}

/// Names what need not be looked at, for it is of letters that stand for themselves in a string.
pub(super) const PLAIN: &str = "plain";

/// RFC 3339, UTC, microseconds.
pub(super) type Time = Letters<27>;

/// An address as text, made once for all places where it stands.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Ip {
    text: [u8; Self::LONGEST],
    len: u8,
    pub(super) is_v4: bool,
}

impl Ip {
    /// Of an IPv6 address with an IPv4 address in it.
    const LONGEST: usize = 45;

    pub(super) fn new(address: IpAddr) -> Self {
        let mut text = [0; Self::LONGEST];
        let len = match address {
            IpAddr::V4(address) => {
                let mut len = 0;
                for octet in address.octets() {
                    let digits = [octet / 100, octet / 10 % 10, octet % 10].map(|digit| b'0' + digit);
                    let zeros = usize::from(octet < 100) + usize::from(octet < 10);
                    // Three places each, of which the next number takes those that are left.
                    text[len..len + 3].copy_from_slice(&[digits[zeros], digits[(zeros + 1).min(2)], digits[2]]);
                    len += 4 - zeros;
                    text[len - 1] = b'.';
                }
                len - 1
            }
            // RFC 5952.
            IpAddr::V6(address) => {
                let mut rest = &mut text[..];
                // What is written fits.
                let _ = write!(rest, "{address}");
                Self::LONGEST - rest.len()
            }
        };
        Self { text, len: len as u8, is_v4: address.is_ipv4() }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len.into()]
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl Serialize for Ip {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(PLAIN, &Fixed(self.as_bytes()))
    }
}

/// JSON that was written before and is the same in many lines. As a field without a name it is members of an object.
#[derive(Clone, Copy, Default)]
pub(super) struct Fixed<'a>(pub(super) &'a [u8]);

impl Serialize for Fixed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// At most two, without a place of their own.
#[derive(Clone, Copy)]
pub(super) struct Few<T>(pub(super) [Option<T>; 2]);

impl<T> Few<T> {
    fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self([None, None])
    }
}

impl<T: Serialize> Serialize for Few<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().flatten())
    }
}

/// Words of which none is from the wire.
pub(super) type Words = &'static [&'static str];

#[derive(Serialize)]
pub(super) struct Line<'a> {
    /// What stands for observer and file where there is no room for them.
    #[serde(skip)]
    pub(super) short_place: &'a fixed::Place,
    #[serde(rename = "@timestamp")]
    pub(super) timestamp: Time,
    pub(super) ecs: Fixed<'a>,
    pub(super) message: String,
    pub(super) event: Event<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<Fixed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) threat: Option<Fixed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) destination: Option<Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network: Option<Network<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) related: Option<Related<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<Tls<'a>>,
    pub(super) observer: Fixed<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) log: Option<Fixed<'a>>,
    pub(super) barewire: Barewire<'a>,
}

#[derive(Default, Serialize)]
pub(super) struct Event<'a> {
    /// [`Head`].
    #[serde(rename = "")]
    pub(super) head: Fixed<'a>,
    pub(super) id: Letters<16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) severity: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) risk_score: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<Time>,
    /// Nanoseconds, as ECS has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Fixed<'a>>,
}

/// What an event is, as far as it does not depend on what was on the wire.
#[derive(Default, Serialize)]
pub(super) struct Head {
    pub(super) kind: &'static str,
    pub(super) category: Words,
    #[serde(rename = "type")]
    pub(super) types: Words,
    pub(super) action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<&'static str>,
    pub(super) dataset: &'static str,
    pub(super) module: &'static str,
    pub(super) provider: &'static str,
}

#[derive(Serialize)]
pub(super) struct Rule {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) category: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<String>,
    pub(super) ruleset: &'static str,
    pub(super) version: &'static str,
}

#[derive(Serialize)]
pub(super) struct Threat {
    pub(super) framework: &'static str,
    pub(super) technique: Names,
    pub(super) tactic: Names,
}

#[derive(Default, Serialize)]
pub(super) struct Names {
    pub(super) id: Vec<&'static str>,
    pub(super) name: Vec<&'static str>,
}

/// One end of a connection. It stands in a line twice, so address and port are written once.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Side {
    #[serde(skip)]
    pub(super) ip: Ip,
    #[serde(rename = "")]
    place: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
}

/// The members `ip` and `port`.
#[derive(Clone, Copy)]
struct Place {
    json: [u8; Self::LONGEST],
    len: u8,
}

impl Place {
    /// Of an address, what stands around it, and a port.
    const LONGEST: usize = Ip::LONGEST + 24;
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.json[..self.len.into()])
    }
}

impl Side {
    pub(super) fn new(ip: Ip, port: Option<u16>) -> Self {
        let mut json = [0; Place::LONGEST];
        let mut len = 0;
        let mut add = |part: &[u8]| {
            json[len..len + part.len()].copy_from_slice(part);
            len += part.len();
        };
        add(b"\"ip\":\"");
        add(ip.as_bytes());
        add(b"\"");
        if let Some(port) = port {
            let digits = [10_000, 1000, 100, 10, 1].map(|unit| b'0' + (port / unit % 10) as u8);
            let zeros = digits.iter().take(4).take_while(|digit| **digit == b'0').count();
            add(b",\"port\":");
            add(&digits[zeros..]);
        }
        Self { ip, place: Place { json, len: len as u8 }, bytes: None }
    }
}

/// What a network is by the protocol and the kind of addresses.
#[derive(Serialize)]
pub(super) struct NetworkHead {
    pub(super) transport: &'static str,
    pub(super) protocol: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
}

#[derive(Serialize)]
pub(super) struct Network<'a> {
    /// [`NetworkHead`].
    #[serde(rename = "")]
    pub(super) head: Fixed<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) community_id: Option<Letters<30>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) packets: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vlan: Option<Vlan>,
}

#[derive(Serialize)]
pub(super) struct Vlan {
    pub(super) id: String,
}

#[derive(Serialize)]
pub(super) struct User<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<WireText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) domain: Option<WireText<'a>>,
}

#[derive(Serialize)]
pub(super) struct Name<'a> {
    pub(super) name: WireText<'a>,
}

#[derive(Default, Serialize)]
pub(super) struct Related<'a> {
    #[serde(skip_serializing_if = "Few::is_empty")]
    pub(super) ip: Few<Ip>,
    #[serde(skip_serializing_if = "Few::is_empty")]
    pub(super) user: Few<&'a str>,
}

#[derive(Default, Serialize)]
pub(super) struct Tls<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) established: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version_protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cipher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<TlsClient<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<TlsServer<'a>>,
}

#[derive(Serialize)]
pub(super) struct TlsServer<'a> {
    pub(super) subject: WireText<'a>,
    pub(super) issuer: WireText<'a>,
    pub(super) not_before: Time,
    pub(super) not_after: Time,
    pub(super) hash: Sha256Hash,
}

#[derive(Serialize)]
pub(super) struct Sha256Hash {
    pub(super) sha256: String,
}

#[derive(Serialize)]
pub(super) struct TlsClient<'a> {
    pub(super) server_name: WireText<'a>,
}

#[derive(Serialize)]
pub(super) struct Observer<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) vendor: &'static str,
    pub(super) product: &'static str,
    pub(super) version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ingress: Option<Ingress<'a>>,
}

#[derive(Serialize)]
pub(super) struct Ingress<'a> {
    pub(super) interface: Name<'a>,
}

#[derive(Serialize)]
pub(super) struct Log<'a> {
    pub(super) file: Path<'a>,
}

#[derive(Serialize)]
pub(super) struct Path<'a> {
    pub(super) path: Cow<'a, str>,
}

#[derive(Default, Serialize)]
pub(super) struct Barewire<'a> {
    pub(super) schema: u8,
    pub(super) packet: u64,
    pub(super) confidence: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) severity: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_seen: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_seen: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) distinct: Option<Distinct>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) login: Option<Login<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) starttls: Option<Starttls<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) implicit_tls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) messages_in_clear: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) coverage: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<Software<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<ClientEnd<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls_failure: Option<WireText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) conversation: Option<Letters<16>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tunnel: Option<Tunnel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evidence: Option<Evidence<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) related: Vec<Letters<16>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proxied: Option<Proxied<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<Lossy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remediation: Option<Fixed<'a>>,
    /// [`Standards`].
    #[serde(rename = "", skip_serializing_if = "Option::is_none")]
    pub(super) standards: Option<Fixed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) accepted: Option<Accepted<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) truncated: Option<bool>,
}

/// Why somebody lets a finding stand.
#[derive(Serialize)]
pub(super) struct Accepted<'a> {
    pub(super) reason: WireText<'a>,
    pub(super) owner: WireText<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Time>,
}

/// What says that it is a weakness.
#[derive(Serialize)]
pub(super) struct Standards {
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    pub(super) cwe: Words,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    pub(super) rfc: Words,
}

#[derive(Serialize)]
pub(super) struct Distinct {
    pub(super) clients: u64,
    pub(super) users: u64,
}

#[derive(Default, Serialize)]
pub(super) struct Login<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mechanism: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) variant: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome_inferred: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret_validity: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fingerprint: Option<Letters<41>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) authzid: Option<WireText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ordinal: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hash: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iterations: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ntlm_version: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ambiguous: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) other_fingerprint: Option<Letters<41>>,
}

/// Two copies of the same octets.
#[derive(Default, PartialEq, Serialize)]
pub(super) struct Overlap {
    pub(super) direction: &'static str,
    pub(super) order: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_ttl: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) later_ttl: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_checksum_right: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) later_checksum_right: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) later_timestamp_older: Option<bool>,
    pub(super) caught_elsewhere: bool,
    pub(super) urgent: bool,
}

#[derive(Default, PartialEq, Serialize)]
pub(super) struct Evidence<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    pub(super) also: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timing: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) octets: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server_reacted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<WireText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offer_source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) capabilities: Option<WireText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) places: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) distinct_secrets: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) distinct_users: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seconds_between: Option<u64>,
    #[serde(flatten)]
    pub(super) overlap: Option<Overlap>,
    #[serde(skip_serializing_if = "<[WireText<'_>]>::is_empty")]
    pub(super) certificate_names: Vec<WireText<'a>>,
}

#[derive(Default, Serialize)]
pub(super) struct ClientEnd<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<WireText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) software: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ja4: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct Starttls<'a> {
    /// [`StarttlsHead`].
    #[serde(rename = "")]
    pub(super) head: Fixed<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reply_code: Option<&'a str>,
}

/// What came of STARTTLS, in words of which there are few.
#[derive(Serialize)]
pub(super) struct StarttlsHead {
    pub(super) offer: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offer_reason: Option<&'static str>,
    pub(super) requested: bool,
    pub(super) reply: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reply_class: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct Software<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) banner: Option<WireText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) software: Option<&'static str>,
}

/// The outermost tunnel of a connection, and the addresses of what carried it.
#[derive(Serialize)]
pub(super) struct Tunnel {
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ends: Vec<Ip>,
}

#[derive(Serialize)]
pub(super) struct Proxied<'a> {
    pub(super) client: &'a str,
}

#[derive(Serialize)]
pub(super) struct Lossy {
    pub(super) lossy: bool,
}
