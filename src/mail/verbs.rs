//! The commands of all protocols that are followed: what may be told of a client's words, because it is no secret.

use std::ops::Deref;
use zeroize::Zeroizing;

/// Octets of a word that tell it from all others: no command, status or keyword is longer.
const WORD: usize = 32;

/// The beginning of a word in capitals; wiped, for it may be a secret in the wrong place.
pub(super) struct Upper {
    octets: Zeroizing<[u8; WORD]>,
    len: usize,
}

/// The first octets of a word in capitals, without a buffer of its own.
pub(super) fn upper(word: &[u8]) -> Upper {
    let len = word.len().min(WORD);
    let mut octets = Zeroizing::new([0; WORD]);
    octets[..len].copy_from_slice(&word[..len]);
    octets.make_ascii_uppercase();
    Upper { octets, len }
}

impl Deref for Upper {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Upper {
    fn eq(&self, other: &&[u8; N]) -> bool {
        **self == other[..]
    }
}

/// In the order of their octets.
const KNOWN: [&str; 78] = [
    "APOP",
    "APPEND",
    "ARTICLE",
    "ATRN",
    "AUTH",
    "AUTHENTICATE",
    "AUTHINFO",
    "BDAT",
    "BODY",
    "CAPA",
    "CAPABILITIES",
    "CAPABILITY",
    "CHECKSCRIPT",
    "CLOSE",
    "COMPRESS",
    "DATA",
    "DATE",
    "DELE",
    "DELETESCRIPT",
    "EHLO",
    "ENABLE",
    "ETRN",
    "EXAMINE",
    "EXPN",
    "FETCH",
    "GETSCRIPT",
    "GROUP",
    "HAVESPACE",
    "HDR",
    "HEAD",
    "HELO",
    "HELP",
    "ID",
    "IDLE",
    "IHAVE",
    "LAST",
    "LHLO",
    "LIST",
    "LISTGROUP",
    "LISTSCRIPTS",
    "LOGIN",
    "LOGOUT",
    "LSUB",
    "MAIL",
    "MODE",
    "NAMESPACE",
    "NEWGROUPS",
    "NEWNEWS",
    "NEXT",
    "NOOP",
    "OVER",
    "PASS",
    "POST",
    "PUTSCRIPT",
    "QUIT",
    "RCPT",
    "RENAMESCRIPT",
    "RETR",
    "RSET",
    "SEARCH",
    "SELECT",
    "SETACTIVE",
    "STARTTLS",
    "STAT",
    "STATUS",
    "STLS",
    "STORE",
    "TOP",
    "TURN",
    "UID",
    "UIDL",
    "UNAUTHENTICATE",
    "USER",
    "UTF8",
    "VRFY",
    "XCLIENT",
    "XOVER",
    "XTND",
];

/// The command that a word is, in upper case.
pub(super) fn known(word: &[u8]) -> Option<&'static str> {
    if word.len() > 14 {
        return None;
    }
    let at = KNOWN.binary_search_by(|known| known.bytes().cmp(word.iter().map(u8::to_ascii_uppercase)));
    at.ok().map(|at| KNOWN[at])
}

/// Whether a line begins with a command, after a tag or without.
pub(super) fn begins_with_command(line: &[u8]) -> bool {
    line.split(|&c| c == b' ').take(2).any(|word| known(word).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_found_in_any_case() {
        assert!(KNOWN.is_sorted());
        for verb in KNOWN {
            assert_eq!(known(verb.to_ascii_lowercase().as_bytes()), Some(verb));
        }
        assert_eq!(known(b"hunter2"), None);
        assert!(begins_with_command(b"a1 LOGIN x y") && begins_with_command(b"mail FROM:<a@b>"));
        assert!(!begins_with_command(b"hello there NOOP"));
    }
}
