//! The configuration file: what it may say, what comes before it, and what is said of what it may not say.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

fn barewire(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
    command.args(arguments).env_clear().envs(environment.iter().copied()).output().expect("barewire")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("config-{name}.toml"));
    std::fs::write(&path, text).expect("the file");
    path
}

fn check(name: &str, text: &str) -> Output {
    barewire(&["check-config", &file(name, text).display().to_string()], &[])
}

/// The value of an option in what check-config printed of a command, and where it comes from.
fn in_force(printed: &str, command: &str, key: &str) -> (String, String) {
    let of_command = printed.split("\n\n").find(|part| part.starts_with(&format!("{command}:"))).expect("the command");
    let line = of_command.lines().find(|line| line.split_whitespace().next() == Some(key)).expect("the key");
    let words: Vec<&str> = line.split_whitespace().collect();
    (words[1].to_owned(), words[2..].join(" "))
}

#[test]
fn the_example_has_every_key_and_each_line_of_it_is_valid() {
    let printed = printed(&barewire(&["--generate", "config"], &[]));
    let kept = root("docs/barewire.toml");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&kept, &printed).expect("written");
    }
    let kept = std::fs::read_to_string(kept).unwrap_or_default();
    assert!(
        cfg!(any(not(feature = "live"), feature = "kafka")) || kept == printed,
        "UPDATE=1 writes docs/barewire.toml anew"
    );
    assert_eq!(check("commented", &printed).status.code(), Some(0));
    let is_key = |line: &&str| line.starts_with('#') && line.split(' ').nth(1) == Some("=");
    let keys: Vec<&str> = printed.lines().filter(is_key).collect();
    assert!(keys.len() > 15, "{printed}");
    let (options, sinks) = printed.split_once("# Receivers of records").expect("the sinks come last");
    let mut tables = sinks.split("\n#[sinks.my-");
    let common = tables.next().unwrap_or_default();
    let uncommented = |text: &str| -> String {
        text.lines().filter(is_key).map(|line| format!("{}\n", &line[1..])).collect::<String>()
    };
    for table in tables {
        let (kind, keys) = table.split_once("]\n").expect("a table");
        let text = format!("[sinks.my-{kind}]\n{}{}", uncommented(common), uncommented(keys));
        assert_eq!(barewire::cli::fault_of_config(&text), None, "{text}");
        assert!(text.contains(&format!("type = \"{kind}\"")), "{text}");
    }
    let mut table = "";
    for line in options.lines() {
        table = if line.starts_with('[') { line } else { table };
        let key = line.trim_start_matches('#').split(' ').next().unwrap_or_default();
        // Files that are not there, and a folder.
        if is_key(&line) && !["baseline", "fingerprint-key", "output"].contains(&key) {
            let text = format!("{table}\n{}\n", &line[1..]);
            let output = check("line", &text);
            assert_eq!(output.status.code(), Some(0), "{text}: {}", told(&output));
        }
    }
}

#[test]
fn what_is_typed_comes_before_the_environment_and_that_before_the_file() {
    let config = file("order", "max-memory = 64\nrecords = ['logins']\n[replay]\nmax-memory = 128\n");
    let config = config.display().to_string();
    let of_file = printed(&barewire(&["check-config", &config], &[]));
    assert_eq!(in_force(&of_file, "replay", "max-memory"), ("128".to_owned(), "file".to_owned()));
    assert_eq!(in_force(&of_file, "replay", "records"), ("logins".to_owned(), "file".to_owned()));
    assert_eq!(in_force(&of_file, "replay", "max-loss"), ("0".to_owned(), "default".to_owned()));
    if cfg!(feature = "live") {
        assert_eq!(in_force(&of_file, "watch", "max-memory"), ("64".to_owned(), "file".to_owned()));
    }
    let of_both = printed(&barewire(&["check-config", &config], &[("BAREWIRE_RECORDS", "sessions")]));
    assert_eq!(in_force(&of_both, "replay", "records"), ("sessions".to_owned(), "BAREWIRE_RECORDS".to_owned()));

    let sample = root("testdata/office.pcap");
    let kinds = |arguments: &[&str], environment: &[(&str, &str)]| {
        let replay = [&["replay", "-q", &sample][..], arguments].concat();
        let text = printed(&barewire(&replay, environment));
        let kinds = ["finding", "login", "session"];
        kinds.into_iter().filter(|kind| text.contains(&format!("\"barewire.{kind}\""))).collect::<Vec<_>>()
    };
    let environment = [("BAREWIRE_RECORDS", "sessions")];
    assert_eq!(kinds(&[], &[]), ["finding"]);
    assert_eq!(kinds(&["-c", &config], &[]), ["login"]);
    assert_eq!(kinds(&[], &[("BAREWIRE_CONFIG", &config)]), ["login"]);
    assert_eq!(kinds(&["-c", &config], &environment), ["session"]);
    assert_eq!(kinds(&["-c", &config, "--records=findings"], &environment), ["finding"]);
}

