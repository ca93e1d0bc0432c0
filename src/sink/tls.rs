//! TLS to receivers: what they must show, what they are shown, and streams that notice when they were refused.
//!
//! Names and chains of certificates are always checked; there is no switch. Files are read when a configuration is made, and
//! again when it is told that they changed.

use super::net::{Address, SLICES, Timed};
use super::{TlsOptions, private};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where systems keep the authorities they trust: Debian and its kin, Red Hat and its kin, Alpine.
pub(super) const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
/// The authorities of all the world are a quarter of a megabyte.
const LARGEST_FILE: u64 = 4 << 20;

/// What a client of TLS does with these options: TLS 1.2 at least, every handshake a full one.
///
/// # Errors
///
/// A file cannot be read or does not hold what it should: one line that names it and says what helps.
pub fn config(options: &TlsOptions) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(authorities(options.ca.as_deref())?);
    let mut config = match (&options.certificate, &options.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            builder
                .with_client_auth_cert(chain, private_key(key)?)
                .map_err(|error| not_its_key(certificate, key, &error))?
        }
        (Some(certificate), None) => return Err(format!("{}: a certificate needs its key", certificate.display())),
        (None, Some(key)) => return Err(format!("{}: a key needs its certificate", key.display())),
    };
    // A resumed session is one whose certificates nobody looks at again.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    if let Some(path) = file {
        for certificate in certificates(path)? {
            store.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        return Ok(store);
    }
    for path in SYSTEM.map(Path::new) {
        if let Ok(certificates) = certificates(path) {
            // Old ones among them are in forms that nobody reads any more.
            store.add_parsable_certificates(certificates);
            return Ok(store);
        }
    }
    Err(format!("no certificates of authorities at {}; install ca-certificates or name a file", SYSTEM.join(", ")))
}

/// The certificates of a PEM file, of which there must be one at least.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let fail = |what: &str| format!("{}: {what}", path.display());
    let file = File::open(path).map_err(|error| fail(&error.to_string()))?;
    let mut content = Vec::new();
    file.take(LARGEST_FILE).read_to_end(&mut content).map_err(|error| fail(&error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(fail("no certificate in it; it must be PEM, with BEGIN CERTIFICATE")),
        Err(error) => Err(fail(&format!("damaged PEM: {error}"))),
    }
}

/// The private key of a PEM file that nobody else can read.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let content = private::read(path, "key", 64 << 10)?;
    // What PEM errors quote of the file is not shown: it could be of the key.
    PrivateKeyDer::from_pem_slice(&content).map_err(|_| {
        format!("{}: no private key in it that can be read; it must be PEM, without a passphrase", path.display())
    })
}

/// What a server of TLS shows: TLS 1.2 at least; whoever comes is asked for no certificate.
///
/// # Errors
///
/// A file cannot be read or does not hold what it should: one line that names it and says what helps.
pub fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth();
    let config = builder.with_single_cert(certificates(certificate)?, private_key(key)?);
    config.map(Arc::new).map_err(|error| not_its_key(certificate, key, &error))
}

fn not_its_key(certificate: &Path, key: &Path, error: &rustls::Error) -> String {
    format!("{}: not the certificate of key {}: {error}", certificate.display(), key.display())
}

/// What is shown and trusted, as it was read last.
pub struct Papers {
    options: TlsOptions,
    config: Mutex<Arc<ClientConfig>>,
}

impl Papers {
    fn new(options: &TlsOptions) -> Result<Self, String> {
        Ok(Self { config: Mutex::new(config(options)?), options: options.clone() })
    }

    fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files anew, for connections that begin from now on.
    ///
    /// # Errors
    ///
    /// Those of [`config`]; then all stays as it was.
    pub fn renew(&self) -> Result<(), String> {
        let new = config(&self.options)?;
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// The files, and where those of the system are.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let TlsOptions { ca, certificate, key, .. } = &self.options;
        let system = SYSTEM.iter().filter(|_| ca.is_none()).map(Path::new);
        [ca, certificate, key].into_iter().flatten().map(PathBuf::as_path).chain(system)
    }
}

