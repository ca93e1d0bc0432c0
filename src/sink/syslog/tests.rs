//! Against servers that read, hang up, hang, talk or are not there.

use super::*;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

fn parcels(count: u64) -> Vec<Parcel> {
    let line = |number| format!("{{\"event\":{{\"id\":\"{number}\"}}}}").into_bytes().into();
    (0..count).map(|number| Parcel { number, line: line(number) }).collect()
}

fn client(protocol: Protocol, address: SocketAddr, patience: Duration) -> Syslog {
    let message = rfc5424::Options { hostname: Some("h".to_owned()), ..rfc5424::Options::default() };
    let options = Options { protocol, patience, message, ..Options::new(address.to_string()) };
    Syslog::new(&options, Form::Ecs).expect("good options")
}

fn served<T: Send + 'static>(
    patience: Duration,
    script: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (Syslog, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let client = client(Protocol::Tcp, listener.local_addr().expect("its port"), patience);
    (client, thread::spawn(move || script(listener.accept().expect("a client").0)))
}

fn why(report: Report) -> String {
    assert!(report.fates.iter().all(|fate| *fate == Fate::Waits), "{:?}", report.fates);
    report.trouble.expect("trouble").why
}

#[test]
fn messages_are_counted_in_octets() {
    let (mut syslog, server) = served(PATIENCE, |mut socket| {
        let mut read = String::new();
        socket.read_to_string(&mut read).expect("text");
        read
    });
    let mut batch = parcels(3);
    batch[1].line = b"no record"[..].into();
    let report = syslog.deliver(&batch);
    assert_eq!(report.fates, [Fate::Delivered, Fate::Refused("no record".to_owned()), Fate::Delivered]);
    assert_eq!(syslog.deliver(&parcels(1)), Report::all(1, Fate::Delivered));
    drop(syslog);
    let message = |number| format!("60 <86>1 - h barewire - - [barewire@32473] {{\"event\":{{\"id\":\"{number}\"}}}}");
    assert_eq!(server.join().expect("the server"), [message(0), message(2), message(0)].concat());
}

#[test]
fn who_hangs_up_at_once_gets_nothing() {
    // The more patience, the longer it looks for that.
    let (mut syslog, server) = served(6 * PATIENCE, drop);
    assert!(why(syslog.deliver(&parcels(2))).contains("closed the connection"));
    server.join().expect("the server");
}

#[test]
fn what_a_slow_reader_has_not_read_outlasts_the_end() {
    // Octets that nobody reads, as TLS session tickets are, turn the end of a connection into a reset, and a reset throws
    // away what the receiver has not read yet.
    let (said, says) = mpsc::channel::<()>();
    let (read, may_read) = mpsc::channel::<()>();
    let (mut syslog, server) = served(PATIENCE, move |mut socket| {
        says.recv().expect("a word");
        socket.write_all(b"a greeting").expect("a client");
        may_read.recv().expect("a word");
        let mut all = String::new();
        socket.read_to_string(&mut all).map(|_| all.matches("event").count())
    });
    assert_eq!(syslog.deliver(&parcels(100)), Report::all(100, Fate::Delivered));
    said.send(()).expect("the server waits");
    thread::sleep(Duration::from_millis(50));
    let end = thread::spawn(|| drop(syslog));
    thread::sleep(Duration::from_millis(50));
    read.send(()).expect("the server waits");
    assert_eq!(server.join().expect("the server").expect("no reset"), 100);
    end.join().expect("it ends");
}

#[test]
fn a_connection_that_ended_between_batches_is_told() {
    let (tell, told) = mpsc::channel::<()>();
    let (mut syslog, server) = served(PATIENCE, move |mut socket| {
        let octets = socket.read(&mut [0; 1000]).expect("a message");
        assert!(octets > 0);
        told.recv().expect("a word");
    });
    assert_eq!(syslog.deliver(&parcels(1)), Report::all(1, Fate::Delivered));
    tell.send(()).expect("the server waits");
    server.join().expect("the server");
    assert!(why(syslog.deliver(&parcels(1))).contains("closed the connection"));
    // Then nobody listens any more.
    assert!(why(syslog.deliver(&parcels(1))).contains("refused"));
}

