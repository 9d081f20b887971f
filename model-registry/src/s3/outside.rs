//! Text from outside that becomes a header or a request target: variables, settings, token files, and what
//! credential services answer. The HTTP client ends the thread where such a text cannot be one, so that
//! everything is checked before it gets there.
//!
//! One rule for all of them: blanks and line breaks at both ends are cut off, since files and secrets end
//! with one; what is left is printable ASCII, or refused without being shown.

use url::Url;

/// Without blanks and line breaks at both ends.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim()
}

/// Whether the text can be a header.
///
/// # Errors
/// Where it has which character, and not the text: it may be a secret.
pub(super) fn check_header(text: &str) -> Result<(), String> {
    let mut characters = text.chars();
    match characters.position(|c| !(' '..='~').contains(&c)) {
        None => Ok(()),
        Some(at) => Err(format!(
            "only printable ASCII can be a header, and character {} is not",
            at + 1
        )),
    }
}

/// Whether requests can be sent there: an `http` or `https` URL to each of the parsers that a request
/// passes, which differ.
pub(super) fn is_target(text: &str) -> bool {
    let url = Url::parse(text).ok();
    let has_host = url.is_some_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty()
    });
    has_host && text.parse::<http::Uri>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_printable_ascii_and_a_refusal_does_not_repeat_it() {
        for text in ["", "AKIA/+=", "Basic aHVzaA==", "~"] {
            assert_eq!(check_header(text), Ok(()), "{text}");
        }
        for text in [
            "hush\nhush",
            "hush\0hush",
            "hush\u{7f}hush",
            "hushéhush",
            "hush\thush",
        ] {
            let why = check_header(text).unwrap_err();
            assert!(why.contains("character 5"), "{why}");
            assert!(!why.contains("hush"), "{why}");
        }
    }

    #[test]
    fn target_is_what_every_parser_takes() {
        for text in [
            "http://169.254.170.2/v2/credentials?id=x",
            "https://[::1]:9000",
        ] {
            assert!(is_target(text), "{text}");
        }
        for text in [
            "",
            "/v2/credentials",
            "ftp://host/",
            "http://",
            "http://a{b",
            "http://a b/",
            "http://host/a b",
            "http://host/\n",
            "http://user@host/",
            "http://shelf.127.0.0.1:9000",
            "http://host:99999",
        ] {
            assert!(!is_target(text), "{text}");
        }
    }
}
