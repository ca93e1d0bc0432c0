//! Against servers that do not speak TLS, or stop in the middle; those that do are real ones, in `tests/syslog`.

use super::*;
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;

fn authority() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls/authority.pem")
}

fn options() -> TlsOptions {
    TlsOptions { ca: Some(authority()), ..TlsOptions::default() }
}

/// What a client says after a server has said `words`, octet by octet or at once, and hung up or kept quiet. One that has
/// not read the hello to its end makes a reset of that.
fn check(words: &[u8], piece: usize, hangs_up: bool, why: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its port").to_string();
    let words = words.to_vec();
    let read_of_hello = if why.contains("reset") { 1 } else { 4096 };
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        let hello = socket.read(&mut [0; 4096][..read_of_hello]).expect("its hello");
        assert!(hello > 0);
        let said = words.chunks(piece).all(|piece| socket.write_all(piece).is_ok());
        while said && !hangs_up && socket.read(&mut [0; 4096]).is_ok_and(|octets| octets > 0) {}
    });
    let address = Address::resolve(&address, 1).expect("an address");
    // Little, where it comes to an end.
    let patience = Duration::from_millis(if why.starts_with("nothing") { 300 } else { 10_000 });
    let dialer = Dialer::new(address, Some(&options()), patience).expect("good options");
    let said = dialer.connect().err().expect("no TLS");
    assert!(said.contains(why), "{said}");
    server.join().expect("the server");
}

#[test]
fn a_server_without_tls_is_told() {
    check(b"220 mail.example ESMTP\r\n", 1000, false, "it does not speak TLS");
    check(b"HTTP/1.1 400 Bad Request\r\n\r\n", 1000, false, "it does not speak TLS");
    check(b"", 1, false, "nothing within 300ms");
    check(b"", 1, true, "closed the connection, which is also");
    check(b"", 1, true, "reset the connection, which is also");
    // A record of 16 KiB of which nothing comes, and one that comes for ever.
    check(b"\x16\x03\x03\x40\x00", 1, false, "nothing within");
    check(&[b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb".as_slice(), &[0; 5000]].concat(), 1, false, "nothing within");
    // Alerts.
    check(b"\x15\x03\x03\x00\x02\x02\x28", 1, false, "refused this client (HandshakeFailure); show it a certificate");
    check(b"\x15\x03\x03\x00\x02\x02\x46", 1000, false, "refused this client (ProtocolVersion)");
}

#[test]
fn the_authorities_of_the_system_or_of_a_file_are_trusted() {
    assert_eq!(authorities(Some(&authority())).map(|store| store.len()), Ok(1));
    match SYSTEM.iter().any(|path| Path::new(path).exists()) {
        true => assert!(authorities(None).is_ok_and(|store| store.len() > 10)),
        false => assert!(authorities(None).is_err_and(|why| why.contains("install ca-certificates"))),
    }
    assert!(config(&TlsOptions::default()).is_ok() || !Path::new(SYSTEM[0]).exists());
}

#[test]
fn a_name_must_be_one_that_a_certificate_can_have() {
    let address = || Address::resolve("127.0.0.1:1", 1).expect("an address");
    let dialer = |name: &str| {
        let options = TlsOptions { name: Some(name.to_owned()), ..options() };
        Dialer::new(address(), Some(&options), Duration::from_secs(1))
    };
    for name in ["siem.example", "192.0.2.1", "2001:db8::1"] {
        assert!(dialer(name).is_ok(), "{name}");
    }
    for name in ["", "a b", "*.example", "siem.example:6514"] {
        assert!(dialer(name).is_err_and(|why| why.starts_with(name)), "{name}");
    }
}
