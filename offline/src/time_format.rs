//! Parses and prints times, as Unix seconds in UTC; jiff does the work.
//!
//! A time without an offset is UTC: splits and the order of events need only the sequence, and a
//! shop changes its offset by at most an hour within its own files.
//!
//! By hand stays only what jiff has no parser for: Unix seconds and milliseconds with a fraction.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Format of a column with times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    Rfc3339,
    UnixSeconds,
    UnixMilliseconds,
    /// `%Y-%m-%d %H:%M:%S` and the like; with `%z` the offset counts, else UTC.
    Pattern(String),
}

impl TimeFormat {
    /// `rfc3339`, `unix_s`, `unix_ms`, or a pattern with `%`; Err continues a sentence that starts
    /// with the key.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "rfc3339" => Ok(Self::Rfc3339),
            "unix_s" => Ok(Self::UnixSeconds),
            "unix_ms" => Ok(Self::UnixMilliseconds),
            pattern => Self::checked_pattern(pattern),
        }
    }

    /// Checks a pattern by printing a time with it and parsing it again.
    fn checked_pattern(pattern: &str) -> Result<Self, String> {
        let refused = |why: &str| {
            Err(format!(
                "is {pattern:?}: {why}; use rfc3339, unix_s, unix_ms or a pattern such as \
                 %Y-%m-%d %H:%M:%S"
            ))
        };
        if !pattern.contains('%') {
            return refused("not a time format");
        }
        let format = Self::Pattern(pattern.to_owned());
        let moment = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 40);
        let zoned = moment.to_zoned_datetime(TimeZone::UTC);
        match jiff::fmt::strtime::format(pattern, &zoned) {
            Err(error) => refused(&error.to_string()),
            Ok(written) => match format.read(&written) {
                Err(_) => refused("a date cannot be read back from it"),
                Ok(_) => Ok(format),
            },
        }
    }

    /// Unix seconds; Err continues a sentence that starts with the column's name.
    pub(crate) fn read(&self, text: &str) -> Result<i64, String> {
        if text.is_empty() {
            return Err("is empty, where a time is needed".to_owned());
        }
        match self {
            Self::Rfc3339 => {
                let read = text.parse::<Timestamp>();
                read.map(Timestamp::as_second)
                    .map_err(|_| not_a_time(text, "RFC 3339"))
            }
            Self::UnixSeconds => unix(text, 1).map_err(|()| not_a_time(text, "unix_s")),
            Self::UnixMilliseconds => unix(text, 1000).map_err(|()| not_a_time(text, "unix_ms")),
            Self::Pattern(pattern) => {
                read_pattern(pattern, text).map_err(|_| not_a_time(text, pattern))
            }
        }
    }
}

fn not_a_time(text: &str, format: &str) -> String {
    format!("is {text:?}, which is not a time in the format {format}")
}

/// Whole seconds; a fraction of digits is dropped. Any other text is refused: of `1.7045856e+09` or
/// `1.704.585.600` the first part would be a time, too. A number outside jiff's years -9999 to 9999
/// (such as milliseconds taken for seconds) is none.
fn unix(text: &str, per_second: i64) -> Result<i64, ()> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole.strip_prefix(['-', '+']).unwrap_or(whole)) || !is_digits(fraction) {
        return Err(());
    }
    let mut units = whole.parse::<i64>().map_err(|_| ())?;
    if whole.starts_with('-') && fraction.bytes().any(|b| b != b'0') {
        // Seconds are counted downwards: -1.5 lies in second -2.
        units -= 1;
    }
    let seconds = units.div_euclid(per_second);
    Timestamp::from_second(seconds)
        .map(Timestamp::as_second)
        .map_err(|_| ())
}

fn read_pattern(pattern: &str, text: &str) -> Result<i64, jiff::Error> {
    let read = BrokenDownTime::parse(pattern, text)?;
    if read.offset().is_some() || read.timestamp().is_some() {
        return Ok(read.to_timestamp()?.as_second());
    }
    let civil = match read.hour() {
        Some(_) => read.to_datetime()?,
        None => read.to_date()?.at(0, 0, 0, 0),
    };
    utc(civil)
}

