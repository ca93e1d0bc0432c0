//! How the connection was protected, and what became of the protection.

use super::{
    Category, DOWNGRADE, EMAIL_COLLECTION, Entry, FindingId, IN_THE_MIDDLE, IN_THE_MIDDLE_COLLECTION, Key,
    NEITHER_SNOW, NO_STARTTLS, SNIFFING, SNIFFING_DISCOVERY, STATE,
};

pub(super) const STARTTLS_NOT_OFFERED: Entry = Entry {
    id: FindingId::StarttlsNotOffered,
    name: "starttls-not-offered",
    title: "STARTTLS not offered",
    description: "The server's complete list of capabilities did not hold STARTTLS, so a client cannot protect \
                  itself on this port. The capture cannot tell whether the server or a device on the path left it \
                  out.",
    proof: "A complete list without STARTTLS, no gap in it, the last before the login or message. A POP3 client that \
            never asked CAPA and an SMTP client that said HELO prove nothing; the first line of an answer to EHLO is \
            a greeting, not a capability.",
    remediation: "Give the server a certificate and enable STARTTLS, or close the port in favour of implicit TLS.",
    modifiers: &["Low for mail between servers; info when neither login nor message followed.", STATE],
    severity: 3,
    category: Category::Transport,
    key: Key::Server,
    rfcs: &["RFC 8314 section 4.1", "RFC 3207 section 2", "RFC 2595"],
    cwes: &["CWE-319", "CWE-311"],
    cves: &[],
    papers: &[],
    techniques: &[SNIFFING, SNIFFING_DISCOVERY],
};

pub(super) const STARTTLS_OFFERED_UNUSED: Entry = Entry {
    id: FindingId::StarttlsOfferedUnused,
    name: "starttls-offered-unused",
    title: "STARTTLS offered and not used",
    description: "The server offered STARTTLS, the client had seen the offer, and went on in clear until the end.",
    proof: "The offer was acknowledged by the client before what it sent in clear, and there was no request for TLS \
            until the connection ended. A capture that ends first proves nothing.",
    remediation: "Set the client to require STARTTLS or implicit TLS, and have the server refuse logins without it.",
    modifiers: &["Info when neither login nor message followed.", STATE],
    severity: 3,
    category: Category::Transport,
    key: Key::ServerClient,
    rfcs: &["RFC 3207 section 6", "RFC 2595", "RFC 8314 section 5.2"],
    cwes: &["CWE-319"],
    cves: &[],
    papers: &[],
    techniques: &[SNIFFING, SNIFFING_DISCOVERY],
};

pub(super) const STARTTLS_REFUSED: Entry = Entry {
    id: FindingId::StarttlsRefused,
    name: "starttls-refused",
    title: "STARTTLS refused",
    description: "The client asked for TLS and was refused. The capture cannot tell whether the server or a device \
                  on the path refused.",
    proof: "A request for STARTTLS and its own answer, by position, that is not the one after which TLS begins. A \
            temporary refusal is marked as such.",
    remediation: "Look into the server's log for why it had no TLS (certificate, key, library), and for a device \
                  before it that inspects mail.",
    modifiers: &[STATE],
    severity: 2,
    category: Category::Transport,
    key: Key::Server,
    rfcs: &["RFC 3207 section 4"],
    cwes: &[],
    cves: &[],
    papers: &[],
    techniques: &[],
};

pub(super) const CLEARTEXT_AFTER_STARTTLS_REFUSED: Entry = Entry {
    id: FindingId::CleartextAfterStarttlsRefused,
    name: "cleartext-after-starttls-refused",
    title: "Login or message in clear after STARTTLS was refused",
    description: "The client asked for TLS, was refused, and sent a credential or message in clear all the same. \
                  Whoever can make the server's answer look like a refusal gets what this client sends.",
    proof: "A request for STARTTLS, its refusal, and after it, by acknowledgement, a credential or message on the \
            same connection.",
    remediation: "Set the client to give up when TLS cannot be had; find out why the server, or a device before it, \
                  refuses.",
    modifiers: &[STATE],
    severity: 4,
    category: Category::Transport,
    key: Key::ServerClient,
    rfcs: &["RFC 3207 section 6", "RFC 8314 section 5"],
    cwes: &["CWE-757", "CWE-319"],
    cves: &[],
    papers: &[],
    techniques: &[IN_THE_MIDDLE, IN_THE_MIDDLE_COLLECTION, DOWNGRADE],
};

