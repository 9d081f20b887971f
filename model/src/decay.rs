//! Exponential decay, counted in half-lives.

const SECONDS_PER_DAY: f64 = 86_400.0;

/// What is left of 1 after `age_s` seconds: half of it after a half-life. 1 for a negative age.
///
/// By `libm`, whose digits are the same on every machine; they go into parts.
pub(crate) fn left(age_s: i64, half_life_days: f64) -> f64 {
    let age_s = age_s.max(0) as f64;
    libm::exp2(-age_s / (half_life_days * SECONDS_PER_DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_left_after_a_half_life_and_nothing_in_the_end() {
        assert_eq!(left(0, 7.0), 1.0);
        assert_eq!(left(7 * 86_400, 7.0), 0.5);
        assert_eq!(left(14 * 86_400, 7.0), 0.25);
        assert_eq!(left(-5, 7.0), 1.0);
        assert_eq!(left(i64::MAX, 0.5), 0.0);
    }
}
