//! Records into Kafka, by librdkafka: an idempotent producer, confirmed by all replicas in sync.
//!
//! The key is the Community ID, so that what belongs to one connection is in one partition, in order; a finding about no
//! single connection has its own identity as key. Kafka knows no duplicates: what is sent again after an answer was lost has
//! the same header `id`. librdkafka runs threads of its own, which begin with the first record, within the sandbox.

use super::net::Address;
use super::{Bounds, Fate, PATIENCE, Parcel, Reach, Report, TlsOptions, Transport, Trouble, private};
use crate::output::{Form, Written};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext, PurgeConfig};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// Records on their way at once.
const BOUNDS: Bounds = Bounds { records: 500, octets: 1 << 20 };
/// Between two looks at what was confirmed.
const TICK: Duration = Duration::from_millis(100);
/// What a password may be.
const PASSWORD_OCTETS: usize = 4096;
/// What a file of certificates may be.
const PEM_OCTETS: u64 = 4 << 20;
/// Octets of a name that Kafka takes for a topic.
const TOPIC_OCTETS: usize = 249;

/// How a sensor shows who it is, beside its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// RFC 4616 or RFC 7677: `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`.
    pub mechanism: &'static str,
    /// Its name.
    pub user: String,
    /// File with its password.
    pub password: PathBuf,
}

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `host:port` of brokers to begin with.
    pub brokers: Vec<String>,
    /// Where records go, with `{kind}` for what differs.
    pub topic: String,
    /// Over TLS.
    pub tls: Option<TlsOptions>,
    /// Who it is.
    pub login: Option<Login>,
    /// How long a record may take to be confirmed.
    pub patience: Duration,
}

impl Options {
    /// For brokers, in clear.
    #[must_use]
    pub fn new(brokers: Vec<String>, topic: impl Into<String>) -> Self {
        Self { brokers, topic: topic.into(), tls: None, login: None, patience: PATIENCE }
    }
}

/// A way to a cluster.
pub struct Kafka {
    settings: BTreeMap<&'static str, Zeroizing<String>>,
    topic: String,
    form: Form,
    patience: Duration,
    ports: Vec<u16>,
    producer: Option<BaseProducer<Outcomes>>,
}

/// What became of the records of a batch, by their places in it.
#[derive(Clone, Default)]
struct Outcomes(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    fates: Vec<(usize, Result<(), KafkaError>)>,
    /// The last thing that librdkafka complained of.
    complaint: Option<String>,
}

impl Outcomes {
    fn with<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Outcomes {
    // Standard error is the console's.
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        // "All brokers are down" says less than what it said of one of them before.
        let is_summary = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        self.with(|known| match known.complaint {
            Some(_) if is_summary => {}
            _ => known.complaint = Some(super::net::printable(reason.as_bytes())),
        });
    }
}

impl ProducerContext for Outcomes {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, at: Box<usize>) {
        let result = result.as_ref().map(|_| ()).map_err(|(error, _)| error.clone());
        self.with(|known| known.fates.push((*at, result)));
    }
}