pub(super) const STARTTLS_ACCEPTED_NO_TLS: Entry = Entry {
    id: FindingId::StarttlsAcceptedNoTls,
    name: "starttls-accepted-no-tls",
    title: "STARTTLS accepted and no TLS followed",
    description: "The server agreed to STARTTLS, and the client then went on in clear as if TLS had been there.",
    proof: "The server said yes, the client had seen it, and commands followed in clear without a ClientHello. A \
            client that only quits is none; what was sent before the answer, with TLS after it, is an injection.",
    remediation: "Set the client to require TLS, and update it: a client that asks for TLS and does not begin it is \
                  broken.",
    modifiers: &["Low when neither login nor message followed.", STATE],
    severity: 4,
    category: Category::Transport,
    key: Key::ServerClient,
    rfcs: &["RFC 3207 section 4.2", "RFC 2595"],
    cwes: &["CWE-757"],
    cves: &[],
    papers: &[],
    techniques: &[],
};

pub(super) const STARTTLS_STRIPPED: Entry = Entry {
    id: FindingId::StarttlsStripped,
    name: "starttls-stripped",
    title: "Offer of STARTTLS removed or masked on the path",
    description: "A middlebox removed or masked the offer of STARTTLS, so that the client went on in clear. The \
                  inspection of SMTP on some firewalls does this by default; an attacker would do the same, and the \
                  capture cannot tell the two apart.",
    proof: "Confirmed: two copies of the same reply, one with the offer and one without, or the offer seen on one \
            side of the device and not on the other. Probable: a filler of equal characters, such as XXXXXXXA, where \
            the offer would stand in a complete list.",
    remediation: "Turn off the inspection of SMTP on the firewalls between the two, and have clients require TLS.",
    modifiers: &["Medium while only probable.", STATE],
    severity: 4,
    category: Category::Transport,
    key: Key::Server,
    rfcs: &["RFC 3207 section 6", "RFC 8314 section 5"],
    cwes: &["CWE-757", "CWE-300"],
    cves: &[],
    papers: &[NEITHER_SNOW],
    techniques: &[IN_THE_MIDDLE, IN_THE_MIDDLE_COLLECTION, DOWNGRADE],
};

pub(super) const STARTTLS_OFFER_REGRESSED: Entry = Entry {
    id: FindingId::StarttlsOfferRegressed,
    name: "starttls-offer-regressed",
    title: "STARTTLS no longer offered",
    description: "A server that had offered STARTTLS, to this client or to another, did not offer it now. An update \
                  or a change of its settings is the usual reason.",
    proof: "A complete list without STARTTLS, where an earlier one of the same server, or one shown to another \
            client, held it. Several hosts behind one address are told apart by their greetings.",
    remediation: "Compare with the changes made to the server; where there was none, look for a device on the path \
                  that takes the offer out.",
    modifiers: &[STATE],
    severity: 2,
    category: Category::Transport,
    key: Key::Server,
    rfcs: &["RFC 3207 section 6"],
    cwes: &["CWE-757"],
    cves: &[],
    papers: &[],
    techniques: &[],
};

pub(super) const STARTTLS_COMMAND_INJECTION: Entry = Entry {
    id: FindingId::StarttlsCommandInjection,
    name: "starttls-command-injection",
    title: "Octets between STARTTLS and TLS from the client",
    description: "Octets from the client's side stand between its request for STARTTLS and its TLS. A server that \
                  does not discard them runs them inside TLS, as if the client had sent them there; the published \
                  attack has the victim's login mailed to the attacker in this way. Who put them there cannot be \
                  seen.",
    proof: "Every octet between the end of the request and the first TLS record was captured, and TLS followed. \
            White space alone is told as info; a reply that was lost is no injection.",
    remediation: "Update the server to a version that discards what it received before TLS; prefer implicit TLS, \
                  which has no such moment.",
    modifiers: &[
        "Info for white space. Critical when the server answered inside TLS before the client had said anything there.",
    ],
    severity: 4,
    category: Category::Transport,
    key: Key::ServerClient,
    rfcs: &["RFC 3207 section 4", "RFC 2920 section 3.1", "RFC 8314 section 3"],
    cwes: &["CWE-74", "CWE-345"],
    cves: &["CVE-2011-0411", "CVE-2021-33515"],
    papers: &[NO_STARTTLS],
    techniques: &[IN_THE_MIDDLE, IN_THE_MIDDLE_COLLECTION],
};