fn utc(civil: DateTime) -> Result<i64, jiff::Error> {
    Ok(TimeZone::UTC.to_timestamp(civil)?.as_second())
}

/// Parses a time on the command line: a date (its midnight), a date and time, or RFC 3339; UTC
/// without an offset. Err is one sentence.
pub fn parse_instant(text: &str) -> Result<i64, String> {
    let with_offset = || text.parse::<Timestamp>().ok().map(Timestamp::as_second);
    let civil = || {
        text.parse::<DateTime>()
            .ok()
            .and_then(|civil| utc(civil).ok())
    };
    let date = || {
        text.parse::<Date>()
            .ok()
            .and_then(|date| utc(date.at(0, 0, 0, 0)).ok())
    };
    // A time zone in brackets would be read and ignored.
    let read = with_offset().or_else(|| civil().or_else(date).filter(|_| !text.contains('[')));
    read.ok_or_else(|| format!("{text:?} is not a date such as 2011-10-01 or an RFC 3339 time"))
}

/// Prints RFC 3339 in UTC, to the second.
pub fn rfc3339(at_s: i64) -> String {
    Timestamp::from_second(at_s).map_or_else(|_| format!("{at_s} s"), |at| at.to_string())
}

/// Prints the date alone.
pub(crate) fn date(at_s: i64) -> String {
    rfc3339(at_s).chars().take(10).collect()
}

/// The midnight (UTC) at or before a time.
pub(crate) fn midnight(at_s: i64) -> i64 {
    at_s - at_s.rem_euclid(86_400)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_format_parses_the_same_time() {
        let moment = 1_291_191_960; // 2010-12-01 08:26:00 UTC
        let cases = [
            ("rfc3339", "2010-12-01T09:26:00+01:00"),
            ("unix_s", "1291191960"),
            ("unix_s", "1291191960.75"),
            ("unix_ms", "1291191960999"),
            ("%Y-%m-%d %H:%M:%S", "2010-12-01 08:26:00"),
            ("%d/%m/%Y %H:%M", "1/12/2010 8:26"),
            ("%Y-%m-%d %H:%M:%S %z", "2010-12-01 10:26:00 +0200"),
        ];
        for (format, text) in cases {
            let read = TimeFormat::parse(format).unwrap().read(text);
            assert_eq!(read, Ok(moment), "{format} {text}");
        }
        assert_eq!(parse_instant("2010-12-01T08:26:00Z"), Ok(moment));
        assert_eq!(parse_instant("2010-12-01 08:26"), Ok(moment));
        assert_eq!(parse_instant("2010-12-01"), Ok(midnight(moment)));
        assert_eq!(rfc3339(moment), "2010-12-01T08:26:00Z");
    }

    #[test]
    fn number_of_which_a_part_would_be_a_time_is_refused() {
        for text in [
            "1.7045856e+09",
            "1.704.585.600",
            "1,704,585,600",
            "07.01.2024",
            "1704585600.",
            "1704585600.x",
            ".5",
            "1704585600 ",
            "1_704_585_600",
            "0x659a2b00",
            "1704585600.5.5",
            "-",
        ] {
            for format in [TimeFormat::UnixSeconds, TimeFormat::UnixMilliseconds] {
                assert!(format.read(text).is_err(), "{text}");
            }
        }
        assert_eq!(TimeFormat::UnixSeconds.read("-1.5"), Ok(-2));
        assert_eq!(TimeFormat::UnixSeconds.read("-1.0"), Ok(-1));
        assert_eq!(TimeFormat::UnixMilliseconds.read("-1"), Ok(-1));
    }

    #[test]
    fn text_that_is_not_a_time_is_refused() {
        assert!(TimeFormat::UnixSeconds.read("1291191960000999").is_err());
        assert!(parse_instant("2010-12-01T08:26[Europe/London]").is_err());
        assert!(TimeFormat::Rfc3339.read("2010-12-01 08:26").is_err());
        assert!(
            TimeFormat::parse("%Y-%m-%d")
                .unwrap()
                .read("2010-02-30")
                .is_err()
        );
        for format in ["YYYY-MM-DD", "%H:%M", "%Q9"] {
            assert!(TimeFormat::parse(format).is_err(), "{format}");
        }
        assert!(parse_instant("yesterday").is_err());
    }
}
