//! What a server's certificate says of itself. Nothing is verified: no signature, no chain, no trust.
//!
//! The frame is read by a strict parser; names, where real certificates are odd in many ways, by hand and leniently. A
//! certificate that cannot be read gives no facts.

mod algorithms;

use super::fields::Fields;
use crate::limits::{CERTIFICATE_NAMES, TEXT_CHARS};
use crate::mail::text::Text;
use algorithms::{key, key_bits, signature};
use sha2::{Digest, Sha256};
use std::net::{Ipv4Addr, Ipv6Addr};
use x509_cert::certificate::{CertificateInner, Raw, TbsCertificateInner};
use x509_cert::der::asn1::{Any, ObjectIdentifier};
use x509_cert::der::{Class, Decode, Header, Reader, SliceReader, Tag, Tagged};
use x509_cert::name::Name;
use x509_cert::time::Time;

/// What the certificate of a server says, which it sends in clear before TLS 1.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// SHA-256 of the certificate as it was sent.
    pub sha256: [u8; 32],
    /// Whose it is: `CN=mail.example,O=Example Mail` (RFC 4514).
    pub subject: Text,
    /// Who signed it.
    pub issuer: Text,
    /// Valid from: seconds since 1970.
    pub not_before: i64,
    /// Valid until: seconds since 1970.
    pub not_after: i64,
    /// Issuer and subject are the same.
    pub is_self_signed: bool,
    /// Hosts it is for: DNS names and addresses, or the common name where there are none (RFC 9525 does without it,
    /// but older certificates have nothing else). At most 16.
    pub names: Vec<Text>,
    /// There are more names than that: no name can be said to be missing.
    pub has_more_names: bool,
    /// The kind of key: `rsa`, `ec`, `ed25519`, `ed448`, `dsa` or `other`.
    pub key: &'static str,
    /// Its length in bits, 0 when not known.
    pub key_bits: u32,
    /// How it is signed: `sha256WithRSA`, `ecdsa-with-SHA256`, ... or `other`.
    pub signature: &'static str,
    /// Certificates in the message, this one included.
    pub chain_len: usize,
}

impl CertificateFacts {
    /// Reads the body of a Certificate message (RFC 5246 §7.4.2), whose first certificate is the server's own.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut list = Fields(body).vector(3)?;
        let own = list.vector(3)?.0;
        let others = std::iter::from_fn(|| list.vector(3)).count();
        Self::of(own, 1 + others)
    }

    /// Reads a certificate.
    pub(super) fn of(certificate: &[u8], chain_len: usize) -> Option<Self> {
        // Decoded from a reader, what stands behind it is not an error: some servers send a few octets more.
        let parsed = CertificateInner::<Raw>::decode(&mut SliceReader::new(certificate).ok()?).ok()?;
        let told = parsed.tbs_certificate();
        let names = names(told);
        Some(Self {
            sha256: Sha256::digest(certificate).into(),
            subject: distinguished(told.subject()),
            issuer: distinguished(told.issuer()),
            not_before: seconds(told.validity().not_before),
            not_after: seconds(told.validity().not_after),
            is_self_signed: told.issuer() == told.subject(),
            has_more_names: names.len() > CERTIFICATE_NAMES,
            names: names.into_iter().take(CERTIFICATE_NAMES).collect(),
            key: key(told.subject_public_key_info()),
            key_bits: key_bits(told.subject_public_key_info()).unwrap_or(0),
            signature: signature(&parsed.signature_algorithm().oid),
            chain_len,
        })
    }
}

fn seconds(time: Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// The hosts it is for, one more than are wanted where there are more.
fn names(told: &TbsCertificateInner<Raw>) -> Vec<Text> {
    let extensions = told.extensions().map(Vec::as_slice).unwrap_or_default();
    let content = extensions.iter().find(|extension| extension.extn_id == SUBJECT_ALT_NAME);
    let hosts = content.map(|extension| alternative_names(extension.extn_value.as_bytes())).unwrap_or_default();
    if !hosts.is_empty() {
        return hosts;
    }
    // The last is the most specific (RFC 6125 §6.4.4).
    let common = told.subject().iter().filter(|attribute| attribute.oid == COMMON_NAME).last();
    common.map(|attribute| Text::new(&characters(&attribute.value))).into_iter().collect()
}

/// DNS names and addresses of a `SubjectAltName` (RFC 5280 §4.2.1.6). Names of other types and such as cannot be
/// read are left out, whatever they hold.
fn alternative_names(content: &[u8]) -> Vec<Text> {
    let Some((Tag::Sequence, mut list)) = element(&mut { content }) else { return Vec::new() };
    let elements = std::iter::from_fn(|| element(&mut list));
    elements.filter_map(|(tag, content)| host(tag, content)).take(CERTIFICATE_NAMES + 1).collect()
}

fn host(tag: Tag, content: &[u8]) -> Option<Text> {
    if tag.class() != Class::ContextSpecific {
        return None;
    }
    match tag.number().value() {
        2 if !content.is_empty() => Some(Text::new(content)),
        7 => {
            let v4 = <[u8; 4]>::try_from(content).map(|octets| Ipv4Addr::from(octets).to_string());
            let v6 = <[u8; 16]>::try_from(content).map(|octets| Ipv6Addr::from(octets).to_string());
            v4.or(v6).ok().map(|address| Text::new(address.as_bytes()))
        }
        _ => None,
    }
}

/// The next element: its tag and content.
fn element<'a>(octets: &mut &'a [u8]) -> Option<(Tag, &'a [u8])> {
    let mut reader = SliceReader::new(octets).ok()?;
    let header = Header::decode(&mut reader).ok()?;
    let content = reader.read_slice(header.length()).ok()?;
    *octets = reader.read_slice(reader.remaining_len()).ok()?;
    Some((header.tag(), content))
}

