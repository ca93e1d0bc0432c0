//! The corpus: every case's findings and logins, exact; every published login found, none invented.
//!
//! The folder is named by `BAREWIRE_CORPUS`; without it these tests skip, loudly.

#![allow(clippy::print_stderr, reason = "a skipped test must be loud")]

use barewire::finding::{Collected, Flow, Login, Record, Session, severity_name};
use barewire::mail::{Outcome, StarttlsReply};
use barewire::wire::Endpoint;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("BAREWIRE_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        assert!(std::env::var_os("BAREWIRE_REQUIRE_ALL").is_none(), "BAREWIRE_CORPUS must name the corpus here");
        eprintln!("SKIPPED corpus: BAREWIRE_CORPUS does not name the folder");
    }
    folder
}

/// What the records of a capture say of a finding: its name, and all words that `expected.tsv` may put in braces.
struct Found {
    name: &'static str,
    words: Vec<String>,
    is_info: bool,
}

impl Found {
    fn new(collected: &Collected) -> Self {
        let finding = &collected.finding;
        let mut words = vec![severity_name(finding.severity).to_owned(), finding.confidence.name().to_owned()];
        words.extend(finding.missing.map(|reason| reason.name().to_owned()));
        if let Some(evidence) = &finding.evidence {
            let kind = evidence.kind.map(|kind| kind.trim_start_matches("tls"));
            let timing = evidence.timing.map(|timing| timing.name());
            words.extend(
                [kind, timing, evidence.context]
                    .into_iter()
                    .flatten()
                    .chain(evidence.also.iter().copied())
                    .map(str::to_owned),
            );
        }
        Self { name: finding.id.name(), words, is_info: finding.severity == 1 }
    }

    /// Whether it is what `id{word,word}` says.
    fn fits(&self, expected: &str) -> bool {
        let (name, words) = expected.split_once('{').unwrap_or((expected, ""));
        let mut words = words.trim_end_matches('}').split(',').filter(|word| !word.is_empty());
        self.name == name && words.all(|word| self.words.iter().any(|known| known == word))
    }
}

/// Findings and logins of a capture.
fn judged(capture: &Path) -> (Vec<Found>, Vec<String>) {
    let (records, _) = barewire::testing::replay(&[capture.to_path_buf()]);
    let findings = barewire::testing::collect(&records).iter().map(Found::new).collect();
    let mut logins = Vec::new();
    for record in &records {
        let Record::Login(login) = record else { continue };
        let outcome = match login.outcome {
            Outcome::Unknown(reason) => format!("unknown({})", reason.name()),
            known => known.name().to_owned(),
        };
        let user = login.user.as_ref().map_or("?", |user| user.as_str());
        logins.push((login.at, format!("{user}:{outcome}:{}", login.validity.name())));
    }
    logins.sort();
    (findings, logins.into_iter().map(|(_, login)| login).collect())
}

/// Cases that need what is not built yet: tunnels, fragments, overlap ambiguity.
const NOT_YET: [&str; 0] = [];

#[test]
fn every_case_gives_its_findings_and_logins() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("cases");
    let table = std::fs::read_to_string(folder.join("expected.tsv")).expect("expected.tsv");
    let mut wrong = Vec::new();
    let mut checked = 0;
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [capture, findings, logins] = columns[..] else { panic!("three columns: {row}") };
        if NOT_YET.contains(&&capture[..3]) {
            continue;
        }
        checked += 1;
        let (found, found_logins) = judged(&folder.join(capture));
        for expected in findings.split(';').filter(|expected| !found.iter().any(|found| found.fits(expected))) {
            wrong.push(format!("{capture}: missing {expected}"));
        }
        for extra in found.iter().filter(|found| !findings.split(';').any(|expected| found.fits(expected))) {
            if !extra.is_info {
                wrong.push(format!("{capture}: not wanted {} {:?}", extra.name, extra.words));
            }
        }
        let expected_logins: Vec<&str> = logins.split(',').filter(|login| *login != "-").collect();
        if found_logins != expected_logins {
            wrong.push(format!("{capture}: logins {found_logins:?}, expected {expected_logins:?}"));
        }
    }
    assert!(checked >= 80, "only {checked} rows were checked");
    assert!(wrong.is_empty(), "{} differences in {checked} rows:\n{}", wrong.len(), wrong.join("\n"));
}

/// One login of the published truth.
#[derive(Debug)]
struct Listed {
    user: String,
    outcome: String,
    /// The truth itself is not sure of it.
    is_loose: bool,
}