pub(super) const STARTTLS_RESPONSE_INJECTION: Entry = Entry {
    id: FindingId::StarttlsResponseInjection,
    name: "starttls-response-injection",
    title: "Octets between the answer to STARTTLS and TLS from the server",
    description: "Octets from the server's side stand between its answer to STARTTLS and its TLS. A client that does \
                  not discard them takes them for answers from inside TLS: false mailboxes, false capabilities, a \
                  weaker login. Who put them there cannot be seen.",
    proof: "Every octet between the end of the answer and the first TLS record of the server was captured, and its \
            TLS followed. Late answers to earlier commands are none, nor is an error without TLS after it.",
    remediation: "Update the client to a version that discards what it received before TLS; prefer implicit TLS, \
                  which has no such moment.",
    modifiers: &["Info for white space."],
    severity: 4,
    category: Category::Transport,
    key: Key::ServerClient,
    rfcs: &["RFC 3207 section 4", "RFC 8314 section 3"],
    cwes: &["CWE-74"],
    cves: &["CVE-2021-38371", "CVE-2026-41319", "CVE-2026-55558"],
    papers: &[NO_STARTTLS],
    techniques: &[IN_THE_MIDDLE, IN_THE_MIDDLE_COLLECTION],
};

pub(super) const IMAP_PREAUTH_CLEARTEXT: Entry = Entry {
    id: FindingId::ImapPreauthCleartext,
    name: "imap-preauth-cleartext",
    title: "IMAP session opened as already logged in, in clear",
    description: "The greeting says that the client is logged in already. STARTTLS is then not allowed any more, so \
                  a client that obeys goes on in clear; whoever can write this line takes TLS away.",
    proof: "The first line of the server on a connection that was seen from its beginning is PREAUTH, outside TLS, \
            and not on one host. Gateways and tests on one's own network do this honestly.",
    remediation: "Use implicit TLS, and a client that ends a connection that begins in this way.",
    modifiers: &[STATE],
    severity: 4,
    category: Category::Transport,
    key: Key::Server,
    rfcs: &["RFC 3501 section 7.1.4", "RFC 9051 section 7.1.4"],
    cwes: &["CWE-319", "CWE-345"],
    cves: &[],
    papers: &[NO_STARTTLS],
    techniques: &[IN_THE_MIDDLE, IN_THE_MIDDLE_COLLECTION],
};

pub(super) const SERVER_INSTRUCTION_IN_CLEAR: Entry = Entry {
    id: FindingId::ServerInstructionInClear,
    name: "server-instruction-in-clear",
    title: "Referral or alert from the server in clear",
    description: "Before TLS and login the server told the client to go to another server, or to show a text to its \
                  user. Nothing vouches for such a line outside TLS.",
    proof: "A referral or an alert in the position of a status response, outside TLS. Text in quotes, literals and \
            messages is none.",
    remediation: "Use implicit TLS, and have the server send no referrals or alerts before it.",
    modifiers: &["Medium for a referral, low for an alert.", STATE],
    severity: 3,
    category: Category::Transport,
    key: Key::Server,
    rfcs: &["RFC 2221", "RFC 2193", "RFC 3501 section 7.1"],
    cwes: &["CWE-345"],
    cves: &[],
    papers: &[NO_STARTTLS],
    techniques: &[],
};

pub(super) const ESMTP_DOWNGRADE_TO_HELO: Entry = Entry {
    id: FindingId::EsmtpDowngradeToHelo,
    name: "esmtp-downgrade-to-helo",
    title: "EHLO refused, HELO used",
    description: "The server refused EHLO and the client went on with HELO, under which there is no STARTTLS. Old \
                  appliances do this honestly, as do firewalls that know no EHLO.",
    proof: "EHLO answered with a refusal, HELO accepted, and mail after it in clear.",
    remediation: "Update the server or the device before it that does not know EHLO; have clients that must have TLS \
                  give up.",
    modifiers: &["One step graver where the same server had been seen to know EHLO and STARTTLS.", STATE],
    severity: 2,
    category: Category::Transport,
    key: Key::ServerClient,
    rfcs: &["RFC 5321 section 3.2", "RFC 3207 section 6"],
    cwes: &["CWE-757"],
    cves: &[],
    papers: &[],
    techniques: &[],
};