/// A way to a receiver, in clear or not.
pub struct Dialer {
    address: Address,
    tls: Option<(Arc<Papers>, ServerName<'static>)>,
    patience: Duration,
}

impl Dialer {
    /// To an address; with options, over TLS.
    ///
    /// # Errors
    ///
    /// Those of [`config`], or a name that no certificate can have.
    pub fn new(address: Address, tls: Option<&TlsOptions>, patience: Duration) -> Result<Self, String> {
        let tls = match tls {
            None => None,
            Some(options) => {
                let name = options.name.clone().unwrap_or_else(|| address.host().to_owned());
                let parsed = ServerName::try_from(name.clone());
                Some((
                    Arc::new(Papers::new(options)?),
                    parsed.map_err(|_| format!("{name}: no name that a certificate can have"))?,
                ))
            }
        };
        Ok(Self { address, tls, patience })
    }

    /// Where it leads.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How long the receiver may take for anything.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// What is shown and trusted over TLS.
    #[must_use]
    pub fn papers(&self) -> Option<Arc<Papers>> {
        self.tls.as_ref().map(|(papers, _)| Arc::clone(papers))
    }

    /// Connects, and over TLS shakes hands.
    pub(super) fn connect(&self) -> Result<Stream, String> {
        let mut socket = self.address.connect(self.patience).map_err(|error| self.words(&error))?;
        let Some((papers, name)) = &self.tls else { return Ok(Stream::Plain(socket)) };
        let mut connection = ClientConnection::new(papers.config(), name.clone()).map_err(|error| error.to_string())?;
        connection.complete_io(&mut socket).map_err(|error| self.words(&error))?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, socket))))
    }

    /// What went wrong, in one line that says what helps where that is known.
    pub(super) fn words(&self, error: &io::Error) -> String {
        use io::ErrorKind as Kind;
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (inner, error.kind()) {
            (Some(inner), _) => self.tls_words(inner),
            (None, Kind::TimedOut) => format!("nothing within {:?}", self.patience),
            // What it had not read when it closed makes a reset of that.
            (None, kind @ (Kind::UnexpectedEof | Kind::ConnectionReset | Kind::BrokenPipe)) => {
                let done = if kind == Kind::UnexpectedEof { "closed" } else { "reset" };
                let reason =
                    if self.tls.is_some() { ", which is also some servers' way to refuse a certificate" } else { "" };
                format!("it {done} the connection{reason}")
            }
            (None, _) => error.to_string(),
        }
    }

    fn tls_words(&self, error: &rustls::Error) -> String {
        use AlertDescription as Alert;
        use CertificateError as Cert;
        let name = self.tls.as_ref().map(|(_, name)| name.to_str()).unwrap_or_default();
        match error {
            rustls::Error::InvalidCertificate(Cert::UnknownIssuer) => {
                "its certificate comes from no authority trusted here; name a file with that authority's".to_owned()
            }
            rustls::Error::InvalidCertificate(Cert::NotValidForName | Cert::NotValidForNameContext { .. }) => {
                format!("its certificate is not for {name}; connect by a name that it has, or give that name")
            }
            rustls::Error::InvalidCertificate(Cert::Expired | Cert::ExpiredContext { .. }) => {
                "its certificate has expired".to_owned()
            }
            rustls::Error::InvalidCertificate(Cert::NotValidYet | Cert::NotValidYetContext { .. }) => {
                "its certificate is not valid yet; is this clock right?".to_owned()
            }
            rustls::Error::AlertReceived(
                alert @ (Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                // What TLS 1.2 says for want of a better one.
                | Alert::HandshakeFailure),
            ) => format!("it refused this client ({alert:?}); show it a certificate of an authority that it trusts"),
            rustls::Error::AlertReceived(alert) => format!("it refused this client ({alert:?})"),
            rustls::Error::InvalidMessage(_) => format!("it does not speak TLS ({error})"),
            _ => error.to_string(),
        }
    }
}

/// A connection to a receiver.
pub(super) enum Stream {
    /// In clear.
    Plain(Timed),
    /// Over TLS, after the handshake.
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

impl Stream {
    fn socket(&mut self) -> &mut Timed {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &mut stream.sock,
        }
    }

