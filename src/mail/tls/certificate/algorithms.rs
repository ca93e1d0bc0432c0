//! Keys and signatures of certificates, by name and length.

use super::element;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Tag, Tagged};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

/// Kinds of keys (RFC 3279, 4055, 5480, 8410).
pub(super) fn key(key: &SubjectPublicKeyInfoOwned) -> &'static str {
    match key.algorithm.oid.to_string().as_str() {
        "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10" | "2.5.8.1.1" => "rsa",
        "1.2.840.10045.2.1" => "ec",
        "1.2.840.10040.4.1" => "dsa",
        "1.3.101.112" => "ed25519",
        "1.3.101.113" => "ed448",
        _ => "other",
    }
}

/// The length of a key in bits.
pub(super) fn key_bits(info: &SubjectPublicKeyInfoOwned) -> Option<u32> {
    let bits = info.subject_public_key.raw_bytes();
    match key(info) {
        "rsa" => first_integer(element(&mut { bits })?),
        "dsa" => {
            let parameters = info.algorithm.parameters.as_ref()?;
            first_integer((parameters.tag(), parameters.value()))
        }
        "ec" => curve_bits(info).or_else(|| point_bits(bits)),
        "ed25519" => Some(256),
        "ed448" => Some(456),
        _ => None,
    }
}

/// Bits of the first integer in a sequence: an RSA modulus, a DSA prime. Some are written without the leading zero
/// that makes them positive.
fn first_integer((tag, mut content): (Tag, &[u8])) -> Option<u32> {
    let (Tag::Sequence, Some((Tag::Integer, integer))) = (tag, element(&mut content)) else { return None };
    let zeros = integer.iter().take_while(|octet| **octet == 0).count();
    let first = integer.get(zeros)?;
    u32::try_from((integer.len() - zeros) * 8).ok().map(|bits| bits - first.leading_zeros())
}

/// By the curve's name (RFC 5480 §2.1.1.1, RFC 5639).
fn curve_bits(key: &SubjectPublicKeyInfoOwned) -> Option<u32> {
    let curve = key.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok()?;
    Some(match curve.to_string().as_str() {
        "1.2.840.10045.3.1.1" => 192,
        "1.3.132.0.33" => 224,
        "1.2.840.10045.3.1.7" | "1.3.132.0.10" | "1.3.36.3.3.2.8.1.1.7" => 256,
        "1.3.132.0.34" | "1.3.36.3.3.2.8.1.1.11" => 384,
        "1.3.36.3.3.2.8.1.1.13" => 512,
        "1.3.132.0.35" => 521,
        _ => return None,
    })
}

/// By the length of an uncompressed point: two coordinates behind one octet (SEC 1 §2.3.3).
fn point_bits(point: &[u8]) -> Option<u32> {
    let (&4, coordinates) = point.split_first()? else { return None };
    u32::try_from(coordinates.len() / 2 * 8).ok()
}

/// Signature algorithms (RFC 3279, 4055, 5758, 8410), by OpenSSL's and the RFCs' names without "Encryption".
pub(super) fn signature(oid: &ObjectIdentifier) -> &'static str {
    match oid.to_string().as_str() {
        "1.2.840.113549.1.1.2" => "md2WithRSA",
        "1.2.840.113549.1.1.4" => "md5WithRSA",
        // The second is OIW's, which old tools wrote.
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => "sha1WithRSA",
        "1.2.840.113549.1.1.10" => "rsassaPss",
        "1.2.840.113549.1.1.11" => "sha256WithRSA",
        "1.2.840.113549.1.1.12" => "sha384WithRSA",
        "1.2.840.113549.1.1.13" => "sha512WithRSA",
        "1.2.840.113549.1.1.14" => "sha224WithRSA",
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.1" => "ecdsa-with-SHA224",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
        "1.2.840.10040.4.3" => "dsa-with-SHA1",
        "2.16.840.1.101.3.4.3.2" => "dsa-with-SHA256",
        "1.3.101.112" => "ed25519",
        "1.3.101.113" => "ed448",
        _ => "other",
    }
}
