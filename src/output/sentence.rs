//! `message`: one sentence for people about what was seen. Never a secret, nor anything that tells of one (its length).

use super::event::Ip;
use super::{Inputs, convert};
use crate::finding::{Collected, FindingId, Flow, Login, Session, severity_name};
use crate::mail::{Confidence, Outcome, Reason, SecretClass, Text};
use std::fmt::{self, Display, Formatter, Write as _};

/// Characters of a name in a sentence; the whole of it stands in its own field.
const NAME_CHARS: usize = 48;

/// Octets of nearly every sentence.
const USUAL_OCTETS: usize = 192;

/// What a login attempt disclosed, by whom and to whom, and what came of it.
pub(super) fn login(login: &Login) -> String {
    let user = Of(login.user.as_ref());
    let mechanism = convert::mechanism(&login.mechanism);
    let mut text = String::with_capacity(USUAL_OCTETS);
    // Nothing fails that is written to a text, here and below.
    let _ = match login.class {
        SecretClass::Password => write!(text, "Password{user} sent in clear"),
        SecretClass::Bearer => write!(text, "Access token{user} sent in clear"),
        SecretClass::Crackable => {
            write!(text, "Login{user} by {mechanism}, which can be guessed offline, sent in clear")
        }
        SecretClass::None => write!(text, "Login{user} by {mechanism}, without a reusable secret, sent in clear"),
    };
    let client = Ip::new(login.flow.client.ip());
    let (server, answer, end) = (Server(&login.flow), Answer(login.outcome), Sure(login.confidence));
    let _ = write!(text, " by {} to {server}; {answer}{end}", client.as_str());
    text
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
    let shown =
        shown.iter().filter(|(count, _)| *count > 0).map(|&(count, noun)| Counted(count.into(), noun).to_string());
    let shown: Vec<String> = shown.collect();
    let end = if shown.is_empty() { String::new() } else { format!("; {} passed in clear", shown.join(" and ")) };
    let client = Ip::new(session.flow.client.ip());
    format!("Session of {} with {} {how}{end}", client.as_str(), Server(&session.flow))
}

/// What the occurrences of a finding have in common.
pub(super) fn finding(collected: &Collected, inputs: &Inputs) -> String {
    let finding = &collected.finding;
    let Some(flow) = &finding.flow else { return gap(collected, inputs) };
    let (client, server) = (Ip::new(flow.client.ip()), Server(flow));
    let client = client.as_str();
    let (times, sure) = (Times(collected.count), Sure(finding.confidence));
    let user = Of(finding.user.as_ref());
    let kind = finding.evidence.as_ref().and_then(|evidence| evidence.kind).unwrap_or("");
    let clients = Counted(collected.clients, "client");
    let mut text = String::with_capacity(USUAL_OCTETS);
    let written = match finding.id {
        FindingId::CleartextPassword => {
            write!(text, "Password{user} sent in clear by {client} to {server}{}", Answers(collected))
        }
        FindingId::CleartextBearerToken => {
            write!(text, "Access token{user} sent in clear by {client} to {server}{}", Answers(collected))
        }
        FindingId::CrackableAuthExchange => {
            let by = finding.mechanism.as_ref().map_or("", convert::mechanism);
            write!(text, "Login{user} by {by}, which can be guessed offline, sent in clear by {client} to {server}")
        }
        FindingId::CleartextUnknownMechanism => {
            write!(text, "{client} logged in to {server} in clear by a mechanism that is not known")
        }
        FindingId::CleartextUsername => {
            write!(text, "User name{user} sent in clear by {client} to {server}, without a secret")
        }
        FindingId::AnonymousLogin => write!(text, "{client} logged in anonymously to {server}"),
        FindingId::CredentialReuse => {
            let count = finding.places().len() as u64;
            let _ = write!(text, "One secret was used in {}{sure}", Counted(count, "place"));
            return text;
        }
        FindingId::ServerAcceptsCleartextAuth => {
            let logins = Counted(collected.count, "login");
            let _ = write!(text, "{server} accepted {logins} without TLS from {clients}{sure}");
            return text;
        }
        FindingId::LoginDespiteLogindisabled => {
            write!(text, "{client} sent a login in clear to {server}, which does not allow that")
        }
        FindingId::PlaintextAuthAdvertised => write!(text, "{server} offers password logins without TLS to {clients}"),
        FindingId::AuthMechanismDowngrade => {
            write!(text, "{client} sent a password to {server}, though there was a mechanism that spares it")
        }
        FindingId::RepeatedAuthFailure => write!(text, "{server} rejected many logins from {client} within minutes"),
        FindingId::WeakSecret => write!(text, "The password{user} at {server} is weak ({kind})"),
        FindingId::StarttlsNotOffered => write!(text, "{server} did not offer STARTTLS to {clients}"),
        FindingId::StarttlsOfferedUnused => write!(text, "{client} did not use the STARTTLS that {server} offered"),
        FindingId::StarttlsRefused => write!(text, "{server} refused STARTTLS to {clients}"),
        FindingId::CleartextAfterStarttlsRefused => {
            write!(text, "{client} went on in clear after {server} refused STARTTLS")
        }
        FindingId::StarttlsAcceptedNoTls => {
            write!(text, "{client} went on in clear after {server} had accepted STARTTLS")
        }
        FindingId::StarttlsStripped => {
            write!(text, "The offer of STARTTLS by {server} was removed or masked on the path")
        }
        FindingId::StarttlsOfferRegressed => write!(text, "{server} offered STARTTLS before and did not later"),
        FindingId::StarttlsCommandInjection => {
            write!(text, "Octets in clear ({kind}) stand between STARTTLS and TLS from {client} to {server}")
        }
        FindingId::StarttlsResponseInjection => {
            write!(
                text,
                "Octets in clear ({kind}) stand between the answer to STARTTLS and TLS from {server} to {client}"
            )
        }
        FindingId::ImapPreauthCleartext => write!(text, "{server} opened a session in clear as logged in already"),
        FindingId::ServerInstructionInClear => write!(text, "{server} instructed its clients in clear ({kind})"),
        FindingId::EsmtpDowngradeToHelo => {
            write!(text, "{server} refused EHLO to {client}, which went on in clear with HELO")
        }
        FindingId::TlsHandshakeFailed => {
            let cause = finding.evidence.as_ref().and_then(|evidence| evidence.cause.as_ref());
            write!(text, "TLS between {client} and {server} failed ({})", cause.map_or("closed", Text::as_str))
        }
        FindingId::TlsFallbackToCleartext => {
            write!(text, "{client} went on in clear with {server} after TLS had failed")
        }
        FindingId::ImplicitTlsPortCleartext => write!(text, "{server} speaks in clear on a port for TLS"),
        FindingId::RequiretlsViolated => {
            write!(text, "{client} sent {server} a message in clear that demands TLS on every hop")
        }
        FindingId::MtaCleartextTransfer => write!(text, "{server} took mail in clear from {client}"),
        FindingId::CleartextMessageContent => write!(text, "Messages passed in clear between {client} and {server}"),
        FindingId::TlsDeprecatedVersion => write!(text, "{server} chose an outdated version of TLS ({kind})"),
        FindingId::TlsWeakCipher => write!(text, "{server} chose a weak cipher suite ({kind})"),
        FindingId::TlsCertificateProblem => write!(text, "{server} has a certificate with a problem ({kind})"),
        FindingId::ProtocolDesync => write!(text, "The dialogue of {client} with {server} could not be followed"),
        FindingId::StreamAmbiguousOverlap => {
            write!(text, "Copies of the same octets between {client} and {server} differ ({kind})")
        }
        FindingId::CoverageGap => {
            // It has no sentence of its own.
            let severity = severity_name(finding.severity);
            write!(text, "{}: {server}, severity {severity}", finding.id.entry().title)
        }
    };
    let _ = written.and_then(|()| write!(text, "{times}{sure}"));
    text
}

