//! Arguments that cannot be parsed.

use clap::error::ErrorKind;
use std::ffi::OsString;

use crate::environment;
use crate::text::one_line;

/// The error, with what is not text named where clap only says that something is not.
#[must_use]
pub fn named(error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::InvalidUtf8 {
        return error;
    }
    let variables = environment::not_text("HOTSHELF_");
    let named = not_text(std::env::args_os().skip(1), variables);
    match named.is_empty() {
        true => error,
        false => clap::Error::raw(ErrorKind::InvalidUtf8, named.join("\n") + "\n"),
    }
}

/// A line for each argument and each variable that is not UTF-8.
fn not_text(arguments: impl Iterator<Item = OsString>, variables: Vec<String>) -> Vec<String> {
    let of_arguments = arguments
        .filter(|argument| argument.to_str().is_none())
        .map(|argument| {
            format!(
                "argument {}: is not UTF-8",
                one_line(argument.to_string_lossy())
            )
        });
    let of_variables = variables
        .into_iter()
        .map(|name| format!("{name}: is not UTF-8"));
    of_arguments.chain(of_variables).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn arguments_and_variables_that_are_not_text_are_named() {
        let arguments = ["status", "caf\u{e9}"].map(OsString::from);
        let broken = OsString::from_vec(b"a\xff\x1b".to_vec());
        let all = arguments.into_iter().chain([broken]);
        let found = not_text(all, vec!["HOTSHELF_REGISTRY".to_owned()]);
        assert_eq!(
            found,
            [
                "argument a\u{fffd}\\u{1b}: is not UTF-8",
                "HOTSHELF_REGISTRY: is not UTF-8"
            ]
        );
    }
}
