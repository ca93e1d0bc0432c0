//! The hellos: what a client offers and what the server chooses of it.

use super::fields::Fields;
use super::{SSL2, ja4};
use crate::mail::text::Text;

/// What a ClientHello says.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ClientHello {
    /// The server name it asks for (RFC 6066 §3).
    pub server_name: Option<Text>,
    /// The highest version it offers: 0x0303 is TLS 1.2. 0 when it could not be read.
    pub version: u16,
    /// Its JA4 fingerprint, which tells kinds of client software apart.
    pub ja4: Option<Box<str>>,
    /// It has the form of SSLv2, whatever version it asks for (RFC 5246 appendix E.2).
    pub is_sslv2: bool,
}

impl ClientHello {
    /// Reads the body of the message; one that is malformed says nothing.
    pub(super) fn read(body: &[u8]) -> Self {
        let Some(offer) = Offer::read(body) else { return Self::default() };
        Self {
            server_name: offer.server_name().map(Text::new),
            version: offer.version(),
            ja4: Some(ja4::fingerprint(&offer)),
            is_sslv2: false,
        }
    }

    /// Reads the SSLv2 message `CLIENT-HELLO`.
    pub(super) fn read_sslv2(message: &[u8]) -> Option<Self> {
        let mut fields = Fields(message);
        (fields.number(1)? == SSL2_CLIENT_HELLO).then_some(())?;
        Some(Self { version: fields.uint16()?, is_sslv2: true, ..Self::default() })
    }
}

const SSL2_CLIENT_HELLO: usize = 1;
const SSL2_SERVER_HELLO: usize = 4;

/// Extension types (RFC 6066, 7301, 8446 §4.2).
pub(super) const SERVER_NAME: u16 = 0;
pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
pub(super) const ALPN: u16 = 16;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;

/// RFC 8701: values that clients send to keep servers tolerant; they offer nothing.
pub(super) fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// The lists of a ClientHello, as they stand there.
pub(super) struct Offer<'a> {
    legacy_version: u16,
    suites: Fields<'a>,
    extensions: Fields<'a>,
}

impl<'a> Offer<'a> {
    /// RFC 8446 §4.1.2. Extensions may be absent, or cut off: those before are read.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let legacy_version = fields.uint16()?;
        fields.take(32)?;
        fields.vector(1)?;
        let suites = fields.vector(2)?;
        fields.vector(1)?;
        let extensions = fields.vector(2).unwrap_or_default();
        Some(Self { legacy_version, suites, extensions })
    }

    /// The highest version offered. RFC 8446 §4.2.1: where the list is, the field before it says nothing.
    pub(super) fn version(&self) -> u16 {
        let list = self.extensions.extension(SUPPORTED_VERSIONS).and_then(|mut content| content.vector(1));
        let highest = list.and_then(|list| list.uint16s().filter(|version| !is_grease(*version)).max());
        highest.unwrap_or(self.legacy_version)
    }

    pub(super) fn suites(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.suites.uint16s().filter(|suite| !is_grease(*suite))
    }

    /// Types of extensions.
    pub(super) fn extensions(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.extensions.extensions().map(|(kind, _)| kind).filter(|kind| !is_grease(*kind))
    }

    pub(super) fn signature_algorithms(&self) -> impl Iterator<Item = u16> + use<'a> {
        let list = self.extensions.extension(SIGNATURE_ALGORITHMS).and_then(|mut content| content.vector(2));
        list.unwrap_or_default().uint16s().filter(|algorithm| !is_grease(*algorithm))
    }

    /// The protocol it would like best (RFC 7301 §3.1).
    pub(super) fn alpn(&self) -> Option<&'a [u8]> {
        let name = self.extensions.extension(ALPN)?.vector(2)?.vector(1)?;
        Some(name.0)
    }

    /// RFC 6066 §3: one name of the only type there is, a host name.
    fn server_name(&self) -> Option<&'a [u8]> {
        let mut names = self.extensions.extension(SERVER_NAME)?.vector(2)?;
        (names.number(1)? == 0).then_some(())?;
        Some(names.vector(2)?.0)
    }

    /// It may send application data before the server has said anything (RFC 8446 §2.3).
    pub(super) fn has_early_data(&self) -> bool {
        self.extensions.extension(EARLY_DATA).is_some()
    }
}

/// What a server chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerHello {
    pub(super) version: u16,
    pub(super) cipher: u16,
    /// A HelloRetryRequest: the version stands, the rest will be said again.
    pub(super) is_retry: bool,
}

/// SHA-256 of "HelloRetryRequest", which stands where a ServerHello is random (RFC 8446 §4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