impl Kafka {
    /// Looks the brokers up and reads the files that the options name; connects when it is first used.
    ///
    /// # Errors
    ///
    /// One of them is not good: one line that names it.
    pub fn new(options: &Options, form: Form) -> Result<Self, String> {
        let mut ports = Vec::new();
        for broker in &options.brokers {
            // Also so that the system's resolver has all that it needs before the sandbox closes.
            ports.push(Address::resolve(broker, 9092)?.port());
        }
        let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let name = options.topic.replace("{kind}", "session");
        if name.is_empty() || name.len() > TOPIC_OCTETS || !name.chars().all(is_good) {
            return Err(format!("topic {}: a name of a-z, A-Z, 0-9, . _ and -", options.topic));
        }
        let mut settings: BTreeMap<&'static str, Zeroizing<String>> = BTreeMap::new();
        let mut set = |key, value: String| drop(settings.insert(key, Zeroizing::new(value)));
        set("bootstrap.servers", options.brokers.join(","));
        set("client.id", "barewire".to_owned());
        set("enable.idempotence", "true".to_owned());
        set("acks", "all".to_owned());
        set("compression.type", "lz4".to_owned());
        // Every record has an answer by then: delivered, or not.
        set("message.timeout.ms", options.patience.as_millis().to_string());
        set("socket.timeout.ms", options.patience.as_millis().max(1000).to_string());
        set("reconnect.backoff.max.ms", "2000".to_owned());
        // What is done here is retried by the spool: no queue of its own may hold more.
        set("queue.buffering.max.messages", (2 * BOUNDS.records).to_string());
        set("linger.ms", "5".to_owned());
        let protocol = match (&options.tls, &options.login) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        set("security.protocol", protocol.to_owned());
        if options.tls.is_none() && options.login.as_ref().is_some_and(|login| login.mechanism == "PLAIN") {
            return Err(
                "mechanism plain would show the password to the wire; add 'tls = true', or take scram".to_owned()
            );
        }
        if let Some(login) = &options.login {
            set("sasl.mechanisms", login.mechanism.to_owned());
            set("sasl.username", login.user.clone());
            set("sasl.password", password(&login.password)?);
        }
        if let Some(tls) = &options.tls {
            // Read now: the sandbox lets nothing be read later. The name is checked against that of each broker.
            set("ssl.endpoint.identification.algorithm", "https".to_owned());
            if tls.name.is_some() {
                return Err("server-name: brokers have a name each; give them certificates with theirs".to_owned());
            }
            match &tls.ca {
                Some(ca) => set("ssl.ca.pem", pem(ca)?),
                None => set("ssl.ca.pem", system_authorities()?),
            }
            match (&tls.certificate, &tls.key) {
                (Some(certificate), Some(key)) => {
                    set("ssl.certificate.pem", pem(certificate)?);
                    let key = private::read(key, "private key", PEM_OCTETS as usize)?;
                    set("ssl.key.pem", String::from_utf8_lossy(&key).into_owned());
                }
                (None, None) => {}
                _ => return Err("a certificate needs its key, and a key its certificate".to_owned()),
            }
        }
        let (topic, patience) = (options.topic.clone(), options.patience);
        let kafka = Self { settings, topic, form, patience, ports, producer: None };
        // librdkafka finds what is wrong with certificates only when it makes a producer, which connects to nobody yet.
        drop(kafka.producer()?);
        Ok(kafka)
    }

    /// What it needs of the system: brokers tell each other's names.
    #[must_use]
    pub fn reach(&self) -> Reach {
        Reach { tcp: self.ports.clone(), looks_up_names: true, ..Reach::default() }
    }

    fn producer(&self) -> Result<BaseProducer<Outcomes>, String> {
        let mut config = ClientConfig::new();
        for (key, value) in &self.settings {
            config.set(*key, value.as_str());
        }
        // Nothing of it may be logged: a value could be a secret.
        config.set_log_level(RDKafkaLogLevel::Emerg);
        config.create_with_context(Outcomes::default()).map_err(|error| match error {
            KafkaError::ClientCreation(why) => super::net::printable(why.as_bytes()),
            KafkaError::ClientConfig(_, why, key, _) => format!("{key}: {}", super::net::printable(why.as_bytes())),
            other => super::net::printable(other.to_string().as_bytes()),
        })
    }

    /// Hands over a record; what came of that, if it is known at once.
    fn hand_over(&self, producer: &BaseProducer<Outcomes>, at: usize, parcel: &Parcel) -> Option<Fate> {
        let Some(written) = Written::parse(&parcel.line) else {
            return Some(Fate::Refused("it is no record".to_owned()));
        };
        let payload = written.render(self.form);
        let dataset = written.text("/event/dataset");
        let kind = dataset.strip_prefix("barewire.").unwrap_or("other");
        let topic = self.topic.replace("{kind}", kind);
        let id = written.document_id();
        let key = match written.text("/network/community_id") {
            "" => written.text("/event/id"),
            community_id => community_id,
        };
        let headers = OwnedHeaders::new_with_capacity(2)
            .insert(Header { key: "id", value: Some(&id) })
            .insert(Header { key: "dataset", value: Some(dataset) });
        let mut record = BaseRecord::with_opaque_to(&topic, Box::new(at)).key(key).payload(&payload).headers(headers);
        if let Some(time) = written.time() {
            record = record.timestamp((time / 1_000_000).cast_signed());
        }
        match producer.send(record) {
            Ok(()) => None,
            Err((error, _)) => fate_of(&error),
        }
    }
}

/// What an error says about the record itself; what says nothing of it is waited out.
fn fate_of(error: &KafkaError) -> Option<Fate> {
    use RDKafkaErrorCode as Code;
    let code = error.rdkafka_error_code()?;
    match code {
        Code::MessageSizeTooLarge
        | Code::InvalidMessage
        | Code::InvalidMessageSize
        | Code::InvalidRecord
        | Code::InvalidTimestamp
        | Code::PolicyViolation
        | Code::BadMessage => Some(Fate::Refused(code.to_string())),
        _ => Some(Fate::Waits),
    }
}

