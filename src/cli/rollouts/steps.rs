//! Shares and steps as people type them: `1%:10m,5%:30m,25%:2h,100%`.

use crate::grpc::client::{ArmInfo, StepInfo};
use hotshelf_terminal::quantity::parse_duration;

/// `12.5%` or `1250bp`, in basis points.
pub(super) fn share(text: &str) -> Result<u32, String> {
    let wrong =
        || format!("{text:?} is not a share: give at most two decimals, such as 2.5%, or 250bp");
    if let Some(number) = text.strip_suffix("bp") {
        return number.parse().map_err(|_| wrong());
    }
    let percent = text.strip_suffix('%').ok_or_else(wrong)?;
    let (whole, places) = percent.split_once('.').unwrap_or((percent, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || places.len() > 2 || !is_digits(whole) || !is_digits(places) {
        return Err(wrong());
    }
    format!("{whole}{places:0<2}").parse().map_err(|_| wrong())
}

/// How long a share is held, in whole seconds.
fn hold(text: &str) -> Result<u64, String> {
    let hold = parse_duration(text)?;
    match hold.subsec_nanos() {
        0 => Ok(hold.as_secs()),
        _ => Err(format!("{text:?} is not a whole number of seconds")),
    }
}

/// One step, `5%:30m`, or the last one, `100%`.
pub(super) fn step(text: &str) -> Result<StepInfo, String> {
    let (share_bp, hold_s) = match text.split_once(':') {
        Some((of, held)) => (share(of)?, hold(held)?),
        None => (share(text)?, 0),
    };
    Ok(StepInfo { share_bp, hold_s })
}

/// One arm of a test, `red=12:50%`.
pub(super) fn arm(text: &str) -> Result<ArmInfo, String> {
    let wrong = || format!("{text:?} is not an arm: give NAME=VERSION:SHARE, such as red=12:50%");
    let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
    let (version, of) = rest.split_once(':').ok_or_else(wrong)?;
    Ok(ArmInfo {
        name: name.to_owned(),
        version: version.parse().map_err(|_| wrong())?,
        share_bp: share(of)?,
        manifest_sha256: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_to_a_basis_point() {
        for (text, bp) in [
            ("1%", 100),
            ("0.01%", 1),
            ("2.5%", 250),
            ("12.34%", 1_234),
            ("100%", 10_000),
            ("0%", 0),
            ("250bp", 250),
        ] {
            assert_eq!(share(text), Ok(bp), "{text}");
        }
        for text in [
            "", "1", "%", "1.234%", "-1%", "1,5%", "x%", "1e2%", "+1%", "bp",
        ] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn steps_are_a_share_and_how_long_it_is_held() {
        let of = |text| step(text).map(|step| (step.share_bp, step.hold_s));
        assert_eq!(of("1%:10m"), Ok((100, 600)));
        assert_eq!(of("5%:90s"), Ok((500, 90)));
        assert_eq!(of("25%:2h"), Ok((2_500, 7_200)));
        assert_eq!(of("50%:1d"), Ok((5_000, 86_400)));
        assert_eq!(of("100%"), Ok((10_000, 0)));
        for text in [
            "1%:",
            "1%:10",
            "1%:m",
            "1%:-1m",
            "1%:10w",
            "1%:99999999999999999999s",
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arms_of_a_test_name_their_version_and_share() {
        let red = arm("red=12:50%").unwrap();
        assert_eq!(
            (red.name.as_str(), red.version, red.share_bp),
            ("red", 12, 5_000)
        );
        for text in ["red", "red=12", "red=x:50%", "red=12:half"] {
            assert!(arm(text).is_err(), "{text}");
        }
    }
}
