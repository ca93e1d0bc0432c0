//! What is not mail and might be taken for it: protocols that greet alike (`220`, `+OK`, `200`), log in alike (USER, PASS,
//! AUTH), or carry text in which a dialogue of mail may stand.
//!
//! Only the beginnings are looked at. Further on, mail may hold any of this as text.

use super::evidence::{begins, lines};
use super::pop3::split_verb;
use super::verbs;

/// Lines of each end that count as its beginning.
const FIRST: usize = 4;

/// Whether the first octets of the two ends are those of another protocol.
pub(super) fn is_other(client: &[u8], server: &[u8]) -> bool {
    let first = [client, server].map(|text| lines(text).next().unwrap_or_default());
    [client, server].into_iter().any(|text| is_named(text) || is_binary(text))
        || is_http_request(first[0])
        || is_ftp(client, server, first)
        || lines(client).take(FIRST).any(is_irc_command)
        || is_irc_message(first[1])
        || is_redis(client, first[1])
        || lines(client).take(FIRST).any(is_nats_command)
        || [&b"INFO {"[..], b"MSG ", b"HMSG "].iter().any(|word| begins(first[1], word))
        || is_memcached(first)
}

/// Protocols that name themselves.
fn is_named(text: &[u8]) -> bool {
    [&b"SSH-"[..], b"HTTP/", b"@RSYNCD:"].iter().any(|name| text.starts_with(name))
}

fn is_binary(text: &[u8]) -> bool {
    text.iter().take(8).any(|c| c.is_ascii_control() && !c.is_ascii_whitespace())
}

/// RFC 9112 §3: method, target, version. Three words, for a password may be `HTTP/1.1`.
fn is_http_request(line: &[u8]) -> bool {
    const METHODS: [&[u8]; 14] = [
        b"GET",
        b"HEAD",
        b"POST",
        b"PUT",
        b"DELETE",
        b"CONNECT",
        b"OPTIONS",
        b"TRACE",
        b"PATCH",
        b"PRI",
        b"PROPFIND",
        b"REPORT",
        b"SEARCH",
        b"NOTIFY",
    ];
    let mut words = line.split(|&c| c == b' ');
    let is_method = words.next().is_some_and(|word| METHODS.contains(&word));
    is_method && words.nth(1).is_some_and(|version| version.starts_with(b"HTTP/")) && words.next().is_none()
}

/// FTP (RFC 959, 2228, 2389) and poppassd: numbers for replies, as in SMTP, but USER and PASS, as in POP3.
fn is_ftp(client: &[u8], server: &[u8], [command, reply]: [&[u8]; 2]) -> bool {
    let has_code = |codes: &[&[u8]]| codes.iter().any(|code| begins(reply, code));
    let logs_in = |line: &[u8]| [&b"USER "[..], b"PASS "].iter().any(|verb| begins(line, verb));
    let asks = |line: &[u8]| has_verb(line, &[b"FEAT", b"SYST"]) || is_auth_tls(line);
    let is_mail = begins(reply, b"+OK") || begins(reply, b"-ERR") || begins(reply, b"* ");
    has_code(&[b"220"]) && (logs_in(command) || asks(command))
        || has_code(&[b"200", b"201", b"230", b"331", b"332", b"430", b"530"]) && lines(client).take(2).any(logs_in)
        || has_code(&[b"220", b"331"]) && lines(server).take(2 * FIRST).any(|line| begins(line, b"331"))
        || !is_mail && lines(client).take(FIRST).any(is_ftp_command)
        || lines(client).take(FIRST).any(|line| begins(line, b"NEWPASS "))
}

/// `AUTH TLS` (RFC 4217 §4), which is no mechanism of SASL.
fn is_auth_tls(line: &[u8]) -> bool {
    let (verb, name) = split_verb(line);
    verb.eq_ignore_ascii_case(b"AUTH") && has_verb(name, &[b"TLS", b"SSL", b"TLS-C", b"TLS-P"])
}

