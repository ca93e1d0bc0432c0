//! What statuses and headers mean, what options may say, and how a batch is taken apart.

use super::*;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn parcels(count: u64) -> Vec<Parcel> {
    (0..count).map(|number| Parcel { number, line: b"{}".as_slice().into() }).collect()
}

#[test]
fn a_record_is_refused_for_what_is_about_it() {
    for (status, said) in [
        (200, Verdict::Taken),
        (201, Verdict::Taken),
        (204, Verdict::Taken),
        (409, Verdict::Known),
        (413, Verdict::TooLarge),
        (400, Verdict::Bad),
        (422, Verdict::Bad),
        (418, Verdict::Bad),
        (0, Verdict::Later),
        (100, Verdict::Later),
        (302, Verdict::Later),
        (401, Verdict::Later),
        (403, Verdict::Later),
        (404, Verdict::Later),
        (408, Verdict::Later),
        (425, Verdict::Later),
        (429, Verdict::Later),
        (500, Verdict::Later),
        (503, Verdict::Later),
        (999, Verdict::Later),
    ] {
        assert_eq!(verdict(status), said, "{status}");
    }
}

#[test]
fn when_to_come_back_is_said_in_seconds_or_by_a_date() {
    let check = |after: &str, date: Option<&str>, seconds: Option<u64>| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, after.parse().expect("a value"));
        date.map(|date| headers.insert(DATE, date.parse().expect("a value")));
        assert_eq!(retry_after(&headers), seconds.map(Duration::from_secs), "{after} {date:?}");
    };
    let now = Some("Sun, 06 Nov 1994 08:49:37 GMT");
    check("120", None, Some(120));
    check(" 0 ", now, Some(0));
    check("Sun, 06 Nov 1994 08:51:37 GMT", now, Some(120));
    check("Sunday, 06-Nov-94 08:49:38 GMT", now, Some(1));
    check("Sun Nov  6 08:49:38 1994", now, Some(1));
    // Past already.
    check("Sun, 06 Nov 1994 08:00:00 GMT", now, Some(0));
    check("Sun, 06 Nov 1994 08:51:37 GMT", None, None);
    check("Sun, 06 Nov 1994 08:51:37 GMT", Some("today"), None);
    for nothing in ["", "-1", "1.5", "soon", "99999999999999999999999"] {
        check(nothing, now, None);
    }
    assert_eq!(retry_after(&HeaderMap::new()), None);
}

/// Sends records of which some are bad to a receiver that says so of the whole request, with or without the place; gives
/// their fates and how many requests and records that took.
fn taken_apart(count: u64, bad: &[u64], says_where: bool, most: &mut usize) -> (Vec<Fate>, usize, usize) {
    let (mut requests, mut sent) = (0, 0);
    let report = in_parts(&parcels(count), most, |parcels| {
        requests += 1;
        sent += parcels.len();
        match parcels.iter().position(|parcel| bad.contains(&parcel.number)) {
            None => Sent::Fates(vec![Fate::Delivered; parcels.len()], None),
            Some(place) => Sent::Bad(Fate::Refused("bad".to_owned()), says_where.then_some(place)),
        }
    });
    assert_eq!(report.trouble, None);
    (report.fates, requests, sent)
}

#[test]
fn only_what_is_bad_alone_is_refused() {
    for says_where in [false, true] {
        for bad in [&[0][..], &[999], &[500, 501], &[3, 700, 704], &[]] {
            let (fates, requests, sent) = taken_apart(1000, bad, says_where, &mut 1000);
            for (at, fate) in fates.iter().enumerate() {
                let refused = Fate::Refused("bad".to_owned());
                assert_eq!(*fate, if bad.contains(&(at as u64)) { refused } else { Fate::Delivered }, "{at}");
            }
            assert!(requests <= 1 + 45 * bad.len() && sent <= 1000 + 4500 * bad.len(), "{requests} {sent} {bad:?}");
        }
    }
    let all: Vec<u64> = (0..1000).collect();
    let (fates, requests, sent) = taken_apart(1000, &all, true, &mut 1000);
    assert!(fates.iter().all(|fate| matches!(fate, Fate::Refused(_))));
    assert!(requests < 2100 && sent < 10_000, "{requests} {sent}");
}