/// The password logins in clear that the truth lists for one capture.
fn known_logins(capture: &serde_json::Value) -> Vec<Listed> {
    let streams = capture["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_unsure = capture["confidence"] == "low";
    let followed =
        |stream: &&serde_json::Value| ["pop3", "imap", "smtp"].iter().any(|protocol| stream["protocol"] == *protocol);
    let auths = streams.iter().filter(followed).flat_map(|stream| stream["auth"].as_array().into_iter().flatten());
    auths
        .filter(|auth| auth["secret_kind"] == "password" || auth["secret_kind"] == "malformed-plain")
        .map(|auth| Listed {
            user: auth["user"].as_str().unwrap_or("?").to_owned(),
            outcome: auth["outcome"].as_str().unwrap_or_default().to_owned(),
            is_loose: is_unsure || auth["ambiguous"] == true || auth["malformed"] == true,
        })
        .collect()
}

/// The truth's words for outcomes.
fn agrees(outcome: Outcome, known: &str) -> bool {
    match outcome {
        Outcome::Accepted => known == "accepted",
        Outcome::Rejected | Outcome::RejectedAfterAuth | Outcome::RefusedByPolicy => known == "rejected",
        Outcome::Cancelled => known == "aborted" || known == "rejected",
        Outcome::Unknown(_) => known == "unknown",
    }
}

#[test]
fn every_published_login_is_found_and_none_invented() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("public");
    let truth = std::fs::read_to_string(folder.join("truth.jsonl")).expect("truth.jsonl");
    let mut wrong = Vec::new();
    let (mut files, mut logins) = (0, 0);
    for line in truth.lines() {
        let capture: serde_json::Value = serde_json::from_str(line).expect("a line of truth");
        let name = capture["file"].as_str().expect("a file name");
        let (records, _) = barewire::testing::replay(&[folder.join(name)]);
        files += 1;
        if capture["kind"] == "negative" {
            // What is missing from a capture may be said of any; a finding about mail may not.
            let about_mail = records.iter().any(|record| match record {
                Record::Finding(finding) => finding.flow.is_some(),
                Record::Login(_) => true,
                Record::Session(_) => false,
            });
            if about_mail {
                wrong.push(format!("{name}: something was reported where there is no mail"));
            }
            continue;
        }
        let mut known = known_logins(&capture);
        for record in records {
            let Record::Login(login) = record else { continue };
            if login.class != barewire::mail::SecretClass::Password {
                continue;
            }
            let user = login.user.as_ref().map_or("?", |user| user.as_str());
            let fits = |known: &Listed| known.user == user && agrees(login.outcome, &known.outcome);
            // Users that are no text are escaped in other ways there.
            let loosely = |known: &Listed| known.is_loose && (known.user == user || known.user.contains('\\'));
            match known.iter().position(fits).or_else(|| known.iter().position(loosely)) {
                Some(at) => {
                    known.remove(at);
                    logins += 1;
                }
                None => wrong.push(format!("{name}: {user} {:?} is not in the truth", login.outcome)),
            }
        }
        for missing in known.iter().filter(|known| !known.is_loose) {
            wrong.push(format!("{name}: {missing:?} was not found"));
        }
    }
    assert!(wrong.is_empty(), "{} differences in {files} files:\n{}", wrong.len(), wrong.join("\n"));
    assert!(files >= 200 && logins >= 90, "only {logins} logins in {files} files were checked");
}

/// Streams whose truth the capture itself does not bear out, and why.
const DISPUTED: [(&str, &str); 7] = [
    ("suricata-smtp-starttls-then-http", "an HTTP server answers; what it says to EHLO is a list without STARTTLS"),
    ("snort3-smtp-lorem-1mb-gaps", "an octet before the EHLO reply is missing, so its first line may be another's"),
    ("pcredz-realistic-traffic", "the two directions swap their sequence numbers after the handshake"),
    ("suricata-pop3-xoauth2-sslproxy", "the server never greets, on a port of no mail protocol, as Redis does"),
    ("trex-smtp-sfr.erf", "a capture format that is not read"),
    ("arkime-smtp-auth-plain-malformed", "the name is no text and is escaped in another way"),
    ("suricata-smtp-bdat-bad-tail-next-mail", "after a malformed BDAT the truth reads on where the server may not"),
];

