//! `barewire ui`, and the same page of a running watch.

use super::{Failure, listen};
use crate::run::{self, UiJob, UiOptions};
use crate::sink;
use crate::ui::door::Door;
use clap::Args;
use std::path::PathBuf;

/// Show records of files as a page in a browser, with filters, until interrupted.
///
/// Is the sensor seeing, what is exposed now, who and where, is it getting better. Records are what replay and watch
/// write, best with --records findings,logins,sessions; files may be plain or compressed with gzip or zstd, and `-` is
/// standard input. Plain files are followed as they grow and begin anew. The page keeps the latest 100,000 findings, logins
/// and sessions each.
#[derive(Args)]
pub(super) struct Ui {
    /// Files of records, or - for standard input.
    #[arg(required = true, value_name = "RECORDS")]
    files: Vec<PathBuf>,

    /// Where the page is. A port alone is one of 127.0.0.1; 0 is one that is free.
    #[arg(long, value_name = "ADDR:PORT", default_value = "9470")]
    listen: String,

    /// File with a token that visitors must give as their password, whatever their name. Only its owner may read it.
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,

    /// PEM file of the certificate chain that is shown over TLS.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// PEM file of its private key.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Names of this machine by which the page is asked for, besides its address and localhost.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    name: Vec<String>,

    /// Keep all rights that the program was started with.
    #[arg(long)]
    no_sandbox: bool,
}

impl Ui {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let wanted = Wanted {
            options: ["--listen", "--token", "--certificate", "--key"],
            address: &self.listen,
            token: self.token.as_ref(),
            tls: [self.certificate, self.key],
            names: &self.name,
        };
        run::ui(UiJob { files: self.files, options: wanted.options()?, is_sandboxed: !self.no_sandbox })
    }
}

/// A page for people.
#[cfg(feature = "live")]
#[derive(Args)]
pub(super) struct UiListen {
    /// Show what is found as a page for browsers there. A port alone is one of 127.0.0.1. An address that others can
    /// reach takes a token and TLS.
    #[arg(long, value_name = "ADDR:PORT", env = "BAREWIRE_UI", hide_env = true, help_heading = "Page")]
    ui: Option<String>,

    /// File with a token that visitors must give as their password, whatever their name. Only its owner may read it.
    #[arg(long, value_name = "FILE", env = "BAREWIRE_UI_TOKEN", hide_env = true, help_heading = "Page")]
    ui_token: Option<PathBuf>,

    /// PEM file of the certificate chain that is shown over TLS.
    #[arg(long, value_name = "FILE", help_heading = "Page")]
    ui_certificate: Option<PathBuf>,

    /// PEM file of its private key.
    #[arg(long, value_name = "FILE", help_heading = "Page")]
    ui_key: Option<PathBuf>,

    /// Names of this machine by which the page is asked for, besides its address and localhost.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', help_heading = "Page")]
    ui_name: Vec<String>,
}

#[cfg(feature = "live")]
impl UiListen {
    /// What is asked for, if anything.
    pub(super) fn options(&self) -> Result<Option<UiOptions>, Failure> {
        let Some(address) = &self.ui else {
            let given = [
                ("--ui-token", self.ui_token.is_some()),
                ("--ui-certificate", self.ui_certificate.is_some()),
                ("--ui-key", self.ui_key.is_some()),
                ("--ui-name", !self.ui_name.is_empty()),
            ];
            return match given.iter().find(|(_, is_given)| *is_given) {
                Some((option, _)) => {
                    Err(Failure::usage(format!("{option} is for a page; say with --ui where that is")))
                }
                None => Ok(None),
            };
        };
        let wanted = Wanted {
            options: ["--ui", "--ui-token", "--ui-certificate", "--ui-key"],
            address,
            token: self.ui_token.as_ref(),
            tls: [self.ui_certificate.clone(), self.ui_key.clone()],
            names: &self.ui_name,
        };
        wanted.options().map(Some)
    }
}

/// A page as it was typed.
struct Wanted<'a> {
    /// How the options are called: the address, the token, the certificate, the key.
    options: [&'static str; 4],
    address: &'a str,
    token: Option<&'a PathBuf>,
    tls: [Option<PathBuf>; 2],
    names: &'a [String],
}

/// Octets of a token.
const TOKEN_OCTETS: usize = 1024;
/// Shorter ones are tried out.
const SHORTEST_TOKEN: usize = 16;

impl Wanted<'_> {
    fn options(self) -> Result<UiOptions, Failure> {
        let [option, of_token, of_certificate, of_key] = self.options;
        let address = listen::address(option, self.address, 9470)?;
        let tls = match self.tls {
            [Some(certificate), Some(key)] => Some([certificate, key]),
            [None, None] => None,
            [certificate, _] => {
                let (given, missing) =
                    if certificate.is_some() { (of_certificate, of_key) } else { (of_key, of_certificate) };
                return Err(Failure::usage(format!("{given} needs {missing} as well")));
            }
        };
        if !listen::is_of_this_machine(address) && (self.token.is_none() || tls.is_none()) {
            return Err(Failure::usage(format!(
                "{option} {address}: others can reach this address; use 127.0.0.1:{}, or add {of_token}, {of_certificate} \
                 and {of_key}",
                address.port()
            )));
        }
        let read = |path: &PathBuf| {
            let token = sink::secret(path, "token", TOKEN_OCTETS).map_err(Failure::usage)?;
            if token.len() < SHORTEST_TOKEN {
                let path = path.display();
                return Err(Failure::usage(format!(
                    "{path}: a token of less than {SHORTEST_TOKEN} characters can be guessed; \
                     'openssl rand -base64 24 > {path}' writes one"
                )));
            }
            Ok(token)
        };
        let token = self.token.map(read).transpose()?;
        Ok(UiOptions {
            listen: address,
            option,
            door: Door::new(self.names, token.as_ref().map(|token| token.as_slice())),
            tls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(address: &str, tls: [Option<PathBuf>; 2]) -> Option<String> {
        let options = ["--ui", "--ui-token", "--ui-certificate", "--ui-key"];
        let wanted = Wanted { options, address, token: None, tls, names: &[] };
        wanted.options().err().map(|failure| failure.message)
    }

    #[cfg(feature = "live")]
    #[test]
    fn options_of_a_page_that_is_nowhere_are_refused() {
        let alone = |token: Option<&str>, name: &[&str]| UiListen {
            ui: None,
            ui_token: token.map(PathBuf::from),
            ui_certificate: None,
            ui_key: None,
            ui_name: name.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert!(alone(None, &[]).options().is_ok_and(|page| page.is_none()));
        for (page, option) in [(alone(Some("token"), &[]), "--ui-token"), (alone(None, &["sensor"]), "--ui-name")] {
            assert!(page.options().is_err_and(|failure| failure.message.starts_with(option)));
        }
    }

    #[test]
    fn others_see_the_page_with_a_token_over_tls_only() {
        for here in ["9470", "127.0.0.1:0", "[::1]:9470", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(refusal(here, [None, None]), None, "{here}");
        }
        for elsewhere in ["0.0.0.0:9470", "[::]:9470", "192.0.2.1:9470"] {
            let tls = [Some("c.pem".into()), Some("k.pem".into())];
            for refusal in [refusal(elsewhere, [None, None]), refusal(elsewhere, tls)] {
                let refusal = refusal.expect("refused");
                assert!(refusal.contains("--ui-token, --ui-certificate and --ui-key") && refusal.lines().count() == 1);
            }
        }
        assert!(refusal("localhost:1", [None, None]).is_some_and(|text| text.contains("such as 9470")));
    }
}