#[test]
fn a_place_that_leads_nowhere_is_not_followed() {
    let mut sent = 0;
    let report = in_parts(&parcels(1000), &mut 1000, |parcels| {
        sent += parcels.len();
        Sent::Bad(Fate::Duplicate, Some(parcels.len() - 1))
    });
    assert_eq!(report, Report::all(1000, Fate::Duplicate));
    assert!(sent < 10_000, "{sent}");
}

#[test]
fn what_is_too_much_is_halved_from_then_on() {
    let mut most = 1000;
    let mut sizes = Vec::new();
    let mut send = |parcels: &[Parcel]| {
        sizes.push(parcels.len());
        match parcels.len() > 130 {
            true => Sent::TooLarge("413".to_owned()),
            false => Sent::Fates(vec![Fate::Delivered; parcels.len()], None),
        }
    };
    assert_eq!(in_parts(&parcels(300), &mut most, &mut send), Report::all(300, Fate::Delivered));
    assert_eq!(in_parts(&parcels(300), &mut most, &mut send), Report::all(300, Fate::Delivered));
    assert_eq!((most, sizes), (75, vec![300, 150, 75, 75, 75, 75, 75, 75, 75, 75]));
    let alone = in_parts(&parcels(2), &mut most, |_| Sent::TooLarge("413".to_owned()));
    assert_eq!(alone, Report::all(2, Fate::Refused("413".to_owned())));
}

#[test]
fn after_trouble_nothing_more_is_sent() {
    let mut requests = 0;
    let report = in_parts(&parcels(30), &mut 10, |parcels| {
        requests += 1;
        match requests {
            1 => Sent::Fates(vec![Fate::Delivered; parcels.len()], None),
            _ => Sent::Failed(Trouble::new("down")),
        }
    });
    assert_eq!(requests, 2);
    assert_eq!(report.fates.iter().filter(|fate| **fate == Fate::Delivered).count(), 10);
    assert_eq!(report.trouble, Some(Trouble::new("down")));
}

#[test]
fn names_of_indices_are_plain() {
    for good in
        ["barewire", "barewire-{kind}", "logs-barewire.{kind}-default", "barewire:{kind}", "{kind}", "{kind}-{month}"]
    {
        assert!(Pattern::parse(good).is_some(), "{good}");
    }
    for bad in
        ["", "-a", "_all", ".hidden", "A", "a,b", "a*", "a b", "a/b", "a\"b", "{knd}", "{kind", "{day}", "a\n", "é"]
    {
        assert!(Pattern::parse(bad).is_none(), "{bad}");
    }
    assert!(Pattern::parse(&"a".repeat(201)).is_none());
}

fn refused(server: &Server) -> String {
    Client::new(server).err().unwrap_or_default()
}

#[test]
fn an_address_that_cannot_be_is_told_without_what_it_may_hide() {
    for (url, why) in [
        ("", "not http:// or https://"),
        ("siem.example.org:9200", "not http:// or https://"),
        ("/path", "not http:// or https://"),
        ("ftp://127.0.0.1/", "neither http:// nor https://"),
        ("https://bob:made-up@127.0.0.1/", "name a file with the password"),
        ("https://127.0.0.1:made-up/", "the port behind its host is none"),
        ("http://127.0.0.1:0/", "the port behind its host is none"),
    ] {
        let told = refused(&Server::new(url));
        assert!(told.contains(why) && !told.contains("made-up") && !told.contains('\n'), "{url}: {told}");
    }
    for url in ["http://127.0.0.1", "http://127.0.0.1:9200/a/b/?q=1", "http://[::1]:9200", "http://192.0.2.1/"] {
        assert_eq!(refused(&Server::new(url)), "", "{url}");
    }
    let tls = TlsOptions { name: Some("siem".to_owned()), ..TlsOptions::default() };
    let told = refused(&Server { tls, ..Server::new("http://127.0.0.1:1") });
    assert!(told.contains("need https://"), "{told}");
    let query = Client::of_service(&Server::new("http://127.0.0.1:1/?x=1")).err().unwrap_or_default();
    assert!(query.contains("no query"), "{query}");
}

struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("bw-http-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        path
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_password_is_shown_as_its_file_has_it() {
    let files = Files::new("login");
    let shown = |login: Login| login.header().map(|value| value.map(|value| value.as_bytes().to_vec()));
    let basic = |content: &[u8]| shown(Login::Basic("bob".to_owned(), files.file("password", content)));
    // RFC 7617 §2's pair, and one with a colon and octets beyond ASCII.
    let aladdin = Login::Basic("Aladdin".to_owned(), files.file("open", b"open sesame\n"));
    assert_eq!(shown(aladdin), Ok(Some(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_vec())));
    assert_eq!(basic(b" a:\xc3\xbc \r\n"), Ok(Some(b"Basic Ym9iOiBhOsO8IA==".to_vec())));
    let token = |content: &[u8]| shown(Login::Token("Splunk", files.file("token", content)));
    assert_eq!(token(b"made-up\n\n"), Ok(Some(b"Splunk made-up".to_vec())));
    assert!(token(b"\n").is_err_and(|why| why.contains("no token in it")));
    assert!(token(b"made\nup").is_err_and(|why| why.contains("one line") && !why.contains("made")));
    assert!(shown(Login::Basic("a:b".to_owned(), files.file("password", b"x"))).is_err());
    let value = Login::Token("Bearer", files.file("token", b"made-up")).header().expect("a value").expect("one");
    assert!(!format!("{value:?}").contains("made-up"), "{value:?}");
}

#[test]
fn headers_of_a_file_are_added_and_what_is_wrong_with_them_is_told_by_the_line() {
    let files = Files::new("headers");
    let mut found = HeaderMap::new();
    let read = |content: &[u8], found: &mut HeaderMap| credentials::headers(&files.file("headers", content), found);
    assert_eq!(read(b"X-Key: made-up \r\n\nX-Team:soc\n", &mut found), Ok(()));
    assert_eq!((found["x-key"].as_bytes(), found["x-team"].as_bytes()), (&b"made-up"[..], &b"soc"[..]));
    for (content, what) in [
        (&b"X-Key made-up"[..], "line 1: not NAME: VALUE"),
        (b"A: b\nX Key: made-up", "line 2: not NAME: VALUE"),
        (b"Host: made-up", "line 1: host is not for a file to say"),
        (b"Content-Length: 1", "content-length is not"),
        (b"X: made-up\x01", "not printable"),
    ] {
        let why = read(content, &mut HeaderMap::new()).expect_err("wrong");
        assert!(why.contains(what) && !why.contains("made-up"), "{why}");
    }
}

#[test]
fn no_secret_goes_over_a_network_in_clear() {
    let files = Files::new("clear");
    let login = Login::Token("Bearer", files.file("token", b"made-up"));
    let server = |url: &str| Server { login: login.clone(), ..Server::new(url) };
    assert!(refused(&server("http://192.0.2.1/")).contains("write https://"));
    let headers = Some(files.file("headers", b"X-Key: made-up"));
    assert!(refused(&Server { headers, ..Server::new("http://192.0.2.1/") }).contains("write https://"));
    assert_eq!(refused(&server("http://127.0.0.1/")), "");
    assert_eq!(refused(&server("http://[::1]/")), "");
    let ca = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls/authority.pem"));
    let tls = TlsOptions { ca, ..TlsOptions::default() };
    assert_eq!(refused(&Server { tls, ..server("https://192.0.2.1/") }), "");
}
