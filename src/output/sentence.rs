//! `message`: one sentence for people about what was seen. Never a secret, nor anything that tells of one (its length).

use super::event::Ip;
use super::{Inputs, convert};
use crate::finding::{Collected, Finding, FindingId, Flow, Login, Session, severity_name};
use crate::mail::{Confidence, Outcome, Reason, SecretClass, Text};

/// Characters of a name in a sentence; the whole of it stands in its own field.
const NAME_CHARS: usize = 48;

/// What a login attempt disclosed, by whom and to whom, and what came of it.
pub(super) fn login(login: &Login) -> String {
    let user = of(login.user.as_ref());
    let mechanism = convert::mechanism(&login.mechanism);
    let what = match login.class {
        SecretClass::Password => format!("Password{user} sent in clear"),
        SecretClass::Bearer => format!("Access token{user} sent in clear"),
        SecretClass::Crackable => format!("Login{user} by {mechanism}, which can be guessed offline, sent in clear"),
        SecretClass::None => format!("Login{user} by {mechanism}, without a reusable secret, sent in clear"),
    };
    let end = sure(login.confidence);
    let client = Ip::new(login.flow.client.ip());
    format!("{what} by {} to {}; {}{end}", client.as_str(), server(&login.flow), answer(login.outcome))
}

/// How a connection was protected.
pub(super) fn session(session: &Session) -> String {
    let how = match (session.is_implicit_tls, session.is_tls, session.starttls.is_requested) {
        (true, Some(false), _) => "whose TLS failed",
        (true, _, _) => "under TLS from the start",
        (false, Some(true), _) => "under TLS after STARTTLS",
        (false, Some(false), false) => "in clear",
        (false, Some(false), true) => "in clear, though the client asked for STARTTLS",
        (false, None, _) => "whose TLS was not seen to come about",
    };
    let shown = [(session.logins, "login"), (session.messages, "message")];
    let shown = shown.iter().filter(|(count, _)| *count > 0).map(|&(count, noun)| counted(count.into(), noun));
    let shown: Vec<String> = shown.collect();
    let end = if shown.is_empty() { String::new() } else { format!("; {} passed in clear", shown.join(" and ")) };
    let client = Ip::new(session.flow.client.ip());
    format!("Session of {} with {} {how}{end}", client.as_str(), server(&session.flow))
}

/// What the occurrences of a finding have in common.
pub(super) fn finding(collected: &Collected, inputs: &Inputs) -> String {
    let finding = &collected.finding;
    let Some(flow) = &finding.flow else { return gap(collected, inputs) };
    let (client, server) = (Ip::new(flow.client.ip()), server(flow));
    let client = client.as_str();
    let (times, sure) = (times(collected.count), sure(finding.confidence));
    let user = of(finding.user.as_ref());
    let kind = finding.evidence.as_ref().and_then(|evidence| evidence.kind).unwrap_or("");
    let clients = counted(collected.clients, "client");
    let text = match finding.id {
        FindingId::CleartextPassword => {
            format!("Password{user} sent in clear by {client} to {server}{}", answers(collected))
        }
        FindingId::CleartextBearerToken => {
            format!("Access token{user} sent in clear by {client} to {server}{}", answers(collected))
        }
        FindingId::CrackableAuthExchange => {
            let by = finding.mechanism.as_ref().map_or("", convert::mechanism);
            format!("Login{user} by {by}, which can be guessed offline, sent in clear by {client} to {server}")
        }
        FindingId::CleartextUnknownMechanism => {
            format!("{client} logged in to {server} in clear by a mechanism that is not known")
        }
        FindingId::CleartextUsername => {
            format!("User name{user} sent in clear by {client} to {server}, without a secret")
        }
        FindingId::AnonymousLogin => format!("{client} logged in anonymously to {server}"),
        FindingId::CredentialReuse => {
            let count = finding.places().len() as u64;
            return format!("One secret was used in {}{sure}", counted(count, "place"));
        }
        FindingId::ServerAcceptsCleartextAuth => {
            let logins = counted(collected.count, "login");
            return format!("{server} accepted {logins} without TLS from {clients}{sure}");
        }
        FindingId::LoginDespiteLogindisabled => {
            format!("{client} sent a login in clear to {server}, which does not allow that")
        }
        FindingId::PlaintextAuthAdvertised => format!("{server} offers password logins without TLS to {clients}"),
        FindingId::AuthMechanismDowngrade => {
            format!("{client} sent a password to {server}, though there was a mechanism that spares it")
        }
        FindingId::RepeatedAuthFailure => format!("{server} rejected many logins from {client} within minutes"),
        FindingId::WeakSecret => format!("The password{user} at {server} is weak ({kind})"),
        FindingId::StarttlsNotOffered => format!("{server} did not offer STARTTLS to {clients}"),
        FindingId::StarttlsOfferedUnused => format!("{client} did not use the STARTTLS that {server} offered"),
        FindingId::StarttlsRefused => format!("{server} refused STARTTLS to {clients}"),
        FindingId::CleartextAfterStarttlsRefused => {
            format!("{client} went on in clear after {server} refused STARTTLS")
        }
        FindingId::StarttlsAcceptedNoTls => {
            format!("{client} went on in clear after {server} had accepted STARTTLS")
        }
        FindingId::StarttlsStripped => format!("The offer of STARTTLS by {server} was removed or masked on the path"),
        FindingId::StarttlsOfferRegressed => format!("{server} offered STARTTLS before and did not later"),
        FindingId::StarttlsCommandInjection => {
            format!("Octets in clear ({kind}) stand between STARTTLS and TLS from {client} to {server}")
        }
        FindingId::StarttlsResponseInjection => {
            format!("Octets in clear ({kind}) stand between the answer to STARTTLS and TLS from {server} to {client}")
        }
        FindingId::ImapPreauthCleartext => format!("{server} opened a session in clear as logged in already"),
        FindingId::ServerInstructionInClear => format!("{server} instructed its clients in clear ({kind})"),
        FindingId::EsmtpDowngradeToHelo => {
            format!("{server} refused EHLO to {client}, which went on in clear with HELO")
        }
        FindingId::TlsHandshakeFailed => {
            let cause = finding.evidence.as_ref().and_then(|evidence| evidence.cause.as_ref());
            format!("TLS between {client} and {server} failed ({})", cause.map_or("closed", Text::as_str))
        }
        FindingId::TlsFallbackToCleartext => format!("{client} went on in clear with {server} after TLS had failed"),
        FindingId::ImplicitTlsPortCleartext => format!("{server} speaks in clear on a port for TLS"),
        FindingId::RequiretlsViolated => {
            format!("{client} sent {server} a message in clear that demands TLS on every hop")
        }
        FindingId::MtaCleartextTransfer => format!("{server} took mail in clear from {client}"),
        FindingId::CleartextMessageContent => format!("Messages passed in clear between {client} and {server}"),
        FindingId::TlsDeprecatedVersion => format!("{server} chose an outdated version of TLS ({kind})"),
        FindingId::TlsWeakCipher => format!("{server} chose a weak cipher suite ({kind})"),
        FindingId::TlsCertificateProblem => format!("{server} has a certificate with a problem ({kind})"),
        FindingId::ProtocolDesync => format!("The dialogue of {client} with {server} could not be followed"),
        FindingId::StreamAmbiguousOverlap => {
            format!("Copies of the same octets between {client} and {server} differ ({kind})")
        }
        FindingId::CoverageGap => titled(finding, &server),
    };
    text + &times + &sure
}