impl ServerHello {
    /// RFC 8446 §4.1.3; §4.2.1 hides version 1.3 in an extension.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let legacy_version = fields.uint16()?;
        let random = fields.take(32)?;
        fields.vector(1)?;
        let cipher = fields.uint16()?;
        fields.take(1)?;
        let extensions = fields.vector(2).unwrap_or_default();
        let chosen = extensions.extension(SUPPORTED_VERSIONS).and_then(|mut content| content.uint16());
        Some(Self { version: chosen.unwrap_or(legacy_version), cipher, is_retry: random == RETRY })
    }
}

/// The certificate in an SSLv2 `SERVER-HELLO`, if it has one.
pub(super) fn read_sslv2_server_hello(message: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields(message);
    (fields.number(1)? == SSL2_SERVER_HELLO).then_some(())?;
    // Whether the session was known, and the certificate's type, of which there is one.
    fields.take(2)?;
    (fields.uint16()? == SSL2).then_some(())?;
    let len = fields.number(2)?;
    fields.take(4)?;
    fields.take(len)
}

/// Makes the bodies of hellos for tests.
#[cfg(test)]
pub(super) mod testing {
    /// With a length of `octets` octets before it.
    pub(crate) fn vector(octets: usize, content: &[u8]) -> Vec<u8> {
        [&content.len().to_be_bytes()[8 - octets..], content].concat()
    }

    pub(crate) fn uint16s(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    /// A ClientHello of TLS 1.2 with these suites and extensions.
    pub(crate) fn client_hello(suites: &[u16], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let extensions: Vec<u8> =
            extensions.iter().flat_map(|(kind, content)| [uint16s(&[*kind]), vector(2, content)].concat()).collect();
        let parts = [vec![3, 3], vec![7; 32], vec![0], vector(2, &uint16s(suites)), vec![1, 0], vector(2, &extensions)];
        parts.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{client_hello, uint16s, vector};
    use super::*;

    fn name(host: &[u8]) -> (u16, Vec<u8>) {
        (SERVER_NAME, vector(2, &[&[0][..], &vector(2, host)].concat()))
    }

    fn versions(list: &[u16]) -> (u16, Vec<u8>) {
        (SUPPORTED_VERSIONS, vector(1, &uint16s(list)))
    }

    #[test]
    fn the_highest_version_is_the_lists_without_grease() {
        let read = |extensions: &[_]| ClientHello::read(&client_hello(&[0x1301], extensions)).version;
        assert_eq!(read(&[]), 0x0303);
        assert_eq!(read(&[versions(&[0x5a5a, 0x0303, 0x0304])]), 0x0304);
        assert_eq!(read(&[versions(&[0xfafa])]), 0x0303);
    }

    #[test]
    fn the_server_name_is_the_first_host() {
        let hello = ClientHello::read(&client_hello(&[1], &[name(b"mail.example"), versions(&[0x0304])]));
        assert_eq!(hello.server_name.as_ref().map(Text::as_str), Some("mail.example"));
        let other_type = (SERVER_NAME, vector(2, &[&[1][..], &vector(2, b"x")].concat()));
        assert_eq!(ClientHello::read(&client_hello(&[1], &[other_type])).server_name, None);
    }

    #[test]
    fn a_hello_that_is_cut_gives_what_stands_before() {
        let whole = client_hello(&[0x1301], &[name(b"mail.example"), versions(&[0x0304])]);
        for len in 0..whole.len() {
            let hello = ClientHello::read(&whole[..len]);
            assert!(hello.version == 0 || hello.version == 0x0303, "{len} octets");
        }
        assert_eq!(ClientHello::read(&whole[..30]), ClientHello::default());
    }

    #[test]
    fn a_server_hello_chooses_in_an_extension_or_in_its_field() {
        let body = |random: [u8; 32], extensions: &[u8]| [&[3, 3][..], &random, &[0, 0x13, 2, 0], extensions].concat();
        let chosen = vector(2, &[0, 43, 0, 2, 3, 4]);
        let read = |random, extensions| ServerHello::read(&body(random, extensions));
        let expected = |version, is_retry| Some(ServerHello { version, cipher: 0x1302, is_retry });
        assert_eq!(read([9; 32], &[]), expected(0x0303, false));
        assert_eq!(read([9; 32], &chosen), expected(0x0304, false));
        assert_eq!(read(RETRY, &chosen), expected(0x0304, true));
        assert_eq!(ServerHello::read(&body(RETRY, &[])[..37]), None);
    }

    #[test]
    fn hellos_of_sslv2_are_read() {
        let hello = ClientHello::read_sslv2(&[1, 0, 2, 0, 3, 0, 0, 0, 16]).expect("a hello");
        assert_eq!((hello.version, hello.is_sslv2), (0x0002, true));
        assert_eq!(read_sslv2_server_hello(&[4, 0, 1, 0, 2, 0, 2, 0, 3, 0, 16, 8, 9, 1]), Some(&[8, 9][..]));
        assert_eq!(read_sslv2_server_hello(&[4, 0, 1, 0, 2, 0, 9, 0, 3, 0, 16, 8, 9]), None);
    }
}