/// A name as RFC 4514 writes it: the last part first.
fn distinguished(name: &Name) -> Text {
    let mut text = Vec::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for part in parts.into_iter().rev() {
        for (index, attribute) in part.iter().enumerate() {
            match (text.is_empty(), index) {
                (true, _) => {}
                (false, 0) => text.push(b','),
                (false, _) => text.push(b'+'),
            }
            text.extend_from_slice(attribute_name(&attribute.oid).as_bytes());
            text.push(b'=');
            escape(&characters(&attribute.value), &mut text);
        }
        // Text shows no more of it.
        if text.len() > 4 * TEXT_CHARS {
            break;
        }
    }
    Text::new(&text)
}

/// RFC 4514 §3, and the one that people expect besides; others by their numbers.
fn attribute_name(oid: &ObjectIdentifier) -> String {
    let number = oid.to_string();
    let name = match number.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return number,
    };
    name.to_owned()
}

/// The characters of a string of any type, as UTF-8 where they are what the type promises.
fn characters(value: &Any) -> Vec<u8> {
    let octets = value.value();
    match value.tag() {
        // Everybody writes Latin-1 into it.
        Tag::TeletexString => octets.iter().map(|&octet| char::from(octet)).collect::<String>().into_bytes(),
        Tag::BmpString => {
            let units = octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>().into()
        }
        _ => octets.to_vec(),
    }
}