pub(super) const TLS_HANDSHAKE_FAILED: Entry = Entry {
    id: FindingId::TlsHandshakeFailed,
    name: "tls-handshake-failed",
    title: "TLS handshake failed",
    description: "TLS began and did not come about: one side broke it off, or the answer was no TLS.",
    proof: "A fatal alert in clear, a reset or an end before TLS was established, or an answer that is no TLS. The \
            end of the capture is none of these; scanners and monitors leave many.",
    remediation: "Compare the versions, suites and names of the certificate that both sides take; the alert tells \
                  which.",
    modifiers: &[STATE],
    severity: 2,
    category: Category::Transport,
    key: Key::ServerClient,
    rfcs: &["RFC 8446 section 6.2", "RFC 3207 section 4.1"],
    cwes: &["CWE-757"],
    cves: &[],
    papers: &[],
    techniques: &[],
};

pub(super) const TLS_FALLBACK_TO_CLEARTEXT: Entry = Entry {
    id: FindingId::TlsFallbackToCleartext,
    name: "tls-fallback-to-cleartext",
    title: "Client went on in clear after TLS failed",
    description: "TLS did not come about, and the client sent a credential or message in clear all the same, on that \
                  connection or soon after on another. Whoever can disturb a handshake gets what this client sends.",
    proof: "The failure, and after it what the same client sent in clear to the same server. On another connection, \
            within five minutes, the same user, name in EHLO or TLS fingerprint is needed to be sure: several \
            clients may stand behind one address.",
    remediation: "Set the client to require TLS, and mend what made the handshake fail.",
    modifiers: &[STATE],
    severity: 4,
    category: Category::Transport,
    key: Key::ServerClient,
    rfcs: &["RFC 8314 section 5"],
    cwes: &["CWE-757", "CWE-319"],
    cves: &[],
    papers: &[],
    techniques: &[IN_THE_MIDDLE, IN_THE_MIDDLE_COLLECTION, DOWNGRADE],
};

pub(super) const IMPLICIT_TLS_PORT_CLEARTEXT: Entry = Entry {
    id: FindingId::ImplicitTlsPortCleartext,
    name: "implicit-tls-port-cleartext",
    title: "Mail in clear on a port for TLS",
    description: "The connection spoke mail in clear on a port that is for TLS from the first octet. Who chose that \
                  port believes to be protected, and is not.",
    proof: "A mail dialogue, decided by its octets, on port 465, 563, 993 or 995 or one configured so. A connection \
            that only opens and closes is none; a proxy's preamble is taken off first.",
    remediation: "Give the service on that port its TLS back, and set the client to TLS for that port.",
    modifiers: &["Low when no login was sent.", STATE],
    severity: 4,
    category: Category::Transport,
    key: Key::ServerClient,
    rfcs: &["RFC 8314 section 3"],
    cwes: &["CWE-319"],
    cves: &[],
    papers: &[],
    techniques: &[SNIFFING, SNIFFING_DISCOVERY],
};

pub(super) const REQUIRETLS_VIOLATED: Entry = Entry {
    id: FindingId::RequiretlsViolated,
    name: "requiretls-violated",
    title: "Message that requires TLS sent without it",
    description: "The sender required TLS for every hop of a message, and on this hop it passed in clear.",
    proof: "MAIL FROM with the parameter REQUIRETLS outside TLS, and the server took it.",
    remediation: "Update the sending server, or set it to return such a message rather than pass it on without TLS.",
    modifiers: &[STATE],
    severity: 4,
    category: Category::Transport,
    key: Key::ServerClient,
    rfcs: &["RFC 8689 section 4.2.1"],
    cwes: &["CWE-319"],
    cves: &[],
    papers: &[],
    techniques: &[SNIFFING, SNIFFING_DISCOVERY],
};

