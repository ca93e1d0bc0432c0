//! Against librdkafka's own stand-in for a cluster, with what brokers say when they are in trouble.

use super::*;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::net::TcpListener;

fn parcels(count: u64) -> Vec<Parcel> {
    let line = |number| {
        format!(
            "{{\"@timestamp\":\"2026-01-01T00:00:00.000000Z\",\"event\":{{\"id\":\"{number}\",\"dataset\":\"barewire.login\"}}}}"
        )
    };
    (0..count).map(|number| Parcel { number, line: line(number).into_bytes().into() }).collect()
}

fn kafka(brokers: &str, patience: Duration) -> Kafka {
    let options = Options { patience, ..Options::new(vec![brokers.to_owned()], "barewire") };
    Kafka::new(&options, Form::Ecs).expect("good options")
}

fn cluster() -> (MockCluster<'static, rdkafka::producer::DefaultProducerContext>, String) {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("barewire", 2, 1).expect("a topic");
    let brokers = cluster.bootstrap_servers();
    (cluster, brokers)
}

#[test]
fn records_are_confirmed_and_what_is_none_is_refused() {
    let (_cluster, brokers) = cluster();
    let mut kafka = kafka(&brokers, PATIENCE);
    assert_eq!(kafka.deliver(&parcels(300)), Report::all(300, Fate::Delivered));
    let mut batch = parcels(3);
    batch[1].line = b"no record"[..].into();
    let report = kafka.deliver(&batch);
    assert_eq!(report.fates, [Fate::Delivered, Fate::Refused("it is no record".to_owned()), Fate::Delivered]);
    assert_eq!(report.trouble, None);
}

#[test]
fn what_a_broker_can_get_over_is_tried_again_and_nothing_is_lost() {
    let (cluster, brokers) = cluster();
    let mut kafka = kafka(&brokers, PATIENCE);
    let errors = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 2];
    cluster.request_errors(RDKafkaApiKey::Produce, &errors);
    assert_eq!(kafka.deliver(&parcels(20)), Report::all(20, Fate::Delivered));
}

#[test]
fn a_record_that_is_too_large_for_it_holds_up_no_other() {
    let (cluster, brokers) = cluster();
    let mut kafka = kafka(&brokers, PATIENCE);
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let report = kafka.deliver(&parcels(1));
    assert!(matches!(&report.fates[..], [Fate::Refused(why)] if why.contains("large")), "{report:?}");
    assert_eq!(kafka.deliver(&parcels(2)), Report::all(2, Fate::Delivered));
    // Said of a batch it is said of none of its records.
    let too_large = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 2];
    cluster.request_errors(RDKafkaApiKey::Produce, &too_large);
    let report = kafka.deliver(&parcels(40));
    let refused = report.fates.iter().filter(|fate| matches!(fate, Fate::Refused(_))).count();
    assert!(refused <= 1 && report.trouble.is_none(), "{report:?}");
}

#[test]
fn a_cluster_that_is_down_is_told_and_found_again() {
    let (cluster, brokers) = cluster();
    let mut kafka = kafka(&brokers, Duration::from_secs(2));
    assert_eq!(kafka.deliver(&parcels(1)), Report::all(1, Fate::Delivered));
    cluster.broker_down(1).expect("down");
    let report = kafka.deliver(&parcels(5));
    assert_eq!(report.fates, vec![Fate::Waits; 5]);
    assert!(!report.trouble.expect("trouble").why.is_empty());
    cluster.broker_up(1).expect("up");
    let delivered = (0..10).any(|_| kafka.deliver(&parcels(5)) == Report::all(5, Fate::Delivered));
    assert!(delivered, "it comes back");
}

#[test]
fn nobody_listens_there() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it");
    let mut kafka = kafka(&free.to_string(), Duration::from_secs(1));
    let report = kafka.deliver(&parcels(2));
    assert_eq!(report.fates, vec![Fate::Waits; 2]);
    assert!(report.trouble.expect("trouble").why.contains("refused"));
}

#[test]
fn what_cannot_be_meant_is_told() {
    let wrong = |change: fn(&mut Options)| {
        let mut options = Options::new(vec!["127.0.0.1:1".to_owned()], "barewire");
        change(&mut options);
        Kafka::new(&options, Form::Ecs).err().expect("refused")
    };
    assert!(wrong(|options| options.topic = "a b".to_owned()).contains("topic a b: a name of"));
    assert!(wrong(|options| options.brokers = vec!["::1:x".to_owned()]).contains("::1:x"));
    let tls = TlsOptions { ca: Some("/nowhere.pem".into()), ..TlsOptions::default() };
    let mut options = Options::new(vec!["127.0.0.1:1".to_owned()], "barewire");
    options.tls = Some(tls);
    assert!(Kafka::new(&options, Form::Ecs).err().expect("refused").contains("/nowhere.pem"));
    assert!(
        wrong(|options| {
            options.login = Some(Login { mechanism: "PLAIN", user: "a".to_owned(), password: "/nowhere".into() });
        })
        .contains("tls = true")
    );
}
