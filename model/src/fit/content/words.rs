//! Words of a text.
//!
//! The rule is what scikit-learn's users are used to: lower case, then every run of at least two
//! letters, digits or underscores, without English stop words. Nothing is stemmed and accents
//! stay, because a product's name is not prose: `mug` and `mugs` are told apart, and so are
//! `resume` and `résumé`.

use std::collections::HashSet;

/// Shortest word in characters; a lone letter or digit says too little.
const CHARS_MIN: usize = 2;

/// Splits texts into words.
pub(super) struct Words {
    stop: HashSet<&'static str>,
}

impl Words {
    /// With the English stop words of NLTK. They are split as texts are, so that `don't` stops
    /// both `don` and `t`.
    pub(super) fn english() -> Self {
        let listed = stop_words::lookup("en").unwrap_or_default();
        let stop = listed.iter().flat_map(|word| runs(word)).collect();
        Self { stop }
    }

    /// Calls `found` with every word of `text` in its order.
    pub(super) fn each(&self, text: &str, mut found: impl FnMut(&str)) {
        let lower = text.to_lowercase();
        runs(&lower)
            .filter(|word| !self.stop.contains(word))
            .for_each(&mut found);
    }
}

fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|run| run.chars().nth(CHARS_MIN - 1).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        Words::english().each(text, |word| words.push(word.to_owned()));
        words
    }

    #[test]
    fn words_are_lower_case_runs_of_two_characters_or_more() {
        let text = "ICE - CRUSHED/CUBED, 22 LB (a 5 l) tea_pot CAFÉ №7 № 12 ÆØ";
        let expected = [
            "ice", "crushed", "cubed", "22", "lb", "tea_pot", "café", "12", "æø",
        ];
        assert_eq!(words(text), expected);
    }

    #[test]
    fn stop_words_go_in_any_case_and_with_their_apostrophes() {
        assert_eq!(
            words("The mug you DON'T need, and it's not for him"),
            ["mug", "need"]
        );
        assert_eq!(words(""), [""; 0]);
        assert_eq!(words("of the a I"), [""; 0]);
    }
}
