//! SASL mechanisms: the one list of them, and how each is known by what it asks and answers when the command that named
//! it was not captured.

use super::observe::SecretClass;

/// How the octets of an exchange are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login: two lines.
    Login,
    /// `user SP digest` (RFC 2195).
    CramMd5,
    /// `username="..."` (RFC 2831).
    DigestMd5,
    /// `n=user,r=...` (RFC 5802).
    Scram,
    /// NTLMSSP messages.
    Ntlm,
    /// `user=` and `auth=Bearer`, separated by ^A.
    XOauth2,
    /// GS2 header and `auth=Bearer` (RFC 7628).
    OauthBearer,
    /// The authorisation identity only (RFC 4422 appendix A).
    External,
    /// Trace information (RFC 4505).
    Anonymous,
    /// `[authzid] NUL authcid`, then one-time passwords (RFC 2444).
    OneTime,
    /// Opaque.
    Opaque,
    /// The command that named the mechanism was lost: what is asked and answered tells.
    Guess,
}

struct Mechanism {
    name: &'static str,
    scheme: Scheme,
    class: SecretClass,
}

const fn mechanism(name: &'static str, scheme: Scheme, class: SecretClass) -> Mechanism {
    Mechanism { name, scheme, class }
}

/// The mechanisms that are known; SCRAM by prefix.
const MECHANISMS: [Mechanism; 20] = [
    mechanism("PLAIN", Scheme::Plain, SecretClass::Password),
    mechanism("LOGIN", Scheme::Login, SecretClass::Password),
    mechanism("CRAM-MD5", Scheme::CramMd5, SecretClass::Crackable),
    mechanism("CRAM-SHA1", Scheme::CramMd5, SecretClass::Crackable),
    mechanism("CRAM-SHA256", Scheme::CramMd5, SecretClass::Crackable),
    mechanism("DIGEST-MD5", Scheme::DigestMd5, SecretClass::Crackable),
    mechanism("NTLM", Scheme::Ntlm, SecretClass::Crackable),
    mechanism("GSS-SPNEGO", Scheme::Ntlm, SecretClass::Crackable),
    mechanism("XOAUTH2", Scheme::XOauth2, SecretClass::Bearer),
    mechanism("OAUTHBEARER", Scheme::OauthBearer, SecretClass::Bearer),
    mechanism("GSSAPI", Scheme::Opaque, SecretClass::None),
    mechanism("EXTERNAL", Scheme::External, SecretClass::None),
    mechanism("ANONYMOUS", Scheme::Anonymous, SecretClass::None),
    mechanism("OTP", Scheme::OneTime, SecretClass::None),
    mechanism("SKEY", Scheme::OneTime, SecretClass::None),
    mechanism("SECURID", Scheme::OneTime, SecretClass::None),
    mechanism("KERBEROS_V4", Scheme::Opaque, SecretClass::None),
    mechanism("MSN", Scheme::Ntlm, SecretClass::Crackable),
    mechanism("XTOKEN", Scheme::Opaque, SecretClass::None),
    // The family, when the command that named the hash was lost.
    mechanism("SCRAM", Scheme::Scram, SecretClass::Crackable),
];

/// How a mechanism is read and what it discloses.
pub(super) fn traits_of(name: &[u8]) -> (Scheme, SecretClass) {
    let known = MECHANISMS.iter().find(|known| known.name.as_bytes().eq_ignore_ascii_case(name));
    match known {
        Some(known) => (known.scheme, known.class),
        None if is_scram(name) => (Scheme::Scram, SecretClass::Crackable),
        None => (Scheme::Opaque, SecretClass::None),
    }
}

/// RFC 4422 §3.1: 1 to 20 letters, digits, hyphens and underscores.
pub(super) fn is_mechanism_name(name: &[u8]) -> bool {
    (1..=20).contains(&name.len()) && name.iter().all(|&c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
}

/// Whether the name is one a mail server may offer, not merely well-formed.
pub(super) fn is_known(name: &[u8]) -> bool {
    is_scram(name) || MECHANISMS.iter().any(|known| known.name.as_bytes().eq_ignore_ascii_case(name))
}

/// Whether the name is one of a list: not even the family SCRAM with an end of its own. Of all others, a password in the
/// wrong place could be one.
pub(crate) fn is_listed_mechanism(name: &[u8]) -> bool {
    MECHANISMS.iter().any(|known| known.name.as_bytes().eq_ignore_ascii_case(name)) || hash_of(name).is_some()
}

/// What stands for the name of a mechanism that nobody knows: it may be a password in the wrong place.
pub const UNKNOWN_MECHANISM: &str = "OTHER";

/// What a mechanism that a server offers lets an observer of a login have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disclosure {
    /// The password itself.
    Password,
    /// At most something to guess the password from.
    Challenge,
    /// Anything else: tokens, certificates, nothing.
    Other,
}

/// What the mechanism discloses; `None` when it is not known.
pub(super) fn class_of(name: &[u8]) -> Option<Disclosure> {
    let known = MECHANISMS.iter().find(|known| known.name.as_bytes().eq_ignore_ascii_case(name));
    match known.map(|known| (known.class, known.name)) {
        Some((SecretClass::Password, _)) => Some(Disclosure::Password),
        Some((SecretClass::Crackable, _) | (_, "GSSAPI")) => Some(Disclosure::Challenge),
        None if is_scram(name) => Some(Disclosure::Challenge),
        Some(_) => Some(Disclosure::Other),
        None => None,
    }
}