#[test]
fn what_it_may_not_say_is_one_line_with_file_line_and_key() {
    for (text, line, hint) in [
        ("\nmax-memroy = 64", 2, "did you mean 'max-memory'"),
        ("qqq = 1", 1, "--generate config"),
        ("[replay]\nstats = 1", 2, "[watch]"),
        ("[wach]\nstats = 1", 1, "did you mean 'watch'"),
        ("watch = 1", 1, "[watch]"),
        ("\n\nmax-memory = 'lots'", 3, "max-memory"),
        ("max-memory = 2", 1, "16.."),
        ("fail-on = 'hgh'", 1, "critical"),
        ("quiet = 'yes'", 1, "true or false"),
        ("verbose = -1", 1, "number"),
        ("records = [['logins']]", 1, "lists"),
        ("max-loss = 1979-05-27", 1, "date"),
        ("ports = { imap = [143, 'x'] }", 1, "ports"),
        ("ports = { gopher = [70] }", 1, "gopher"),
        ("trusted-segments = ['10.0.0.0/33']", 1, "ADDRESS/BITS"),
        ("quiet = true\nquiet = true", 2, "duplicate key"),
        ("records = [", 1, "array"),
        ("config = 'x'", 1, "no key"),
        // Nothing where something is due, and more than fits.
        ("max-memory = []", 1, "max-memory: it takes one value"),
        ("\nmax-loss = [1, 2]", 2, "max-loss: it takes one value"),
        ("quiet = []", 1, "quiet: it takes one value"),
        ("records = []", 1, "records: at least one value"),
        ("[watch]\ninterface = []", 2, "interface: at least one value"),
        ("output = { a = 1 }", 1, "output: a table is no value"),
        // What would make two lines of it, or be obeyed by a terminal.
        ("\"a\\nb\" = 1", 1, "'a\\nb'"),
        ("\"\\u001b[2J\" = 1", 1, "'\\u{1b}[2J'"),
    ] {
        if cfg!(not(feature = "live")) && (text.contains("stats") || text.contains("interface")) {
            continue;
        }
        let output = check("wrong", text);
        assert_eq!(output.status.code(), Some(2), "{text}: {}", printed(&output));
        let told = told(&output);
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains(&format!("config-wrong.toml: line {line}: ")) && told.contains(hint), "{text}: {told}");
        assert!(printed(&output).is_empty());
        // And by the commands themselves, before they do anything.
        let config = file("wrong", text).display().to_string();
        let replay = barewire(&["replay", "-c", &config, &root("testdata/office.pcap")], &[]);
        assert_eq!((replay.status.code(), printed(&replay)), (Some(2), String::new()), "{text}");
    }
}