/// RFC 4514 §2.4: so that a value cannot look like another attribute.
fn escape(value: &[u8], text: &mut Vec<u8>) {
    for (index, &octet) in value.iter().enumerate() {
        let is_edge = octet == b' ' && (index == 0 || index + 1 == value.len()) || octet == b'#' && index == 0;
        if is_edge || matches!(octet, b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\') {
            text.push(b'\\');
        }
        text.push(octet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element of DER.
    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let len = match content.len() {
            short @ 0..128 => vec![short as u8],
            mid @ 128..256 => vec![0x81, mid as u8],
            long => [&[0x82][..], &(long as u16).to_be_bytes()].concat(),
        };
        [&[tag][..], &len, &content].concat()
    }

    fn oid(number: &str) -> Vec<u8> {
        der(6, &[ObjectIdentifier::new_unwrap(number).as_bytes()])
    }

    /// A name of one attribute a part.
    fn name(attributes: &[(&str, u8, &[u8])]) -> Vec<u8> {
        let part =
            |(number, tag, value): &(&str, u8, &[u8])| der(0x31, &[&der(0x30, &[&oid(number), &der(*tag, &[value])])]);
        der(0x30, &[&attributes.iter().map(part).collect::<Vec<_>>().concat()])
    }

    fn rsa(modulus: &[u8]) -> Vec<u8> {
        let key = der(0x30, &[&der(2, &[modulus]), &der(2, &[&[1, 0, 1]])]);
        der(0x30, &[&der(0x30, &[&oid("1.2.840.113549.1.1.1"), &[5, 0]]), &der(3, &[&[0], &key])])
    }

    fn key_of(algorithm: &str, parameters: &[u8], key: &[u8]) -> Vec<u8> {
        der(0x30, &[&der(0x30, &[&oid(algorithm), parameters]), &der(3, &[&[0], key])])
    }

    /// The parts of a certificate that differ between tests.
    struct Parts {
        serial: Vec<u8>,
        signature: &'static str,
        issuer: Vec<u8>,
        times: [&'static str; 2],
        subject: Vec<u8>,
        key: Vec<u8>,
        alternatives: Option<Vec<u8>>,
    }

    impl Default for Parts {
        fn default() -> Self {
            Self {
                serial: vec![1],
                signature: "1.2.840.113549.1.1.11",
                issuer: name(&[("2.5.4.3", 12, b"CA")]),
                times: ["200102030405Z", "300102030405Z"],
                subject: name(&[("2.5.4.3", 12, b"mail.example")]),
                key: rsa(&[0xc1; 256]),
                alternatives: None,
            }
        }
    }

    impl Parts {
        fn der(&self) -> Vec<u8> {
            let algorithm = der(0x30, &[&oid(self.signature), &[5, 0]]);
            let time = |text: &str| der(if text.len() == 13 { 23 } else { 24 }, &[text.as_bytes()]);
            let times = self.times.map(time).concat();
            let extension = |content: &Vec<u8>| {
                let extension = der(0x30, &[&oid("2.5.29.17"), &der(4, &[content])]);
                der(0xa3, &[&der(0x30, &[&extension])])
            };
            let told = der(
                0x30,
                &[
                    &der(0xa0, &[&[2, 1, 2]]),
                    &der(2, &[&self.serial]),
                    &algorithm,
                    &self.issuer,
                    &der(0x30, &[&times]),
                    &self.subject,
                    &self.key,
                    &self.alternatives.as_ref().map(extension).unwrap_or_default(),
                ],
            );
            der(0x30, &[&told, &algorithm, &der(3, &[&[0], &[5; 64]])])
        }

        fn facts(&self) -> CertificateFacts {
            CertificateFacts::of(&self.der(), 1).expect("a certificate")
        }
    }

    fn texts(names: &[Text]) -> Vec<&str> {
        names.iter().map(Text::as_str).collect()
    }

    #[test]
    fn what_it_says_is_told() {
        let facts = Parts::default().facts();
        assert_eq!((facts.subject.as_str(), facts.issuer.as_str()), ("CN=mail.example", "CN=CA"));
        assert_eq!((facts.not_before, facts.not_after), (1_577_934_245, 1_893_553_445));
        assert_eq!((facts.key, facts.key_bits, facts.signature), ("rsa", 2048, "sha256WithRSA"));
        assert!(!facts.is_self_signed);
        assert_eq!(texts(&facts.names), ["mail.example"]);
        let certificate = Parts::default().der();
        assert_eq!(facts.sha256[..], Sha256::digest(&certificate)[..]);
        let itself = Parts { issuer: name(&[("2.5.4.3", 12, b"mail.example")]), ..Parts::default() };
        assert!(itself.facts().is_self_signed);
    }

    #[test]
    fn alternative_names_come_before_the_common_name() {
        let list = |names: &[(u8, &[u8])]| {
            der(0x30, &[&names.iter().map(|(tag, value)| der(*tag, &[value])).collect::<Vec<_>>().concat()])
        };
        let told = |content: Vec<u8>| {
            let facts = Parts { alternatives: Some(content), ..Parts::default() }.facts();
            texts(&facts.names).join(" ")
        };
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x25];
        assert_eq!(
            told(list(&[(0x82, b"a.example"), (0x87, &[192, 0, 2, 1]), (0x87, &v6)])),
            "a.example 192.0.2.1 2001:db8::25"
        );
        // A name of another type, of an unknown one, an address of no length, no ASCII.
        let odd: [(u8, &[u8]); 5] =
            [(0x81, b"x@y"), (0xa4, b""), (0x8a, b"?"), (0x87, b"10.0.0.1"), (0x82, b"m\xfcller")];
        assert_eq!(told(list(&odd)), "m\\u{dcfc}ller");
        for content in [list(&[]), list(&[(0x81, b"x@y")]), vec![], vec![0x30, 0x90, 1], vec![4, 1, 7]] {
            assert_eq!(told(content), "mail.example");
        }
    }

    #[test]
    fn names_are_bounded_and_the_rest_is_told_of() {
        let list = |count| {
            let names = vec![der(0x82, &[b"a.example"]); count];
            Parts { alternatives: Some(der(0x30, &[&names.concat()])), ..Parts::default() }.facts()
        };
        assert_eq!((list(16).names.len(), list(16).has_more_names), (16, false));
        assert_eq!((list(17).names.len(), list(17).has_more_names), (16, true));
    }

    #[test]
    fn distinguished_names_are_written_as_rfc_4514_does() {
        let written = |attributes: &[(&str, u8, &[u8])]| {
            Parts { subject: name(attributes), ..Parts::default() }.facts().subject.as_str().to_owned()
        };
        assert_eq!(written(&[]), "");
        assert_eq!(
            written(&[("2.5.4.6", 19, b"DE"), ("2.5.4.10", 12, b"A, B+C"), ("2.5.4.3", 12, b"#mail ")]),
            "CN=\\#mail\\ ,O=A\\, B\\+C,C=DE"
        );
        assert_eq!(written(&[("2.5.4.3", 20, b"M\xfcller")]), "CN=M\u{fc}ller");
        assert_eq!(written(&[("2.5.4.3", 30, &[0, b'm', 0, 0xe4])]), "CN=m\u{e4}");
        assert_eq!(written(&[("2.5.4.3", 12, b"a\r\n\xff")]), "CN=a\\u{d}\\u{a}\\u{dcff}");
        assert_eq!(
            written(&[("1.2.3.4", 12, b"x"), ("1.2.840.113549.1.9.1", 22, b"a@b")]),
            "emailAddress=a@b,1.2.3.4=x"
        );
        let long = vec![("2.5.4.11", 12, &[b'x'; 200][..]); 100];
        assert_eq!(written(&long).len(), 256);
    }

    #[test]
    fn keys_are_measured() {
        let measured = |key| {
            let facts = Parts { key, ..Parts::default() }.facts();
            (facts.key, facts.key_bits)
        };
        assert_eq!(measured(rsa(&[&[0][..], &[0x80; 128]].concat())), ("rsa", 1024));
        assert_eq!(measured(rsa(&[0x7f; 64])), ("rsa", 511));
        assert_eq!(measured(key_of("1.2.840.113549.1.1.1", &[5, 0], &[0x30, 9])), ("rsa", 0));
        let point = [&[4][..], &[1; 56]].concat();
        let ec = "1.2.840.10045.2.1";
        assert_eq!(measured(key_of(ec, &oid("1.2.840.10045.3.1.7"), &point)), ("ec", 256));
        assert_eq!(measured(key_of(ec, &oid("1.3.132.0.35"), &[])), ("ec", 521));
        assert_eq!(measured(key_of(ec, &oid("1.2.3"), &point)), ("ec", 224));
        assert_eq!(measured(key_of(ec, &[5, 0], &[])), ("ec", 0));
        assert_eq!(measured(key_of("1.3.101.112", &[], &[7; 32])), ("ed25519", 256));
        let parameters = der(0x30, &[&der(2, &[&[0], &[0x90; 128]])]);
        assert_eq!(measured(key_of("1.2.840.10040.4.1", &parameters, &[])), ("dsa", 1024));
        assert_eq!(measured(key_of("1.2.840.10040.4.1", &[], &[])), ("dsa", 0));
        assert_eq!(measured(key_of("1.2.3", &[], &[])), ("other", 0));
    }

    #[test]
    fn odd_certificates_are_read_all_the_same() {
        let odd = [
            Parts { serial: vec![0xf1, 0x22], ..Parts::default() },
            Parts { serial: vec![0x11; 40], ..Parts::default() },
            Parts { times: ["200102030405Z", "99991231235959Z"], ..Parts::default() },
            Parts { times: ["20200102030405Z", "20300102030405Z"], ..Parts::default() },
            Parts { subject: name(&[]), issuer: name(&[]), ..Parts::default() },
            Parts { signature: "1.3.14.3.2.29", ..Parts::default() },
            Parts { signature: "1.2.3", ..Parts::default() },
        ];
        let signatures: Vec<_> = odd.iter().map(|parts| parts.facts().signature).collect();
        assert_eq!(signatures[4..], ["sha256WithRSA", "sha1WithRSA", "other"]);
        let longer = [&Parts::default().der()[..], &[0, 0]].concat();
        assert!(CertificateFacts::of(&longer, 1).is_some());
    }

    #[test]
    fn what_is_no_certificate_gives_no_facts() {
        let whole = Parts::default().der();
        assert!((0..whole.len()).all(|len| CertificateFacts::of(&whole[..len], 1).is_none()));
        let never = Parts { times: ["209913999999Z", "300102030405Z"], ..Parts::default() };
        assert!(CertificateFacts::of(&never.der(), 1).is_none());
        assert!(CertificateFacts::read(&[]).is_none());
        assert!(CertificateFacts::read(&[0, 0, 0]).is_none());
    }

    proptest::proptest! {
        #[test]
        fn changed_octets_do_no_harm(at in 0..700usize, octet: u8, more in 0..700usize, other: u8) {
            let alternatives = der(0x30, &[&der(0x82, &[b"a.example"]), &der(0x87, &[&[192, 0, 2, 1]])]);
            let mut certificate = Parts { alternatives: Some(alternatives), ..Parts::default() }.der();
            for (at, octet) in [(at, octet), (more, other)] {
                if let Some(changed) = certificate.get_mut(at) {
                    *changed = octet;
                }
            }
            let _ = CertificateFacts::of(&certificate, 1);
        }
    }
}