pub(super) const MTA_CLEARTEXT_TRANSFER: Entry = Entry {
    id: FindingId::MtaCleartextTransfer,
    name: "mta-cleartext-transfer",
    title: "Mail between servers in clear",
    description: "A server passed a message to another one without TLS. RFC 3207 allows that: between servers TLS is \
                  used where both have it.",
    proof: "A message accepted outside TLS on a connection between servers: no login, on port 25.",
    remediation: "Give both servers TLS; publish MTA-STS or DANE, so that senders require it.",
    modifiers: &["Medium where the receiver had offered STARTTLS.", STATE],
    severity: 2,
    category: Category::Transport,
    key: Key::ServerClient,
    rfcs: &["RFC 3207 section 6", "RFC 7672", "RFC 8461"],
    cwes: &["CWE-319"],
    cves: &[],
    papers: &[],
    techniques: &[SNIFFING, SNIFFING_DISCOVERY],
};

pub(super) const CLEARTEXT_MESSAGE_CONTENT: Entry = Entry {
    id: FindingId::CleartextMessageContent,
    name: "cleartext-message-content",
    title: "Message content in clear",
    description: "The content of messages was sent or fetched without TLS. Anyone on the path could read and change \
                  it.",
    proof: "Octets of content in the place for them (DATA, BDAT, APPEND, RETR, TOP, FETCH), outside TLS. They are \
            counted and not kept. Mail between servers is told apart.",
    remediation: "Have the client use TLS, and have the server refuse to serve without it.",
    modifiers: &[STATE],
    severity: 3,
    category: Category::Transport,
    key: Key::ServerClient,
    rfcs: &["RFC 8314 section 3"],
    cwes: &["CWE-319"],
    cves: &[],
    papers: &[],
    techniques: &[SNIFFING, SNIFFING_DISCOVERY, EMAIL_COLLECTION],
};

pub(super) const TLS_DEPRECATED_VERSION: Entry = Entry {
    id: FindingId::TlsDeprecatedVersion,
    name: "tls-deprecated-version",
    title: "Outdated version of TLS",
    description: "Client and server agreed on a version of SSL or TLS that has been withdrawn because it is weak.",
    proof: "The version that the ServerHello chose. What the client offers, or what the record layer says, proves \
            nothing.",
    remediation: "Allow TLS 1.2 and 1.3 only on the server, and update clients that cannot.",
    modifiers: &["High for SSL 2 and 3."],
    severity: 3,
    category: Category::Transport,
    key: Key::Server,
    rfcs: &["RFC 8996", "RFC 8997"],
    cwes: &["CWE-326", "CWE-757"],
    cves: &[],
    papers: &[],
    techniques: &[],
};

pub(super) const TLS_WEAK_CIPHER: Entry = Entry {
    id: FindingId::TlsWeakCipher,
    name: "tls-weak-cipher",
    title: "Weak cipher suite",
    description: "Client and server agreed on a suite that protects badly, or not at all.",
    proof: "The suite that the ServerHello chose. What the client offers proves nothing.",
    remediation: "Allow only suites with forward secrecy and authenticated encryption.",
    modifiers: &["High for suites without encryption or authentication and for export suites; low for static RSA."],
    severity: 3,
    category: Category::Transport,
    key: Key::Server,
    rfcs: &["RFC 9325 section 4.2"],
    cwes: &["CWE-327"],
    cves: &[],
    papers: &[],
    techniques: &[],
};

pub(super) const TLS_CERTIFICATE_PROBLEM: Entry = Entry {
    id: FindingId::TlsCertificateProblem,
    name: "tls-certificate-problem",
    title: "Certificate that a client should not take",
    description: "The server showed a certificate that is expired or not valid yet, made for another name, signed by \
                  itself, or weak. A client that takes it takes anybody's.",
    proof: "The certificate was visible, which it is up to TLS 1.2 in a full handshake; dates are compared with the \
            time of the packet. Under TLS 1.3 and in resumed sessions it cannot be seen, which is not to say that it \
            is good.",
    remediation: "Renew the certificate, with every name that clients connect to.",
    modifiers: &["Low for one signed by itself; info for mail between servers."],
    severity: 3,
    category: Category::Transport,
    key: Key::Server,
    rfcs: &["RFC 7817", "RFC 9525"],
    cwes: &["CWE-295", "CWE-297", "CWE-298"],
    cves: &[],
    papers: &[],
    techniques: &[],
};
