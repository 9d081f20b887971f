//! Numbers with units, as people read and type them.

use bytesize::ByteSize;
use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
use jiff::{SignedDuration, Span, SpanRelativeTo, SpanRound, Unit};
use std::time::Duration;

/// How durations are printed: `1d 2h 30m`.
const PRINTER: SpanPrinter = SpanPrinter::new()
    .designator(Designator::Compact)
    .spacing(Spacing::BetweenUnits);

/// A size in powers of 1,024, such as `1.5 MiB`.
pub fn bytes(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// A count with thousands set apart: `397,884`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration as it is typed: `90s`, `10m`, `2h`, `7d`, or several units at once, `1h30m`. A day has
/// 24 hours.
///
/// # Errors
/// What to type instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as 90s, 10m, 2h or 7d");
    let span: Span = text.parse().map_err(|_| wrong())?;
    if span.get_years() != 0 || span.get_months() != 0 || span.get_weeks() != 0 {
        return Err(wrong());
    }
    let exact = span.to_duration(SpanRelativeTo::days_are_24_hours());
    let exact = exact.ok().and_then(|exact| exact.try_into().ok());
    exact.ok_or_else(wrong)
}

/// A duration as [`parse_duration`] takes it: `10m`, `2h`, `1d 12h`, `250ms`.
pub fn duration(duration: Duration) -> String {
    let balanced = SignedDuration::try_from(duration).and_then(|exact| {
        let days = SpanRound::new()
            .largest(Unit::Day)
            .smallest(Unit::Millisecond)
            .days_are_24_hours();
        Span::try_from(exact)?.round(days)
    });
    match balanced {
        Ok(span) => PRINTER.span_to_string(&span),
        // Longer than 19,998 years.
        Err(_) => format!("{}s", duration.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [0, 999, 1000, 397_884, 1_000_000].map(grouped).join(" "),
            "0 999 1,000 397,884 1,000,000"
        );
    }

    #[test]
    fn sizes_are_in_powers_of_1024() {
        assert_eq!(
            [0, 1_023, 1_536, 5 << 20].map(bytes).join(", "),
            "0 B, 1023 B, 1.5 KiB, 5.0 MiB"
        );
    }

    #[test]
    fn duration_is_printed_as_it_was_typed() {
        for text in [
            "0s", "250ms", "59s", "10m", "2h", "1d", "7d", "1d 12h", "1h 30m", "400d",
        ] {
            assert_eq!(duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!(duration(parse_duration("90s").unwrap()), "1m 30s");
        assert_eq!(duration(Duration::MAX), format!("{}s", u64::MAX));
    }

    #[test]
    fn invalid_duration_is_refused_with_examples() {
        let refused = [
            "",
            "10",
            "m",
            "-1m",
            "10w",
            "1y",
            "99999999999999999999s",
            "1m ago",
        ];
        for text in refused {
            let said = parse_duration(text).unwrap_err();
            assert!(
                said.ends_with("is not a duration such as 90s, 10m, 2h or 7d"),
                "{said}"
            );
        }
    }
}