impl Transport for Kafka {
    fn bounds(&self) -> Bounds {
        BOUNDS
    }

    fn deliver(&mut self, parcels: &[Parcel]) -> Report {
        let mut report = self.send(parcels);
        if parcels.len() > 1 {
            // A broker says so of a batch of librdkafka's, and one record in it may be to blame: each is asked about alone.
            for (at, parcel) in parcels.iter().enumerate() {
                if matches!(&report.fates[at], Fate::Refused(why) if *why == TOO_LARGE.to_string()) {
                    let alone = self.send(std::slice::from_ref(parcel));
                    report.fates[at] = alone.fates.into_iter().next().unwrap_or(Fate::Waits);
                    report.trouble = report.trouble.or(alone.trouble);
                }
            }
        }
        report
    }
}

/// A batch, or one record, is more than the topic takes.
const TOO_LARGE: RDKafkaErrorCode = RDKafkaErrorCode::MessageSizeTooLarge;

impl Kafka {
    fn send(&mut self, parcels: &[Parcel]) -> Report {
        let producer = match self.producer.take().map_or_else(|| self.producer(), Ok) {
            Ok(producer) => producer,
            Err(why) => return Report::failed(parcels.len(), Trouble::new(why)),
        };
        let outcomes = producer.context().clone();
        outcomes.with(|known| *known = Known::default());
        let mut fates: Vec<Option<Fate>> = Vec::with_capacity(parcels.len());
        for (at, parcel) in parcels.iter().enumerate() {
            fates.push(self.hand_over(&producer, at, parcel));
        }
        let mut why = None;
        // Each record is answered within the patience; the margin is for the answer's own way.
        let ticks = (self.patience + PATIENCE).as_millis() / TICK.as_millis();
        for _ in 0..ticks {
            if fates.iter().all(Option::is_some) {
                break;
            }
            producer.poll(TICK);
            take(&outcomes, &mut fates, &mut why);
        }
        // What nothing is known of must not arrive behind the back of what is sent again.
        let is_unsure = fates.iter().any(Option::is_none) || producer.client().fatal_error().is_some();
        if is_unsure {
            producer.purge(PurgeConfig::default().queue().inflight());
            let _ = producer.flush(TICK * 5);
            take(&outcomes, &mut fates, &mut why);
        } else {
            self.producer = Some(producer);
        }
        let fates: Vec<Fate> = fates.into_iter().map(|fate| fate.unwrap_or(Fate::Waits)).collect();
        let complaint = outcomes.with(|known| known.complaint.take());
        let trouble = fates.contains(&Fate::Waits).then(|| {
            let why = match (complaint, why) {
                (Some(complaint), _) => complaint,
                (None, Some(error)) => error,
                (None, None) => format!("nothing was confirmed within {:?}", self.patience),
            };
            Trouble::new(why)
        });
        Report { fates, trouble }
    }
}

/// Takes over what is known by now.
fn take(outcomes: &Outcomes, fates: &mut [Option<Fate>], why: &mut Option<String>) {
    for (at, result) in outcomes.with(|known| std::mem::take(&mut known.fates)) {
        let fate = match result {
            Ok(()) => Fate::Delivered,
            Err(error) => {
                let fate = fate_of(&error).unwrap_or(Fate::Waits);
                if fate == Fate::Waits {
                    *why = Some(super::net::printable(error.to_string().as_bytes()));
                }
                fate
            }
        };
        if let Some(known) = fates.get_mut(at) {
            *known = Some(fate);
        }
    }
}

fn password(file: &Path) -> Result<String, String> {
    let content = private::secret(file, "password", PASSWORD_OCTETS)?;
    let text = std::str::from_utf8(&content).map_err(|_| format!("{}: not UTF-8", file.display()))?;
    Ok(text.to_owned())
}

fn pem(file: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    if std::fs::metadata(file).map_err(failed)?.len() > PEM_OCTETS {
        return Err(format!("{}: too large for certificates", file.display()));
    }
    let text = std::fs::read_to_string(file).map_err(failed)?;
    match text.contains("-----BEGIN CERTIFICATE-----") {
        true => Ok(text),
        false => Err(format!("{}: no certificate in PEM form in it", file.display())),
    }
}

fn system_authorities() -> Result<String, String> {
    let found = super::tls::SYSTEM.iter().find_map(|path| pem(Path::new(path)).ok());
    found.ok_or_else(|| "no authorities of the system are known; name a file with 'ca'".to_owned())
}

#[cfg(test)]
#[path = "kafka/tests.rs"]
mod tests;
