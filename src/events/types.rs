//! Types of events: four that every shop has, and the shop's own.

/// What a person did with a product.
const USUAL: [&str; 4] = ["view", "click", "add_to_cart", PURCHASE];
/// The one type after which a person has the product.
pub(super) const PURCHASE: &str = "purchase";
/// Own types of a shop (chosen: each has a series of its own).
const OWN_MAX: usize = 32;
/// Longest type, in bytes.
const TYPE_BYTES_MAX: usize = 63;

/// The types that a server accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTypes {
    /// The usual ones first.
    names: Vec<String>,
}

impl EventTypes {
    /// The usual ones, and those listed in `own`, separated by commas.
    ///
    /// # Errors
    /// What is wrong with the list.
    pub fn parse(own: &str) -> Result<Self, String> {
        let mut names: Vec<String> = USUAL.map(str::to_owned).to_vec();
        let listed = own.split(',').map(str::trim);
        for name in listed.filter(|_| !own.is_empty()) {
            let is_name = (1..=TYPE_BYTES_MAX).contains(&name.len())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if !is_name {
                return Err(format!(
                    "is not a list of event types: {name:?} is not 1 to {TYPE_BYTES_MAX} characters of a-z, 0-9 and '_'"
                ));
            }
            if names.iter().any(|known| known == name) {
                return Err(format!(
                    "lists the event type {name:?} twice, or it is a usual one"
                ));
            }
            names.push(name.to_owned());
        }
        if names.len() > USUAL.len() + OWN_MAX {
            return Err(format!("lists more than {OWN_MAX} event types"));
        }
        Ok(Self { names })
    }

    /// Position among all types.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// Whether events of this type have a product: the usual ones do.
    pub(super) fn needs_product(name: &str) -> bool {
        USUAL.contains(&name)
    }

    /// All names.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_types_come_beside_the_usual_ones() {
        let types = EventTypes::parse("wish_list, search").unwrap();
        for known in ["view", "purchase", "wish_list", "search"] {
            assert!(types.position(known).is_some(), "{known}");
        }
        assert_eq!(types.position("like"), None);
        assert_eq!(EventTypes::parse("").unwrap().names().len(), 4);
    }

    #[test]
    fn list_that_is_none_is_refused_with_the_name() {
        for (own, named) in [
            ("Wish", "\"Wish\""),
            ("a,,b", "\"\""),
            ("view", "\"view\""),
            ("a,a", "\"a\""),
            ("wish list", "\"wish list\""),
        ] {
            let refused = EventTypes::parse(own).unwrap_err();
            assert!(refused.contains(named), "{own}: {refused}");
        }
        let many: Vec<_> = (0..33).map(|n| format!("t{n}")).collect();
        assert!(EventTypes::parse(&many.join(",")).is_err());
    }
}