#[test]
fn a_line_stays_one_that_can_be_read_however_much_is_wrong() {
    let long = "x".repeat(200_000);
    for (text, hint) in [
        (format!("{long} = 1"), "--generate config"),
        (format!("max-memory = '{long}'"), "max-memory: invalid value 'xx"),
        (format!("fingerprint-key = '/{long}'"), "name too long"),
        // Deeper than the parser goes; it does not say where.
        (format!("{}x = 1", "a.".repeat(1000)), "config-long.toml: recursion limit"),
    ] {
        let output = check("long", &text);
        let told = told(&output);
        assert_eq!((output.status.code(), told.lines().count()), (Some(2), 1), "{told}");
        assert!(told.len() < 1000 && told.contains(hint), "{told}");
    }
    let none = check("none", "trusted-segments = []\nprivileged-users = []\nports = {}\nweak-secrets = false");
    assert_eq!(none.status.code(), Some(0), "{}", told(&none));
    let printed = printed(&check("odd", "privileged-users = [\"a\\nb\\u001b[2J\"]"));
    assert_eq!(in_force(&printed, "replay", "privileged-users").0, "a\\nb\\u{1b}[2J");
}

/// A receiver that cannot be, or whose password is where it does not belong.
#[test]
fn what_receivers_may_not_be_is_told_without_their_passwords() {
    let readable = file("readable", "S3cret").display().to_string();
    for (table, hint) in [
        ("type = 'webhook'", "type webhook needs url"),
        ("type = 'splunk-hec'\nurl = 'https://127.0.0.1'", "type splunk-hec needs token-file"),
        ("type = 'opensearch'\nurl = 'http://127.0.0.1'\nwindow = 2", "window is no key of type opensearch"),
        ("type = 'elasticsearch'\nurl = 'http://127.0.0.1'\nformat = 'cef'", "take ecs or ocsf"),
        ("type = 'elasticsearch'\nurl = 'http://127.0.0.1'\nindex = 'a,b'", "index: invalid value"),
        ("type = 'elasticsearch'\nurl = 'http://127.0.0.1'\nuser = 'bob'", "user needs password-file"),
        ("type = 'elasticsearch'\nurl = 'http://127.0.0.1'\npassword-file = 'x'", "password-file needs user"),
        (
            "type = 'elasticsearch'\nurl = 'http://127.0.0.1'\nuser = 'bob'\npassword-file = 'x'\napi-key-file = 'x'",
            "more than one way to log in",
        ),
        ("type = 'webhook'\nurl = 'http://127.0.0.1'\nca = 'x'", "options of TLS need https://"),
        ("type = 'webhook'\nurl = '127.0.0.1:80'", "not http:// or https://"),
        ("type = 'webhook'\nurl = 'https://bob:S3cret@127.0.0.1'", "name a file with the password"),
        ("type = 'webhook'\nurl = 'https://bob:S3cret'", "the port behind its host is none"),
        ("type = 'webhook'\nurl = 'http://127.0.0.1'\ntoken-file = 'S3cret'", "write the token to a file"),
        ("type = 'webhook'\nurl = 'http://127.0.0.1'\ntoken-file = '%'", "run 'chmod 600"),
        ("type = 'webhook'\nurl = 'http://127.0.0.1'\nheaders-file = '%'", "run 'chmod 600"),
        ("type = 'webhook'\nurl = 'http://127.0.0.1'\nbody = 'xml'", "body: invalid value"),
    ] {
        let output = check("sink", &format!("[sinks.one]\n{}", table.replace('%', &readable)));
        let told = told(&output);
        assert_eq!((output.status.code(), told.lines().count()), (Some(2), 1), "{table}: {told}{}", printed(&output));
        assert!(told.contains(hint) && !told.contains("S3cret"), "{table}: {told}");
    }
}

