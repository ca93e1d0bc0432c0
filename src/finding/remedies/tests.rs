//! The tables are whole, and say nothing about what is not in them.

use super::*;
use crate::finding::catalogue::CATALOGUE;
use crate::finding::software;

#[test]
fn every_server_has_remedies_for_exposure_and_starttls() {
    for known in &software::SERVERS {
        for id in [FindingId::ServerAcceptsCleartextAuth, FindingId::StarttlsNotOffered] {
            let remedy = server_remedy(id, Some(&known.software)).expect("a remedy");
            assert_eq!(remedy.software, known.software.name, "{}", id.name());
        }
    }
}

#[test]
fn every_client_can_be_made_to_require_tls() {
    for known in &software::CLIENTS {
        let remedy = client_remedy(FindingId::CleartextPassword, Some(&known.software)).expect("a remedy");
        assert_eq!(remedy.software, known.software.name);
    }
}

#[test]
fn software_that_is_not_known_gets_what_any_should_do() {
    for entry in &CATALOGUE {
        let (server, client) = (server_remedy(entry.id, None), client_remedy(entry.id, None));
        assert!(server.is_none_or(|remedy| remedy.software == ANY_SERVER), "{}", entry.name);
        assert!(client.is_none_or(|remedy| remedy.software == ANY_CLIENT), "{}", entry.name);
        assert_eq!(server.is_some(), server_topic(entry.id).is_some(), "{}", entry.name);
        assert_eq!(client.is_some(), client_topic(entry.id).is_some(), "{}", entry.name);
    }
    assert!(server_remedy(FindingId::CoverageGap, None).is_none());
}

#[test]
fn rows_name_known_software_once_for_each_topic() {
    let known = |name: &str| {
        let servers = software::SERVERS.iter().map(|known| known.software.name);
        let mut names = servers.chain(software::CLIENTS.iter().map(|known| known.software.name));
        names.any(|known| known == name) || [ANY_SERVER, ANY_CLIENT].contains(&name) || name.starts_with("Cisco ")
    };
    let mut seen = Vec::new();
    for (topic, remedy) in all_remedies() {
        assert!(known(remedy.software), "{}", remedy.software);
        let key = (topic.name(), remedy.software);
        assert!(!seen.contains(&key), "twice: {key:?}");
        seen.push(key);
    }
}

#[test]
fn every_test_is_a_command_and_what_it_must_show() {
    for (topic, remedy) in all_remedies() {
        let at = format!("{} {}", remedy.software, topic.name());
        let lines: Vec<&str> = remedy.test.lines().collect();
        assert_eq!(lines.len(), 2, "{at}");
        assert!(lines[1].starts_with("must show ") || lines[1].starts_with("must not show "), "{at}");
        let is_prose = |line: &str| line.starts_with(|c: char| c.is_ascii_uppercase()) && line.ends_with('.');
        for line in remedy.setting.lines() {
            assert!(!line.is_empty() && (is_prose(line) || line.len() <= 110), "{at}: {line}");
            assert_eq!(is_prose(line), line.ends_with('.'), "{at}: {line}");
        }
        assert!(!remedy.setting.contains('\t') && !remedy.test.contains('\t'), "{at}");
    }
}
