//! Lengths of time as people type them.

/// Units, in seconds.
const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];

/// `90s`, `10m`, `2h` or `7d`, in seconds; `None` for anything else.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let unit = text.chars().next_back()?;
    let (_, unit_s) = UNITS.iter().find(|(known, _)| *known == unit)?;
    let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
    Some(u64::from(number) * unit_s)
}
