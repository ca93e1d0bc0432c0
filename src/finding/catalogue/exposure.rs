//! What a client disclosed, or a server lets clients disclose.

use super::{
    BRUTE_FORCE, CRACKING, Category, DOWNGRADE, EXPOSED, Entry, FindingId, Key, SNIFFING, SNIFFING_DISCOVERY, STATE,
    STEAL_TOKEN, VALID_ACCOUNTS,
};

pub(super) const CLEARTEXT_PASSWORD: Entry = Entry {
    id: FindingId::CleartextPassword,
    name: "cleartext-password",
    title: "Password sent in clear",
    description: "A client sent a password over a connection without TLS. Anyone on the path could read it and log \
                  in with it, whether or not the server accepted it: a rejected password is often the right one with \
                  a slip, or that of another account.",
    proof: "The octets of the password were captured in a login position of the dialogue, outside TLS; the server's \
            answer is not needed. What looks like a login inside a message, a literal or another protocol is none.",
    remediation: "Have the client use TLS (implicit TLS on 993, 995 or 465, or STARTTLS where it is required), have \
                  the server refuse passwords without TLS, then change the password.",
    modifiers: &[EXPOSED],
    severity: 4,
    category: Category::Exposure,
    key: Key::ServerClientUserMechanism,
    rfcs: &["RFC 8314 section 3", "RFC 1939 section 7", "RFC 3501 section 6.2.3", "RFC 4616", "RFC 4954"],
    cwes: &["CWE-319", "CWE-522", "CWE-523"],
    cves: &[],
    papers: &[],
    techniques: &[SNIFFING, SNIFFING_DISCOVERY, VALID_ACCOUNTS],
};

pub(super) const CLEARTEXT_BEARER_TOKEN: Entry = Entry {
    id: FindingId::CleartextBearerToken,
    name: "cleartext-bearer-token",
    title: "Access token sent in clear",
    description: "A client sent an OAuth access token over a connection without TLS. Whoever read it can use the \
                  account until the token expires or is revoked, without the password and without a second factor.",
    proof: "An XOAUTH2 or OAUTHBEARER response that holds auth=Bearer was captured outside TLS; the server's answer \
            is not needed.",
    remediation: "Have the client use TLS, have the server refuse authentication without it, then revoke the token \
                  and the grant it came from.",
    modifiers: &[EXPOSED],
    severity: 4,
    category: Category::Exposure,
    key: Key::ServerClientUserMechanism,
    rfcs: &["RFC 7628", "RFC 6750 section 5.3", "RFC 8314 section 3"],
    cwes: &["CWE-319", "CWE-522", "CWE-523"],
    cves: &[],
    papers: &[],
    techniques: &[SNIFFING, SNIFFING_DISCOVERY, STEAL_TOKEN],
};

pub(super) const CRACKABLE_AUTH_EXCHANGE: Entry = Entry {
    id: FindingId::CrackableAuthExchange,
    name: "crackable-auth-exchange",
    title: "Login that can be guessed offline sent in clear",
    description: "A challenge and its response crossed the wire without TLS. The password itself did not, but \
                  whoever captured both can test guesses against them at any speed, and the server notices nothing.",
    proof: "Challenge and response of the same attempt (APOP, CRAM-MD5, DIGEST-MD5, SCRAM, NTLM) were captured \
            outside TLS. With one half only it is possible, not confirmed.",
    remediation: "Have the client use TLS, have the server offer these mechanisms under TLS only, and change \
                  passwords that a dictionary holds.",
    modifiers: &["Low for SCRAM, which makes each guess costly.", EXPOSED],
    severity: 3,
    category: Category::Exposure,
    key: Key::ServerClientUserMechanism,
    rfcs: &["RFC 2195 section 3", "RFC 5802 section 9", "RFC 6331", "RFC 8314 section 3"],
    cwes: &["CWE-916", "CWE-328"],
    cves: &[],
    papers: &[],
    techniques: &[SNIFFING, SNIFFING_DISCOVERY, CRACKING],
};