    /// An exchange begins that may take so many slices of the patience.
    pub(super) fn allow(&mut self, slices: u32) {
        self.socket().allow(slices);
    }

    /// What has come, without waiting: `None` for nothing.
    ///
    /// # Errors
    ///
    /// The connection is at its end, by an alert, a reset or in order.
    pub(super) fn poll(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        self.allow(SLICES);
        self.socket().set_waiting(false)?;
        let read = self.read(into);
        self.socket().set_waiting(true)?;
        self.allow(SLICES);
        some_read(read)
    }

    /// What the receiver said before it stopped listening: reading as usual would first write what is left, and fail.
    pub(super) fn read_only(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Self::Tls(stream) = self else { return self.read(into) };
        loop {
            stream.conn.process_new_packets().map_err(io::Error::other)?;
            match stream.conn.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if stream.conn.read_tls(&mut stream.sock)? == 0 {
                return Ok(0);
            }
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    ///
    /// It cannot be written: for the reason that the receiver gave in TLS, where it did. In TLS 1.3 a certificate may be
    /// refused while the first octets are written.
    pub(super) fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        let sent = self.write_all(octets).and_then(|()| self.flush());
        sent.map_err(|error| match error.kind() {
            // It has had all its time.
            io::ErrorKind::TimedOut => error,
            _ => self.read_only(&mut [0; 64]).err().filter(is_of_tls).unwrap_or(error),
        })
    }

    /// Whether a receiver that never says anything has ended the connection.
    ///
    /// # Errors
    ///
    /// It has.
    pub(super) fn poll_closed(&mut self) -> io::Result<()> {
        // What it says all the same is thrown away, but not for ever.
        for _ in 0..16 {
            if self.poll(&mut [0; 4096])?.is_none() {
                return Ok(());
            }
        }
        Err(io::Error::other("it talks where it should listen"))
    }

    /// Waits a moment for the receiver to end the connection: for a tenth of the patience, or less where it is plain that
    /// all is well. TLS 1.3 lets a client finish before the server has looked at its certificate, and what is written then
    /// is thrown away without a word. Session tickets come after the server has looked; but some check names only
    /// then, and close.
    ///
    /// # Errors
    ///
    /// It has.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        const FOR_TICKETS: u32 = SLICES / 10;
        const FOR_CLOSING: u32 = SLICES / 50;
        if let Self::Tls(stream) = self
            && stream.conn.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3)
        {
            stream.sock.allow(FOR_TICKETS);
            while stream.conn.tls13_tickets_received() == 0 {
                match stream.conn.read_tls(&mut stream.sock) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => {
                        stream.conn.process_new_packets().map_err(io::Error::other)?;
                    }
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
                    Err(error) => return Err(error),
                }
            }
        }
        self.allow(FOR_CLOSING);
        let read = self.read(&mut [0; 64]);
        self.allow(SLICES);
        match some_read(read) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(()),
            ended_or_said => ended_or_said.map(drop),
        }
    }

    /// Ends a connection on which all is well, and waits until the receiver has ended it too: a socket that is closed
    /// while octets in it are unread, which session tickets are, is reset, and a reset throws away what the receiver has
    /// not read yet.
    pub(super) fn finish(mut self) {
        self.allow(SLICES);
        if let Self::Tls(stream) = &mut self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        let socket = self.socket();
        // The octets as they come: what TLS makes of them is of no interest any more. Each reading costs patience.
        if socket.end_writing().is_ok() {
            while matches!(socket.read(&mut [0; 4096]), Ok(1..)) {}
        }
    }
}

impl Drop for Stream {
    /// RFC 5425 §4.4: a client says that it closes. Without waiting: it may be closing because nobody reads.
    fn drop(&mut self) {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            stream.sock.allow(1);
            let _ = stream.sock.set_waiting(false).and_then(|()| stream.conn.write_tls(&mut stream.sock));
        }
    }
}

/// Whether it is TLS that says so, and not the socket.
pub(super) fn is_of_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

fn some_read(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(some) => Ok(Some(some)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(octets),
            Self::Tls(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

#[cfg(test)]
#[path = "tls/tests.rs"]
mod tests;
