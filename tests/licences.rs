//! The licences, names and sources of everything that is built into the program, held against
//! `deny.toml`. It is the part of `cargo deny check licenses bans sources` that a plain `cargo test` can
//! do with what it has already downloaded; texts of licences and advisories are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

const POLICY: &str = include_str!("../deny.toml");

#[test]
fn everything_built_in_has_an_allowed_licence() {
    let allowed: BTreeSet<String> = quoted(&list("licenses", "allow")).collect();
    assert!(allowed.contains("MIT"), "deny.toml was not understood: {allowed:?}");
    let refused: Vec<String> = built_in()
        .iter()
        .map(|package| (name(package), package["license"].as_str().unwrap_or("no licence given")))
        .filter(|(_, licence)| !permits(licence, &allowed))
        .map(|(name, licence)| format!("{name}: {licence}"))
        .collect();
    assert!(refused.is_empty(), "not allowed by deny.toml:\n{}", refused.join("\n"));
}

#[test]
fn no_banned_crate_is_built_in() {
    // Each with those that may need it all the same.
    let banned: BTreeMap<String, BTreeSet<String>> = list("bans", "deny")
        .split("crate = ")
        .skip(1)
        .filter_map(|entry| {
            let wrappers = entry.split_once("wrappers = [").map(|(_, rest)| rest.split(']').next().unwrap_or_default());
            Some((quoted(entry).next()?, quoted(wrappers.unwrap_or_default()).collect()))
        })
        .collect();
    assert!(!banned.is_empty(), "deny.toml was not understood");
    let packages = built_in();
    let needed_by = |wanted: &str| -> BTreeSet<String> {
        let needs = |package: &Value| {
            package["dependencies"]
                .as_array()
                .is_some_and(|all| all.iter().any(|need| need["name"] == wanted && need["kind"] != "dev"))
        };
        packages.iter().filter(|package| needs(package)).map(name).collect()
    };
    let is_excused = |name: &String| {
        let wrappers = &banned[name];
        !wrappers.is_empty() && needed_by(name).is_subset(wrappers)
    };
    let found: Vec<String> =
        packages.iter().map(name).filter(|name| banned.contains_key(name) && !is_excused(name)).collect();
    assert!(found.is_empty(), "banned by deny.toml: {found:?}");
    assert!(needed_by("openssl-sys").contains("rdkafka-sys"), "whoever needs a crate is found");
}

#[test]
fn everything_comes_from_one_registry() {
    let sources: BTreeSet<String> = built_in()
        .iter()
        // Only the program itself has no source.
        .filter(|package| name(package) != env!("CARGO_PKG_NAME"))
        .map(|package| package["source"].as_str().unwrap_or("a path").to_owned())
        .collect();
    assert!(sources.len() <= 1 && sources.iter().all(|source| source.starts_with("registry+")), "{sources:?}");
}

#[test]
fn an_expression_is_read_as_spdx_means_it() {
    let allowed: BTreeSet<String> = ["MIT", "ISC", "X WITH Y"].map(str::to_owned).into();
    for yes in ["MIT", "GPL OR MIT", "GPL/MIT", "MIT AND ISC", "(GPL OR ISC) AND MIT", "X WITH Y", "GPL AND Z OR MIT"] {
        assert!(permits(yes, &allowed), "{yes}");
    }
    for no in ["GPL", "", "MIT AND GPL", "X", "MIT WITH Y", "(MIT OR ISC) AND GPL", "MIT AND", "MIT )", "( MIT"] {
        assert!(!permits(no, &allowed), "{no}");
    }
}

/// What the program is made of: itself and all that it needs to be built and run, not to be tested.
fn built_in() -> Vec<Value> {
    let metadata = metadata();
    let entries = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let id = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let needs: BTreeMap<String, Vec<Value>> =
        entries(&metadata["resolve"]["nodes"]).iter().map(|node| (id(&node["id"]), entries(&node["deps"]))).collect();

    let mut found = BTreeSet::new();
    let mut open = vec![id(&metadata["resolve"]["root"])];
    while let Some(package) = open.pop() {
        let for_tests_only = |need: &Value| entries(&need["dep_kinds"]).iter().all(|kind| kind["kind"] == "dev");
        let needed = needs[&package].iter().filter(|need| !for_tests_only(need));
        if found.insert(package.clone()) {
            open.extend(needed.map(|need| id(&need["pkg"])));
        }
    }
    assert!(found.len() > 1, "the tree of dependencies was not understood");
    entries(&metadata["packages"]).into_iter().filter(|package| found.contains(&id(&package["id"]))).collect()
}

fn name(package: &Value) -> String {
    package["name"].as_str().unwrap_or_default().to_owned()
}

/// For this platform, since only that was downloaded for building; with the network only where it must.
fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let host = run(Command::new("rustc").arg("-vV")).expect("rustc");
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host").to_owned();
    let ask = |network: &str| {
        run(Command::new(&cargo)
            .args(["metadata", "--format-version", "1", "--all-features", "--filter-platform", &host, network])
            .current_dir(env!("CARGO_MANIFEST_DIR")))
    };
    let text = ask("--frozen").or_else(|_| ask("--locked")).unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    serde_json::from_str(&text).expect("cargo writes JSON")
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The text between the brackets of `key = [...]` in a section of `deny.toml`, without comments.
fn list(section: &str, key: &str) -> String {
    let heading = format!("[{section}]");
    let start = format!("{key} = [");
    let body: Vec<&str> = POLICY
        .lines()
        .map(|line| line.split(" #").next().unwrap_or_default().trim())
        .filter(|line| !line.starts_with('#'))
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| !(line.starts_with('[') && line.ends_with(']')))
        .skip_while(|line| !line.starts_with(&start))
        .take_while(|line| *line != "]")
        .collect();
    body.join("\n").replacen(&start, "", 1)
}

fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('"').skip(1).step_by(2).map(str::to_owned)
}

/// Whether an SPDX expression can be satisfied with the allowed licences alone. `/` is the old `OR`.
fn permits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest, allowed) && rest.is_empty()
}

fn any_of(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut holds = all_of(rest, allowed);
    while skip(rest, "OR") {
        holds |= all_of(rest, allowed);
    }
    holds
}

fn all_of(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut holds = one(rest, allowed);
    while skip(rest, "AND") {
        holds &= one(rest, allowed);
    }
    holds
}

fn one(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    if skip(rest, "(") {
        let holds = any_of(rest, allowed);
        return skip(rest, ")") && holds;
    }
    let Some((licence, after)) = rest.split_first() else { return false };
    *rest = after;
    if !skip(rest, "WITH") {
        return allowed.contains(*licence);
    }
    let Some((exception, after)) = rest.split_first() else { return false };
    *rest = after;
    allowed.contains(&format!("{licence} WITH {exception}"))
}

fn skip(rest: &mut &[&str], word: &str) -> bool {
    match rest.split_first() {
        Some((first, after)) if *first == word => {
            *rest = after;
            true
        }
        _ => false,
    }
}