/// What the parser cannot know, since a value of the file is none that was typed.
#[test]
#[cfg(feature = "live")]
fn options_that_need_others_find_them_in_the_file() {
    for (text, typed, hint) in [
        ("[watch]\nrotate-size = 9", &[][..], "--output"),
        ("[watch]\nrotate-keep = 9\noutput = '/tmp/x'", &[], "--rotate-size or --rotate-daily"),
        ("[watch]\nuser = 'nobody'", &["--no-sandbox"], "--no-sandbox"),
        // Goes on to the interface, which is none.
        ("[watch]\noutput = '/tmp/x'", &["--rotate-size=9"], "nosuch0"),
        ("[watch]\noutput = '/tmp/x'\nrotate-size = 9", &["--rotate-keep=9"], "nosuch0"),
    ] {
        let config = file("needs", text).display().to_string();
        let watch = [&["watch", "-i", "nosuch0", "-c", &config], typed].concat();
        let output = barewire(&watch, &[]);
        // Without rights or library an interface cannot be looked for.
        let is_open = hint == "nosuch0" && !told(&output).contains("--");
        assert!(is_open || told(&output).contains(hint), "{text} {typed:?}: {}", told(&output));
        assert_eq!(told(&output).lines().count(), 1, "{}", told(&output));
    }
}

#[test]
fn what_it_names_is_looked_at() {
    for (text, hint) in [
        ("fingerprint-key = '/nonexistent/key'", "/nonexistent/key"),
        ("weak-secrets = '/nonexistent/list'", "/nonexistent/list"),
        ("output = '/nonexistent/folder/file'", "its folder does not exist"),
        ("output = '/'", "folder"),
    ] {
        let output = check("names", text);
        assert_eq!((output.status.code(), told(&output).contains(hint)), (Some(2), true), "{text}: {}", told(&output));
    }
    for path in ["/nonexistent/barewire.toml", "/"] {
        let output = barewire(&["replay", "-c", path, "-"], &[]);
        assert_eq!((output.status.code(), told(&output).contains(path)), (Some(2), true), "{}", told(&output));
    }
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("config-binary.toml");
    std::fs::write(&binary, [0xff, 0xfe, 0, 1]).expect("the file");
    assert_eq!(barewire(&["check-config", &binary.display().to_string()], &[]).status.code(), Some(2));
}

#[test]
fn forms_that_cannot_be_together_are_told_before_a_run() {
    for (text, told_of) in [
        ("[replay]\nformat = ['ecs', 'junit']\n", "replay: --format: ecs and junit would both go to standard output"),
        ("[replay]\nformat = ['ecs=x']\noutput = 'y'\n", "replay: -o y: each --format names a file of its own"),
    ] {
        let output = check("forms", text);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(told(&output).contains(told_of), "{text}: {}", told(&output));
    }
    if cfg!(feature = "live") {
        let output = check("forms", "[watch]\nformat = ['sarif']\n");
        assert!(told(&output).contains("watch: --format: watch writes records"), "{}", told(&output));
    }
    assert_eq!(check("forms", "[replay]\nformat = ['github', 'sarif=a']\n").status.code(), Some(0));
}

#[test]
fn every_option_can_stand_in_the_environment() {
    let sample = root("testdata/office.pcap");
    let replay = |name: &str, value: &str| barewire(&["replay", &sample], &[(name, value)]);
    assert!(told(&replay("BAREWIRE_QUIET", "true")).is_empty());
    assert!(!told(&replay("BAREWIRE_QUIET", "0")).is_empty());
    for name in ["QUIET", "ALLOW_EMPTY", "MAX_LOSS", "JOBS", "PORTS", "VERBOSE", "NO_SANDBOX", "FORMAT"] {
        let output = replay(&format!("BAREWIRE_{name}"), "@@");
        assert_eq!(output.status.code(), Some(2), "{name}: {}", told(&output));
    }
    let finish = barewire(&["archive", "finish", "--manifest", "none"], &[("BAREWIRE_MAX_LOSS", "@@")]);
    assert!(finish.status.code() == Some(2) && told(&finish).contains("--max-loss"), "{}", told(&finish));
    let config = file("environment", "max-loss = 5\n").display().to_string();
    let of_both = printed(&barewire(&["check-config", &config], &[("BAREWIRE_MAX_LOSS", "7")]));
    assert_eq!(in_force(&of_both, "replay", "max-loss"), ("7".to_owned(), "BAREWIRE_MAX_LOSS".to_owned()));
}
