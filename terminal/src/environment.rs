//! The one reader of the process's environment.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The variables whose names `is_read` accepts, and the names among them whose values are not UTF-8.
///
/// Every other variable may hold anything: the environment is full of variables that are not ours, and
/// none of them may stop a command.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place where the environment is read"
)]
pub fn variables(is_read: impl Fn(&str) -> bool) -> Variables {
    sorted(std::env::vars_os(), is_read)
}

/// The names that begin with `prefix` and whose values are not UTF-8.
pub fn not_text(prefix: &str) -> Vec<String> {
    variables(|name| name.starts_with(prefix)).not_text
}

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// Values by name.
    pub texts: BTreeMap<String, String>,
    /// Names of variables whose values are not UTF-8.
    pub not_text: Vec<String>,
}

fn sorted(
    all: impl Iterator<Item = (OsString, OsString)>,
    is_read: impl Fn(&str) -> bool,
) -> Variables {
    let mut variables = Variables::default();
    for (name, value) in all {
        let Ok(name) = name.into_string() else {
            continue;
        };
        match value.into_string() {
            _ if !is_read(&name) => {}
            Ok(value) => drop(variables.texts.insert(name, value)),
            Err(_) => variables.not_text.push(name),
        }
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn only_variables_that_are_read_have_to_be_text() {
        let raw = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let all = [
            (raw(b"OURS"), raw(b"caf\xc3\xa9")),
            (raw(b"OURS_TOO"), raw(b"caf\xe9")),
            (raw(b"OTHER"), raw(b"caf\xe9")),
            (raw(b"\xff"), raw(b"x")),
        ];
        let found = sorted(all.into_iter(), |name| name.starts_with("OURS"));
        assert_eq!(
            found.texts,
            BTreeMap::from([("OURS".to_owned(), "café".to_owned())])
        );
        assert_eq!(found.not_text, ["OURS_TOO"]);
    }
}