/// What the truth says of a stream and a session does not.
fn differences(stream: &serde_json::Value, session: &Session, logins: &[&Login]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |what: &str, found: String, known: String| {
        if found != known {
            wrong.push(format!("{what} {found}, known {known}"));
        }
    };
    let starttls = &stream["starttls"];
    let offer = starttls["advertised"].as_bool().map_or("unknown", |yes| if yes { "offered" } else { "not-offered" });
    check("offer", session.starttls.offer.name().to_owned(), offer.to_owned());
    let requested = starttls["requested"].as_bool().unwrap_or_default();
    check("requested", session.starttls.is_requested.to_string(), requested.to_string());
    if let Some(known) = starttls["accepted"].as_bool() {
        let accepted = session.starttls.reply == Some(StarttlsReply::Accepted);
        check("accepted", accepted.to_string(), known.to_string());
    }
    let tls = &stream["tls"];
    let hello = session.tls.hello.as_ref().and_then(|hello| hello.server_name.as_ref());
    if let Some(known) = tls["sni"].as_str() {
        check("server name", hello.map_or("", |name| name.as_str()).to_owned(), known.to_owned());
    }
    if let Some(known) = tls["version"].as_str() {
        let version = session.tls.version.map_or("", barewire::mail::version_name).replace([' ', 'v'], "");
        check("version", version, format!("TLS{}", known.trim_start_matches("TLS").trim_start_matches([' ', 'v'])));
    }
    if let Some(known) = tls["cipher"].as_str().filter(|known| known.starts_with("0x")) {
        check("cipher", session.tls.cipher.map_or(String::new(), |suite| format!("0x{suite:04x}")), known.to_owned());
    }
    let messages = stream["messages_in_clear"]["count"].as_u64().unwrap_or_default();
    check("messages", session.messages.to_string(), messages.to_string());
    let mut known: Vec<(String, &str)> = Vec::new();
    for auth in stream["auth"].as_array().into_iter().flatten().filter(|auth| auth["outcome"] != "no-pass-sent") {
        let user = auth["user"].as_str().unwrap_or_default();
        if !user.is_empty() {
            known.push((user.to_owned(), auth["outcome"].as_str().unwrap_or_default()));
        }
    }
    let mut found = logins.to_vec();
    for (user, outcome) in &known {
        let is_it = |login: &&Login| {
            login.user.as_ref().is_some_and(|known| known.as_str() == user) && agrees(login.outcome, outcome)
        };
        match found.iter().position(is_it) {
            Some(at) => drop(found.remove(at)),
            None => wrong.push(format!("login of {user} {outcome} is missing")),
        }
    }
    wrong
        .extend(found.iter().filter(|login| login.user.is_some()).map(|login| format!("login {login:?} is not known")));
    wrong
}

fn endpoint(text: &serde_json::Value) -> Endpoint {
    let text = text.as_str().expect("an address and port");
    let (address, port) = text.rsplit_once(':').expect("an address and port");
    let address = match address.trim_matches(['[', ']']).parse().expect("an address") {
        IpAddr::V4(v4) => Endpoint::v4(v4.into()),
        IpAddr::V6(v6) => v6.into(),
    };
    Endpoint { address, port: port.parse().expect("a port") }
}

#[test]
fn every_published_session_is_as_the_truth_says() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("public");
    let truth = std::fs::read_to_string(folder.join("truth.jsonl")).expect("truth.jsonl");
    let mut wrong = Vec::new();
    let mut checked = 0;
    for line in truth.lines() {
        let capture: serde_json::Value = serde_json::from_str(line).expect("a line of truth");
        let name = capture["file"].as_str().expect("a file name");
        if capture["kind"] == "negative" || DISPUTED.iter().any(|(disputed, _)| name.contains(disputed)) {
            continue;
        }
        let (records, _) = barewire::testing::replay(&[folder.join(name)]);
        for stream in capture["streams"].as_array().into_iter().flatten() {
            let said = stream["client_bytes"]
                .as_u64()
                .unwrap_or_default()
                .min(stream["server_bytes"].as_u64().unwrap_or_default());
            let ends = (endpoint(&stream["client"]), endpoint(&stream["server"]));
            let of_stream = |flow: &Flow| (flow.client, flow.server) == ends;
            let session = records.iter().find_map(|record| match record {
                Record::Session(session) if of_stream(&session.flow) => Some(session),
                _ => None,
            });
            let Some(session) = session else {
                if said > 0 {
                    wrong.push(format!("{name}: no session of {}", stream["client"]));
                }
                continue;
            };
            let logins = records.iter().filter_map(|record| match record {
                Record::Login(login) if of_stream(&login.flow) => Some(&**login),
                _ => None,
            });
            checked += 1;
            let found = differences(stream, session, &logins.collect::<Vec<_>>());
            wrong.extend(found.into_iter().map(|what| format!("{name} {}: {what}", stream["client"])));
        }
    }
    assert!(wrong.is_empty(), "{} differences in {checked} sessions:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checked >= 150, "only {checked} sessions were checked");
}

/// All captures below a folder.
fn captures(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            captures(&path, found);
        } else if path.file_name().is_some_and(|name| name.to_string_lossy().contains("cap")) {
            found.push(path);
        }
    }
}

#[test]
fn the_number_of_workers_changes_no_octet() {
    let Some(corpus) = corpus() else { return };
    let mut all = Vec::new();
    captures(&corpus, &mut all);
    assert!(all.len() > 200, "{} captures", all.len());
    let key = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus-key");
    std::fs::write(&key, "thirty-two octets made for tests").expect("a key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
    for capture in all {
        let [alone, shared] = ["0", "4"].map(|workers| {
            let mut replay = std::process::Command::new(env!("CARGO_BIN_EXE_barewire"));
            replay.args(["replay", "--quiet", "--records=findings,logins,sessions", "--jobs", workers]);
            let output = replay.arg("--fingerprint-key").arg(&key).arg(&capture).output().expect("barewire");
            (output.status.code(), output.stdout)
        });
        assert!(alone == shared, "{}", capture.display());
    }
}
