//! A receiver that speaks HTTP as a test wants it to, in clear or over TLS, and remembers what it was asked.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
    pub(crate) path: String,
    headers: BTreeMap<String, String>,
    /// Uncompressed.
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    pub(crate) fn lines(&self) -> Vec<&str> {
        self.body.lines().collect()
    }
}

/// What is done about a request.
pub(crate) enum Reply {
    /// These octets, and the connection stays.
    Says(String),
    /// These octets, and it is closed.
    Ends(String),
    /// Nothing, until the client leaves.
    Silence,
}

/// An answer with a status, headers and a body.
pub(crate) fn answer(status: u16, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("HTTP/1.1 {status} words\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A stream that is served, in clear or not.
pub(crate) trait Served: Read + Write + Send {}
impl<T: Read + Write + Send> Served for T {}

/// Serves one client of whom not more is read than `served` does, and gives the port.
pub(crate) fn once(
    tls: Option<Arc<ServerConfig>>,
    served: impl FnOnce(&mut dyn Served) + Send + 'static,
) -> (u16, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its port").port();
    let thread = thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a client");
        // Else an answer could wait for room and be thrown away when the connection is closed.
        socket.set_nodelay(true).expect("an option");
        match tls {
            None => served(&mut { socket }),
            Some(config) => {
                let session = ServerConnection::new(config).expect("a session");
                served(&mut StreamOwned::new(session, socket));
            }
        }
    });
    (port, thread)
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// The receiver. Its threads end with their clients, and the one that listens with the stub.
pub(crate) struct Stub {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Stub {
    /// In clear.
    pub(crate) fn new(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Stub {
        Self::start(None, handler)
    }

    /// Over TLS with the server's certificate; of clients it wants one of the same authority.
    pub(crate) fn over_tls(papers: &Papers, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Stub {
        Self::start(Some(papers.server()), handler)
    }

    fn start(tls: Option<Arc<ServerConfig>>, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let stub = Stub {
            port: listener.local_addr().expect("its port").port(),
            requests: Arc::default(),
            connections: Arc::default(),
            is_over: Arc::default(),
        };
        let (requests, connections) = (Arc::clone(&stub.requests), Arc::clone(&stub.connections));
        let (is_over, handler): (_, Arc<Handler>) = (Arc::clone(&stub.is_over), Arc::new(handler));
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                socket.set_nodelay(true).expect("an option");
                let connection = connections.fetch_add(1, Ordering::Relaxed);
                let (requests, handler, tls) = (Arc::clone(&requests), Arc::clone(&handler), tls.clone());
                thread::spawn(move || match tls {
                    None => serve(connection, socket, &requests, &*handler),
                    Some(config) => {
                        let session = ServerConnection::new(config).expect("a session");
                        serve(connection, StreamOwned::new(session, socket), &requests, &*handler);
                    }
                });
            }
        });
        stub
    }

    /// All that it was asked.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(connection: usize, stream: impl Read + Write, requests: &Mutex<Vec<Request>>, handler: &Handler) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(connection, &mut reader) {
        requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let (octets, is_last) = match handler(&request) {
            Reply::Says(octets) => (octets, false),
            Reply::Ends(octets) => (octets, true),
            Reply::Silence => {
                let _ = reader.read(&mut [0]);
                return;
            }
        };
        let stream = reader.get_mut();
        let said = stream.write_all(octets.as_bytes()).and_then(|()| stream.flush());
        if said.is_err() || is_last {
            return;
        }
    }
}

fn read(connection: usize, reader: &mut impl std::io::BufRead) -> Option<Request> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|octets| *octets > 0)?;
    let path = first.strip_prefix("POST ")?.split(' ').next()?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let mut text = String::new();
    match headers.get("content-encoding").map(String::as_str) {
        Some("gzip") => flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).ok()?,
        _ => body.as_slice().read_to_string(&mut text).ok()?,
    };
    Some(Request { connection, path, headers, body: text })
}

/// Certificates of an authority, of a server and of a sensor, and of a sensor that another authority vouches for.
pub(crate) struct Papers {
    folder: PathBuf,
}

impl Papers {
    pub(crate) fn new(name: &str) -> Papers {
        let papers = Papers { folder: std::env::temp_dir().join(format!("bw-https-{name}-{}", std::process::id())) };
        fs::create_dir_all(&papers.folder).expect("a folder");
        let [ca, other] = ["ca", "other-ca"].map(|name| {
            let mut params = CertificateParams::new([]).expect("parameters");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
            papers.write(&format!("{name}.pem"), &issuer.pem());
            issuer
        });
        papers.leaf(&ca, "server", "siem.example");
        papers.leaf(&ca, "sensor", "sensor.example");
        papers.leaf(&other, "stranger", "sensor.example");
        papers
    }

    fn leaf(&self, issuer: &CertifiedIssuer<'_, KeyPair>, name: &str, host: &str) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([host.to_owned()]).expect("parameters");
        self.write(&format!("{name}.pem"), &params.signed_by(&key, issuer).expect("signed").pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    /// A file that only its owner can read.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Of a server that wants a certificate of the same authority.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let certificate = |name: &str| CertificateDer::from_pem_file(self.path(name)).expect("a certificate");
        let mut authorities = RootCertStore::empty();
        authorities.add(certificate("ca.pem")).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(&provider));
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).expect("a key");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(vec![certificate("server.pem")], key);
        Arc::new(config.expect("its certificate"))
    }
}

impl Drop for Papers {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