/// The answers to one login, or the best of several.
fn answers(collected: &Collected) -> String {
    match (collected.finding.outcome, collected.count) {
        (None, _) => String::new(),
        (Some(outcome), 0..=1) => format!("; {}", answer(outcome)),
        (Some(Outcome::Accepted), _) => "; the server accepted it at least once".to_owned(),
        (Some(_), _) => "; the server was not seen to accept it".to_owned(),
    }
}

/// For findings that have no sentence of their own.
fn titled(finding: &Finding, server: &str) -> String {
    let entry = finding.id.entry();
    format!("{}: {server}, severity {}", entry.title, severity_name(finding.severity))
}

fn gap(collected: &Collected, inputs: &Inputs) -> String {
    let finding = &collected.finding;
    let name = inputs.names.get(finding.at.input as usize).map_or("the input", String::as_str);
    // Where a capture lies is not what people want to read here.
    let name = if inputs.is_live { name } else { name.rsplit('/').find(|part| !part.is_empty()).unwrap_or(name) };
    let why = finding.missing.map_or("", reason);
    let name = Text::new(name.as_bytes());
    format!("Mail traffic is missing from {}{why}{}", short(name.as_str()), times(collected.count))
}

/// `POP3 server 198.51.100.25:110`, `IMAP server [2001:db8::25]:143`.
fn server(flow: &Flow) -> String {
    let (title, ip, port) = (flow.protocol.info().title, Ip::new(flow.server.ip()), flow.server.port);
    let [open, close] = if ip.is_v4 { ["", ""] } else { ["[", "]"] };
    format!("{title} server {open}{}{close}:{port}", ip.as_str())
}

fn of(user: Option<&Text>) -> String {
    let named = user.filter(|user| !user.as_str().is_empty());
    named.map_or_else(String::new, |user| format!(" of {}", short(user.as_str())))
}

fn short(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}

fn times(count: u64) -> String {
    if count > 1 { format!(" (seen {count} times)") } else { String::new() }
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn sure(confidence: Confidence) -> String {
    match confidence {
        Confidence::Confirmed => String::new(),
        other => format!(" ({}, not confirmed)", other.name()),
    }
}

fn answer(outcome: Outcome) -> String {
    match outcome {
        Outcome::Accepted => "the server accepted it".to_owned(),
        Outcome::Rejected => "the server rejected it".to_owned(),
        Outcome::RejectedAfterAuth => "it was right, though the server refused the login for another reason".to_owned(),
        Outcome::RefusedByPolicy => "the server's policy refused it".to_owned(),
        Outcome::Cancelled => "the attempt was broken off".to_owned(),
        Outcome::Unknown(Reason::Temporary) => "the server put it off for a trouble of its own".to_owned(),
        Outcome::Unknown(why) => format!("what the server answered is not known{}", reason(why)),
    }
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::NoReply => ": nothing more was said",
        Reason::Gap => ": packets were not captured",
        Reason::Asymmetric => ": one direction was not captured",
        Reason::Midstream => ": the connection began before the capture",
        Reason::Desync => ": the dialogue could not be followed",
        Reason::Evicted => ": the connection was given up for want of memory",
        Reason::CaptureEnded => ": the capture ended",
        Reason::Compressed => ": the dialogue went on compressed",
        Reason::Ambiguous => ": two copies of the octets differ",
        Reason::NotAsked => ": it was never asked",
        Reason::Temporary => ": a temporary trouble",
    }
}