fn gap(collected: &Collected, inputs: &Inputs) -> String {
    let finding = &collected.finding;
    let name = inputs.names.get(finding.at.input as usize).map_or("the input", String::as_str);
    // Where a capture lies is not what people want to read here.
    let name = if inputs.is_live { name } else { name.rsplit('/').find(|part| !part.is_empty()).unwrap_or(name) };
    let why = finding.missing.map_or("", reason);
    let name = Text::new(name.as_bytes());
    format!("Mail traffic is missing from {}{why}{}", Short(name.as_str()), Times(collected.count))
}

/// `POP3 server 198.51.100.25:110`, `IMAP server [2001:db8::25]:143`.
#[derive(Clone, Copy)]
struct Server<'a>(&'a Flow);

impl Display for Server<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Flow { server, protocol, .. } = self.0;
        let ip = Ip::new(server.ip());
        let [open, close] = if ip.is_v4 { [" server ", ":"] } else { [" server [", "]:"] };
        [protocol.info().title, open, ip.as_str(), close].into_iter().try_for_each(|part| f.write_str(part))?;
        Display::fmt(&{ server.port }, f)
    }
}

/// Whose it is, where that is known.
#[derive(Clone, Copy)]
struct Of<'a>(Option<&'a Text>);

impl Display for Of<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.map(Text::as_str) {
            None | Some("") => Ok(()),
            Some(user) => f.write_str(" of ").and_then(|()| Short(user).fmt(f)),
        }
    }
}

/// The beginning of a name.
#[derive(Clone, Copy)]
struct Short<'a>(&'a str);

impl Display for Short<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Characters are octets at least.
        let end = if self.0.len() > NAME_CHARS { self.0.char_indices().nth(NAME_CHARS) } else { None };
        match end {
            Some((end, _)) => f.write_str(&self.0[..end]).and_then(|()| f.write_str("...")),
            None => f.write_str(self.0),
        }
    }
}

#[derive(Clone, Copy)]
struct Times(u64);

impl Display for Times {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(f, " (seen {} times)", self.0) } else { Ok(()) }
    }
}

/// How many of what.
#[derive(Clone, Copy)]
struct Counted(u64, &'static str);

impl Display for Counted {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

#[derive(Clone, Copy)]
struct Sure(Confidence);

impl Display for Sure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Confidence::Confirmed => Ok(()),
            other => write!(f, " ({}, not confirmed)", other.name()),
        }
    }
}

/// The answers to one login, or the best of several.
struct Answers<'a>(&'a Collected);

impl Display for Answers<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.0.finding.outcome, self.0.count) {
            (None, _) => Ok(()),
            (Some(outcome), 0..=1) => f.write_str("; ").and_then(|()| Answer(outcome).fmt(f)),
            (Some(Outcome::Accepted), _) => f.write_str("; the server accepted it at least once"),
            (Some(_), _) => f.write_str("; the server was not seen to accept it"),
        }
    }
}

#[derive(Clone, Copy)]
struct Answer(Outcome);

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Outcome::Accepted => "the server accepted it",
            Outcome::Rejected => "the server rejected it",
            Outcome::RejectedAfterAuth => "it was right, though the server refused the login for another reason",
            Outcome::RefusedByPolicy => "the server's policy refused it",
            Outcome::Cancelled => "the attempt was broken off",
            Outcome::Unknown(Reason::Temporary) => "the server put it off for a trouble of its own",
            Outcome::Unknown(why) => return write!(f, "what the server answered is not known{}", reason(why)),
        })
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