/// Commands that FTP alone has.
fn is_ftp_command(line: &[u8]) -> bool {
    let (verb, rest) = split_verb(line);
    let is_bare = rest.trim_ascii().is_empty();
    match &*verbs::upper(verb) {
        b"FEAT" | b"SYST" | b"PWD" | b"XPWD" | b"PASV" | b"EPSV" | b"CDUP" => is_bare,
        b"TYPE" => matches!(rest, b"A" | b"I" | b"a" | b"i"),
        b"PORT" => rest.iter().filter(|&&c| c == b',').count() == 5,
        b"OPTS" => begins(rest, b"UTF8"),
        b"CWD" | b"NLST" | b"STOR" | b"EPRT" | b"PBSZ" | b"PROT" | b"MLSD" => !is_bare,
        b"AUTH" => is_auth_tls(line),
        _ => false,
    }
}

/// RFC 2812 §3.1: NICK, and USER with four parameters of which the last begins with a colon.
fn is_irc_command(line: &[u8]) -> bool {
    let is_user =
        begins(line, b"USER ") && line.split(|&c| c == b' ').nth(4).is_some_and(|name| name.starts_with(b":"));
    is_user || [&b"NICK "[..], b"CAP LS", b"PRIVMSG ", b"JOIN #"].iter().any(|verb| begins(line, verb))
}

/// `:server 001 nick ...`, `:server NOTICE ...`, or a notice before there is a name.
fn is_irc_message(line: &[u8]) -> bool {
    let (prefix, rest) = split_verb(line);
    let command = split_verb(rest).0;
    let is_command = command.len() == 3 && command.iter().all(u8::is_ascii_digit) || command == b"NOTICE";
    prefix.starts_with(b":") && is_command || begins(line, b"NOTICE AUTH ") || begins(line, b"NOTICE * ")
}

/// The Redis protocol: counts for arrays and strings, and answers of its own. `+OK` is POP3's as well.
fn is_redis(client: &[u8], reply: &[u8]) -> bool {
    let is_count = |line: &[u8], marks: &[u8]| {
        line.split_first()
            .is_some_and(|(mark, count)| marks.contains(mark) && count.first().is_some_and(is_number_part))
    };
    is_count(client, b"*$")
        || is_count(reply, b"*$:")
        || [&b"+PONG"[..], b"-NOAUTH ", b"-WRONGPASS ", b"-NOPERM "].iter().any(|answer| begins(reply, answer))
}

fn is_number_part(octet: &u8) -> bool {
    octet.is_ascii_digit() || *octet == b'-'
}

/// NATS: subjects and counts, then payload that may be any text.
fn is_nats_command(line: &[u8]) -> bool {
    let words = || line.split(|&c| c == b' ').filter(|word| !word.is_empty());
    let has_count =
        || words().count() >= 3 && words().next_back().is_some_and(|last| last.iter().all(u8::is_ascii_digit));
    begins(line, b"CONNECT {")
        || begins(line, b"SUB ")
        || (begins(line, b"PUB ") || begins(line, b"HPUB ")) && has_count()
}

/// memcached: a key, numbers, then a value that may be any text.
fn is_memcached([command, reply]: [&[u8]; 2]) -> bool {
    let mut words = command.split(|&c| c == b' ');
    let verb = words.next().unwrap_or_default();
    let stores = [&b"set"[..], b"add", b"replace", b"append", b"prepend", b"cas"].contains(&verb);
    let numbers = words.skip(1).take(3).filter(|word| !word.is_empty() && word.iter().all(u8::is_ascii_digit)).count();
    stores && numbers == 3
        || [&b"STORED"[..], b"NOT_STORED", b"VALUE "].iter().any(|answer| reply.starts_with(answer))
        || [&b"get "[..], b"gets "].iter().any(|verb| command.starts_with(verb)) && reply == b"END"
}

fn has_verb(line: &[u8], verbs: &[&[u8]]) -> bool {
    verbs.iter().any(|verb| verb.eq_ignore_ascii_case(split_verb(line).0.trim_ascii()))
}