pub(super) const CLEARTEXT_UNKNOWN_MECHANISM: Entry = Entry {
    id: FindingId::CleartextUnknownMechanism,
    name: "cleartext-unknown-mechanism",
    title: "Login by an unknown mechanism in clear",
    description: "A client logged in over a connection without TLS by a mechanism that is not known here, so what it \
                  disclosed cannot be judged.",
    proof: "A request for authentication outside TLS that names a mechanism outside the known ones. That the server \
            took it is not needed.",
    remediation: "Find out what the mechanism discloses, and have client and server use TLS in any case.",
    modifiers: &[EXPOSED],
    severity: 2,
    category: Category::Exposure,
    key: Key::ServerClientMechanism,
    rfcs: &["RFC 4422 section 6.2", "RFC 8314 section 3"],
    cwes: &["CWE-319"],
    cves: &[],
    papers: &[],
    techniques: &[SNIFFING, SNIFFING_DISCOVERY],
};

pub(super) const CLEARTEXT_USERNAME: Entry = Entry {
    id: FindingId::CleartextUsername,
    name: "cleartext-username",
    title: "User name sent in clear",
    description: "A client named its user over a connection without TLS and sent no secret in that attempt. The name \
                  is half of a login, and tells whom to try.",
    proof: "A user name in a login position and no secret in the same attempt: the name was refused, the attempt was \
            cancelled, or the mechanism has none. It is left out where a secret of the same user was disclosed.",
    remediation: "Have the client use TLS before it names a user, and have the server refuse authentication without \
                  it.",
    modifiers: &[EXPOSED],
    severity: 2,
    category: Category::Exposure,
    key: Key::ServerClientUser,
    rfcs: &["RFC 8314 section 3", "RFC 1939 section 7"],
    cwes: &["CWE-319"],
    cves: &[],
    papers: &[],
    techniques: &[SNIFFING, SNIFFING_DISCOVERY],
};

pub(super) const ANONYMOUS_LOGIN: Entry = Entry {
    id: FindingId::AnonymousLogin,
    name: "anonymous-login",
    title: "Anonymous login",
    description: "A client logged in as nobody in particular. No secret was disclosed; whether the server means to \
                  serve anonymous users is for its operator to say.",
    proof: "The mechanism ANONYMOUS, or the user anonymous in a login position, outside TLS.",
    remediation: "Disable anonymous login where it is not meant to be.",
    modifiers: &[],
    severity: 1,
    category: Category::Exposure,
    key: Key::ServerClient,
    rfcs: &["RFC 4505"],
    cwes: &[],
    cves: &[],
    papers: &[],
    techniques: &[],
};

pub(super) const CREDENTIAL_REUSE: Entry = Entry {
    id: FindingId::CredentialReuse,
    name: "credential-reuse",
    title: "One secret used in several places",
    description: "The same password or token crossed the wire in clear for more than one server, user or protocol. \
                  Who read it once can use it in all of these places.",
    proof: "Equal keyed fingerprints, made with one key, for different servers, users or protocols. Empty secrets do \
            not count, and fingerprints of different keys cannot be compared.",
    remediation: "Change the secret in every place named, to a different one in each, and have all of them use TLS.",
    modifiers: &["Low where it is one user's own mail suite: IMAP or POP3 and SMTP at one address.", EXPOSED],
    severity: 4,
    category: Category::Exposure,
    key: Key::Fingerprint,
    rfcs: &["RFC 8314 section 3"],
    cwes: &["CWE-522"],
    cves: &[],
    papers: &[],
    techniques: &[SNIFFING, SNIFFING_DISCOVERY, VALID_ACCOUNTS],
};

pub(super) const SERVER_ACCEPTS_CLEARTEXT_AUTH: Entry = Entry {
    id: FindingId::ServerAcceptsCleartextAuth,
    name: "server-accepts-cleartext-auth",
    title: "Server accepts passwords without TLS",
    description: "The server let a user in whose password or token came over a connection without TLS. One setting \
                  of the server exposes every account on it to the first client that is set up wrongly: it is the \
                  finding to mend.",
    proof: "A login with a password or bearer token outside TLS was answered with success, both seen without a gap. \
            What a server only offers is no proof.",
    remediation: "Set the server to refuse authentication until TLS is established.",
    modifiers: &[EXPOSED],
    severity: 4,
    category: Category::Exposure,
    key: Key::Server,
    rfcs: &["RFC 8314 section 4.1", "RFC 4954 section 4"],
    cwes: &["CWE-319", "CWE-523"],
    cves: &[],
    papers: &[],
    techniques: &[SNIFFING, SNIFFING_DISCOVERY],
};

