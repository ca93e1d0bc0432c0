//! Files that hold what only their owner may know: keys and passwords of this sensor's own.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// The content of a file that nobody but its owner can read; wiped when it is dropped. `what` it holds, for people;
/// `largest` in octets.
///
/// # Errors
///
/// It cannot be read, others can read it, or it is larger: one line that names the file and says what helps.
pub(super) fn read(path: &Path, what: &str, largest: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    let fail = |why: &str| format!("{}: {why}", path.display());
    let file = File::open(path).map_err(|error| match is_perhaps_the_secret(path) {
        true => format!("that is no file; write the {what} to a file that only its owner can read, and name that"),
        false => fail(&error.to_string()),
    })?;
    let mode = file.metadata().map_err(|error| fail(&error.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(fail(&format!("others can read the {what}; run 'chmod 600 {}'", path.display())));
    }
    // Of the largest size at once: growing would leave copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(largest + 1));
    file.take(largest as u64 + 1).read_to_end(&mut content).map_err(|error| fail(&error.to_string()))?;
    if content.len() > largest {
        return Err(fail(&format!("larger than a {what} can be, {largest} octets")));
    }
    Ok(content)
}

/// The same of a file of one line, without the line feed that editors put behind it.
///
/// # Errors
///
/// It cannot be read, others can read it, it is larger, or nothing is in it: one line that names the file and says what helps.
pub fn secret(path: &Path, what: &str, largest: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut content = read(path, what, largest)?;
    while content.last().is_some_and(|octet| matches!(octet, b'\r' | b'\n')) {
        content.pop();
    }
    if content.is_empty() {
        return Err(format!("{}: no {what} in it", path.display()));
    }
    Ok(content)
}

/// Whether somebody may have written the secret in place of its file's name. It must not be told then.
fn is_perhaps_the_secret(path: &Path) -> bool {
    !path.as_os_str().as_encoded_bytes().contains(&b'/') && !path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_secret_in_the_place_of_its_file_is_not_told() {
        let why = read(Path::new("0f1e-made-up"), "token", 64).expect_err("no file");
        assert_eq!(why, "that is no file; write the token to a file that only its owner can read, and name that");
        let why = read(Path::new("/nonexistent/token"), "token", 64).expect_err("no file");
        assert!(why.starts_with("/nonexistent/token: "), "{why}");
    }

    #[test]
    fn only_its_owner_may_read_it_and_it_has_a_bound() {
        let path = std::env::temp_dir().join(format!("bw-private-{}", std::process::id()));
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        fs::write(&path, "made-up").expect("written");
        set(0o640);
        let why = read(&path, "token", 64).expect_err("others can read it");
        assert_eq!(why, format!("{0}: others can read the token; run 'chmod 600 {0}'", path.display()));
        set(0o600);
        assert_eq!(read(&path, "token", 7).expect("it fits")[..], *b"made-up");
        assert!(read(&path, "token", 6).is_err_and(|why| why.contains("larger")));
        fs::remove_file(&path).expect("removed");
    }
}