pub(super) fn is_scram(name: &[u8]) -> bool {
    name.get(..6).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"SCRAM-"))
}

/// The hash that a mechanism is built on, from its name (RFC 5802 §4 for SCRAM).
pub(super) fn hash_of(name: &[u8]) -> Option<&'static str> {
    const HASHES: [(&str, &str); 12] = [
        ("CRAM-MD5", "MD5"),
        ("CRAM-SHA1", "SHA-1"),
        ("CRAM-SHA256", "SHA-256"),
        ("DIGEST-MD5", "MD5"),
        ("SCRAM-SHA-1", "SHA-1"),
        ("SCRAM-SHA-1-PLUS", "SHA-1"),
        ("SCRAM-SHA-224", "SHA-224"),
        ("SCRAM-SHA-256", "SHA-256"),
        ("SCRAM-SHA-256-PLUS", "SHA-256"),
        ("SCRAM-SHA-384", "SHA-384"),
        ("SCRAM-SHA-512", "SHA-512"),
        ("SCRAM-SHA-512-PLUS", "SHA-512"),
    ];
    HASHES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)).map(|(_, hash)| *hash)
}

/// Which mechanism asks so.
pub(super) fn mechanism_of_challenge(text: &[u8]) -> Option<&'static [u8]> {
    if !text.is_ascii() {
        return None;
    }
    if [&b"user"[..], b"name", b"pass"].iter().any(|word| contains_ignoring_case(text, word)) && !text.contains(&b'=') {
        Some(b"LOGIN")
    } else if text.starts_with(b"<") && text.ends_with(b">") && text.contains(&b'@') {
        Some(b"CRAM-MD5")
    } else if contains_ignoring_case(text, b"nonce=") && contains_ignoring_case(text, b"algorithm=") {
        Some(b"DIGEST-MD5")
    } else {
        match scram_iterations(text) {
            Some(_) if text.starts_with(b"r=") => Some(b"SCRAM"),
            _ => text.starts_with(b"NTLMSSP\0\x02").then_some(b"NTLM"),
        }
    }
}

/// Which mechanism has a message of this form, that no other has.
pub(super) fn mechanism_of_response(message: &[u8]) -> Option<&'static [u8]> {
    let mut parts = message.split(|&c| c == 0);
    let is_text = |part: &[u8]| !part.is_empty() && !part.iter().any(u8::is_ascii_control);
    if message.starts_with(b"NTLMSSP\0") {
        return Some(b"NTLM");
    }
    if message.ends_with(b"\x01") && contains_ignoring_case(message, b"\x01auth=") {
        return if message.starts_with(b"user=") { Some(b"XOAUTH2") } else { Some(b"OAUTHBEARER") };
    }
    let begins_scram = |begin: &[u8]| message.starts_with(begin) && memchr::memmem::find(message, b",r=").is_some();
    if [&b"n,"[..], b"y,", b"p=", b"c="].into_iter().any(begins_scram) {
        return Some(b"SCRAM");
    }
    if contains_ignoring_case(message, b"username=\"") && contains_ignoring_case(message, b"response=") {
        return Some(b"DIGEST-MD5");
    }
    if let (Some(authzid), Some(user), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    {
        let has_form = is_text(user) && is_text(password) && (authzid.is_empty() || is_text(authzid));
        return (has_form && std::str::from_utf8(message).is_ok()).then_some(b"PLAIN");
    }
    cram_user(message).map(|_| &b"CRAM-MD5"[..])
}

/// The round count in a SCRAM server-first message (RFC 5802 §7).
pub(super) fn scram_iterations(message: &[u8]) -> Option<u32> {
    let field = message.split(|&c| c == b',').find_map(|field| field.strip_prefix(b"i="))?;
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// RFC 2195 §2: the user, a space and the digest; Courier has longer digests in the same form. Anything else may be a password in the wrong place.
pub(super) fn cram_user(message: &[u8]) -> Option<&[u8]> {
    let at = message.iter().rposition(|&c| c == b' ')?;
    let digest = &message[at + 1..];
    (matches!(digest.len(), 32 | 40 | 64) && digest.iter().all(u8::is_ascii_hexdigit)).then_some(&message[..at])
}

pub(crate) fn contains_ignoring_case(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

/// Whether a prompt asks for a secret, by any of the words for one: whoever else it speaks of, what is typed must never
/// be told as a name.
pub(super) fn is_secret_prompt(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 10] =
        [b"pass", b"pwd", b"secret", b"code", b"token", b"kennwort", b"contrase", b"senha", b"parol", b"sifre"];
    !is_name_prompt(text) && WORDS.iter().any(|word| contains_ignoring_case(text, word))
}

/// Whether a prompt asks for the user's name in the words that nearly all servers have.
pub(super) fn is_name_prompt(text: &[u8]) -> bool {
    let text = prompt_words(text);
    [&b"username"[..], b"user name"].iter().any(|known| known.eq_ignore_ascii_case(text))
}

/// The same of the password.
pub(super) fn is_password_prompt(text: &[u8]) -> bool {
    prompt_words(text).eq_ignore_ascii_case(b"password")
}

fn prompt_words(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\0").unwrap_or(text).trim_ascii();
    text.strip_suffix(b":").unwrap_or(text)
}