pub(super) const LOGIN_DESPITE_LOGINDISABLED: Entry = Entry {
    id: FindingId::LoginDespiteLogindisabled,
    name: "login-despite-logindisabled",
    title: "Login in clear although the server had forbidden it",
    description: "The server had said that it takes no such login without TLS, and the client sent one all the same. \
                  The refusal came too late: the secret was on the wire.",
    proof: "A complete list that forbids the login (LOGINDISABLED, no AUTH, no USER, an empty SASL list) was \
            acknowledged by the client before it sent one; or the answer says that encryption is required, and then \
            only that the server said so afterwards. LOGINDISABLED forbids LOGIN, not AUTHENTICATE.",
    remediation: "Set the client to require TLS; the server is right already.",
    modifiers: &[EXPOSED],
    severity: 3,
    category: Category::Exposure,
    key: Key::ServerClient,
    rfcs: &["RFC 3501 section 6.2.3", "RFC 2595 section 3.2", "RFC 4954 section 6"],
    cwes: &["CWE-319"],
    cves: &[],
    papers: &[],
    techniques: &[SNIFFING, SNIFFING_DISCOVERY],
};

pub(super) const PLAINTEXT_AUTH_ADVERTISED: Entry = Entry {
    id: FindingId::PlaintextAuthAdvertised,
    name: "plaintext-auth-advertised",
    title: "Server offers password logins without TLS",
    description: "The server lists mechanisms that disclose the password on a connection without TLS. To offer is \
                  not to accept: no such login was seen to succeed.",
    proof: "A complete list of capabilities outside TLS that names such a mechanism, or an IMAP list without \
            LOGINDISABLED. It is left out where a login in clear was accepted.",
    remediation: "Set the server to offer authentication only after TLS is established.",
    modifiers: &[],
    severity: 1,
    category: Category::Exposure,
    key: Key::Server,
    rfcs: &["RFC 8314 section 4.1", "RFC 4954 section 4"],
    cwes: &[],
    cves: &[],
    papers: &[],
    techniques: &[],
};

pub(super) const AUTH_MECHANISM_DOWNGRADE: Entry = Entry {
    id: FindingId::AuthMechanismDowngrade,
    name: "auth-mechanism-downgrade",
    title: "Password sent although a stronger mechanism was at hand",
    description: "The client sent its password in clear although the server offered, on the same connection, a \
                  mechanism that does not disclose it; or after the server had refused the stronger one. A list or a \
                  refusal outside TLS can be anybody's.",
    proof: "A complete list of capabilities that the client had seen, or the refusal of the stronger mechanism, \
            before the password.",
    remediation: "Set the client to require TLS, under which the mechanism matters little, and to use the stronger \
                  one where it can.",
    modifiers: &[STATE],
    severity: 2,
    category: Category::Exposure,
    key: Key::ServerClient,
    rfcs: &["RFC 4422 section 6.1.2"],
    cwes: &["CWE-757"],
    cves: &[],
    papers: &[],
    techniques: &[DOWNGRADE],
};

pub(super) const REPEATED_AUTH_FAILURE: Entry = Entry {
    id: FindingId::RepeatedAuthFailure,
    name: "repeated-auth-failure",
    title: "Many rejected logins in a short time",
    description: "The server rejected many logins within minutes. One and the same secret again and again is a \
                  device with an old password; many different ones are guesses.",
    proof: "Ten rejected logins within five minutes, outside TLS, from one client to one server or for one of its \
            users. Different secrets are told apart by their fingerprints.",
    remediation: "Find the device with the old password; where it is guesses, limit how fast the server lets anyone \
                  try.",
    modifiers: &[],
    severity: 2,
    category: Category::Exposure,
    key: Key::ServerClient,
    rfcs: &["RFC 4954 section 9"],
    cwes: &[],
    cves: &[],
    papers: &[],
    techniques: &[BRUTE_FORCE],
};

pub(super) const WEAK_SECRET: Entry = Entry {
    id: FindingId::WeakSecret,
    name: "weak-secret",
    title: "Weak password",
    description: "A password that crossed the wire is empty, equals its user's name, or stands in the list of known \
                  passwords that was given to the sensor.",
    proof: "The password was compared in memory, and only where that was asked for; neither it nor its length is \
            written anywhere.",
    remediation: "Change the password, and have the server refuse weak ones.",
    modifiers: &[EXPOSED],
    severity: 3,
    category: Category::Exposure,
    key: Key::ServerUser,
    rfcs: &["RFC 8314 section 3"],
    cwes: &["CWE-521"],
    cves: &[],
    papers: &[],
    techniques: &[],
};