#[test]
fn who_reads_nothing_is_left_after_a_while() {
    let (mut syslog, server) =
        served(Duration::from_millis(500), |socket| (socket, thread::park_timeout(Duration::from_secs(20))));
    // More than the buffers of both ends hold, a megabyte at a time.
    let line: Box<[u8]> = format!("{{\"event\":{{\"id\":\"{}\"}}}}", "x".repeat(1 << 20)).into_bytes().into();
    let batch = vec![Parcel { number: 0, line }; 32];
    assert!(why(syslog.deliver(&batch)).contains("nothing within 500ms"));
    server.thread().unpark();
    server.join().expect("the server");
}

#[test]
fn who_talks_for_ever_is_left() {
    let (mut syslog, server) = served(PATIENCE, |mut socket| while socket.write_all(&[b'x'; 65536]).is_ok() {});
    // What has not come by then comes before the next batch.
    let tried = (0..1000).find_map(|_| syslog.deliver(&parcels(1)).trouble);
    assert!(tried.expect("trouble").why.contains("talks"));
    drop(syslog);
    server.join().expect("the server");
}

#[test]
fn datagrams_go_one_by_one_and_too_long_ones_never() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let mut syslog = client(Protocol::Udp, server.local_addr().expect("its port"), PATIENCE);
    let mut batch = parcels(3);
    batch[1].line = format!("{{\"event\":{{\"id\":\"{}\"}}}}", "x".repeat(1 << 16)).into_bytes().into();
    let report = syslog.deliver(&batch);
    assert_eq!(report.trouble, None);
    assert_eq!([&report.fates[0], &report.fates[2]], [&Fate::Delivered; 2]);
    assert!(matches!(&report.fates[1], Fate::Refused(why) if why.ends_with("octets do not fit into a datagram")));
    server.set_read_timeout(Some(Duration::from_secs(5))).expect("an option");
    for number in [0, 2] {
        let mut datagram = [0; 1000];
        let octets = server.recv(&mut datagram).expect("a datagram");
        let message = format!("<86>1 - h barewire - - [barewire@32473] {{\"event\":{{\"id\":\"{number}\"}}}}");
        assert_eq!(String::from_utf8_lossy(&datagram[..octets]), message);
    }
}

#[test]
fn datagrams_to_nobody_are_noticed_where_somebody_says_so() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let mut syslog = client(Protocol::Udp, server.local_addr().expect("its port"), PATIENCE);
    drop(server);
    assert!(why(syslog.deliver(&parcels(2))).contains("refused"));
}

#[test]
fn options_that_are_not_good_are_told_in_one_line() {
    let good = Options::new("127.0.0.1:1");
    assert!(Syslog::new(&good, Form::Ecs).is_ok());
    let tls = |tls: TlsOptions| Options { protocol: Protocol::Tls, tls, ..good.clone() };
    let path = |text: &str| Some(std::path::PathBuf::from(text));
    for (options, part) in [
        (Options { address: "127.0.0.1:x".to_owned(), ..good.clone() }, "127.0.0.1:x"),
        (tls(TlsOptions { ca: path("/nowhere"), ..TlsOptions::default() }), "/nowhere: No such file"),
        (tls(TlsOptions { ca: path("/dev/null"), ..TlsOptions::default() }), "no certificate in it"),
        (tls(TlsOptions { certificate: path("/x"), ..TlsOptions::default() }), "/x: a certificate needs its key"),
        (tls(TlsOptions { key: path("/x"), ..TlsOptions::default() }), "/x: a key needs its certificate"),
    ] {
        let why = Syslog::new(&options, Form::Ecs).err().expect("an error");
        assert!(why.contains(part) && !why.contains('\n'), "{why}");
    }
    assert_eq!(Protocol::Tls.default_port(), 6514);
}
