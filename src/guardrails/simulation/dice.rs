//! Random numbers of a seed, cheap in a build without optimisation.

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// Of this seed. Neighbouring seeds are neighbouring states until they are mixed.
    pub(super) fn of(seed: u64) -> Self {
        Self(Self(seed).word())
    }

    pub(super) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number of this mean, as spread as a Poisson's is (within 3.5 deviations).
    pub(super) fn about(&mut self, mean: f64) -> u64 {
        let normal = (0..4).map(|_| self.unit() - 0.5).sum::<f64>() * 3.0_f64.sqrt();
        (mean + normal * mean.sqrt() + self.unit()).max(0.0) as u64
    }

    /// How many of `people` have an event of this chance: exact, by the gaps between events.
    pub(super) fn events(&mut self, people: u64, chance: f64) -> u64 {
        if chance <= 0.0 {
            return 0;
        }
        if chance > 0.5 {
            return people - self.events(people, 1.0 - chance);
        }
        let ln_rest = (1.0 - chance).ln();
        let (mut events, mut at) = (0, 0_u64);
        loop {
            let gap = ((1.0 - self.unit()).ln() / ln_rest).floor();
            // A gap beyond all people ends it; the cast saturates.
            at = at.saturating_add(gap as u64).saturating_add(1);
            if at > people {
                return events;
            }
            events += 1;
        }
    }
}

#[test]
fn events_have_the_mean_and_spread_of_a_binomial() {
    let mut dice = Dice(7);
    for (people, chance) in [(100, 0.02), (50, 0.5), (80, 0.9)] {
        let draws: Vec<f64> = (0..20_000)
            .map(|_| dice.events(people, chance) as f64)
            .collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        let expected = people as f64 * chance;
        assert!((mean / expected - 1.0).abs() < 0.02, "{mean} {expected}");
        let expected = expected * (1.0 - chance);
        assert!(
            (variance / expected - 1.0).abs() < 0.05,
            "{variance} {expected}"
        );
    }
}
