//! The split by time: one cut for everybody.

use super::Divided;
use crate::error::Error;
use crate::mapping::Cut;
use crate::shop::{Period, Shop};
use crate::time_format::{date, midnight, rfc3339};

/// Least share of the events before the cut that the tuning's fits keep (chosen: half of them; a
/// shop with a long test period would otherwise be tuned on next to nothing).
const TUNING_SHARE_MIN: f64 = 0.5;
/// Share of the events before the cut that validate where a period as long as the test is too long.
const VALIDATION_SHARE: f64 = 0.2;

/// Events from the cut on are the test; as long a period before it is the validation.
pub(super) fn divide(shop: &Shop, (cut, origin): (Cut, &str)) -> Result<Divided, Error> {
    let mut times: Vec<i64> = shop.events.iter().map(|event| event.at_s).collect();
    times.sort_unstable();
    let cut_s = match cut {
        Cut::At(at_s) => at_s,
        Cut::LastShare(share) => midnight(last_share(&times, share)),
    };
    let past = times.partition_point(|at_s| *at_s < cut_s);
    if let Some(why) = empty_side(shop, &times, (past, cut_s)) {
        return Err(Error::Unusable(format!("{origin}: {why}")));
    }
    let validation_s = validation_start(&times, (past, cut_s));
    let period = |at_s: i64| match at_s {
        at_s if at_s >= cut_s => Period::Test,
        at_s if validation_s.is_some_and(|from_s| at_s >= from_s) => Period::Validation,
        _ => Period::Past,
    };
    let validation_text = match validation_s {
        Some(from_s) => format!("{} to {}", rfc3339(from_s), rfc3339(cut_s)),
        None => "none: all events before the cut are of one moment".to_owned(),
    };
    Ok(Divided {
        cut_s: Some(cut_s),
        periods: shop.events.iter().map(|event| period(event.at_s)).collect(),
        validation_text,
    })
}

/// What is wrong with a cut that leaves one side without events.
fn empty_side(shop: &Shop, times: &[i64], (past, cut_s): (usize, i64)) -> Option<String> {
    let side = match (past, times.len() - past) {
        (0, _) => "before",
        (_, 0) => "after",
        _ => return None,
    };
    let (first, last) = shop.period_s().unwrap_or_default();
    Some(format!(
        "no event lies {side} the cut at {}; the events go from {} to {}",
        rfc3339(cut_s),
        date(first),
        date(last)
    ))
}

/// Where the validation begins: as long before the cut as the test period lasts, if that leaves
/// half of the events, else before the last fifth of them. `times` ascend.
fn validation_start(times: &[i64], (past, cut_s): (usize, i64)) -> Option<i64> {
    let before = &times[..past];
    let last_s = *times.last()?;
    let as_long_s = midnight(cut_s.saturating_sub(last_s - cut_s + 1));
    let share_s = last_share(before, VALIDATION_SHARE);
    let candidates = [
        (as_long_s, TUNING_SHARE_MIN),
        (midnight(share_s), TUNING_SHARE_MIN),
        (share_s, f64::MIN_POSITIVE),
    ];
    let leaves = |from_s: i64| before.partition_point(|at_s| *at_s < from_s) as f64 / past as f64;
    let fits = |(from_s, least): &(i64, f64)| {
        *from_s < cut_s && leaves(*from_s) >= *least && leaves(*from_s) < 1.0
    };
    candidates.into_iter().find(fits).map(|(from_s, _)| from_s)
}

/// The time of the first event of the last share; `times` ascend.
fn last_share(times: &[i64], share: f64) -> i64 {
    let at = ((1.0 - share) * times.len() as f64) as usize;
    let at = at.min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}
