//! The shop's products: what people see of them, and what decides who likes them.

use std::collections::BTreeSet;

use super::dice::{Dice, Stream, exp, running_sums};
use super::vocabulary::{DEPARTMENTS, Department, SERVICE, entries};
use super::{ShopProduct, ShopSpec};

/// Axes of style that products lie on and people have a liking along.
pub(super) const STYLE_AXES: usize = 3;
pub(super) type Style = [f64; STYLE_AXES];

/// Share of products that were on sale before the first day; the others arrive as time goes by.
const STOCKED_AT_START: f64 = 0.85;
/// Spread of the logarithm of appeal: the best-known tenth draws about half of all attention.
const APPEAL_SPREAD: f64 = 1.15;

/// What a product is, beyond what it says of itself.
pub(super) struct Traits {
    pub(super) kind: usize,
    /// Row in [`Catalogue::brands`].
    pub(super) brand: usize,
    /// How dear it is within its department, in standard deviations of the logarithm.
    pub(super) price_level: f64,
    pub(super) style: Style,
    /// How much attention it draws from anybody.
    pub(super) appeal: f64,
}

/// The catalogue with its hidden side.
pub(super) struct Catalogue {
    pub(super) products: Vec<ShopProduct>,
    /// One for each product.
    pub(super) traits: Vec<Traits>,
    /// Product rows of each department.
    pub(super) shelves: Vec<Vec<usize>>,
}

/// All brands, sorted; a brand may be sold in several departments.
pub(super) fn brands() -> Vec<&'static str> {
    let all: BTreeSet<&str> = DEPARTMENTS.iter().flat_map(|d| entries(d.brands)).collect();
    all.into_iter().collect()
}

/// What the shop decided before it bought the first product.
struct Range {
    brands: Vec<&'static str>,
    /// How dear and how well known each brand is, as factors around 1.
    tiers: Vec<f64>,
    fame: Vec<f64>,
    lines: Vec<Line>,
}

/// How the kinds and makes of one department differ.
struct Line {
    kinds: Vec<&'static str>,
    makes: Vec<&'static str>,
    kind_price: Vec<f64>,
    make_style: Vec<Style>,
}

/// Where a product is being chosen.
#[derive(Clone, Copy)]
struct Aisle<'a> {
    department: &'static Department,
    line: &'a Line,
    range: &'a Range,
}

impl Range {
    fn decide(seed: u64) -> Self {
        let mut dice = Dice::new(seed, Stream::Brands);
        let brands = brands();
        let tiers = brands.iter().map(|_| dice.log_normal(0.2)).collect();
        let fame = brands.iter().map(|_| dice.log_normal(0.4)).collect();
        let lines = DEPARTMENTS
            .iter()
            .map(|department| Line::decide(department, &mut dice));
        let lines = lines.collect();
        Self {
            brands,
            tiers,
            fame,
            lines,
        }
    }
}

impl Line {
    fn decide(department: &Department, dice: &mut Dice) -> Self {
        let (kinds, makes) = (entries(department.kinds), entries(department.makes));
        let kind_price = kinds.iter().map(|_| dice.log_normal(0.35)).collect();
        let make_style = makes
            .iter()
            .map(|_| style(dice, [0.0; STYLE_AXES], 0.9))
            .collect();
        Self {
            kinds,
            makes,
            kind_price,
            make_style,
        }
    }
}

fn style(dice: &mut Dice, around: Style, spread: f64) -> Style {
    around.map(|at| at + spread * dice.normal())
}

/// Fills the shelves. The first products are the same however many there are.
pub(super) fn stock(spec: &ShopSpec) -> Catalogue {
    let range = Range::decide(spec.seed);
    let departments = running_sums(DEPARTMENTS.iter().map(|d| d.share));
    let mut catalogue = Catalogue {
        products: Vec::with_capacity(spec.products),
        traits: Vec::with_capacity(spec.products),
        shelves: vec![Vec::new(); DEPARTMENTS.len()],
    };
    let mut names = BTreeSet::new();
    for row in 0..spec.products {
        let mut dice = Dice::new(spec.seed, Stream::Product(row));
        let shelf = dice.weighted(&departments);
        let aisle = Aisle {
            department: &DEPARTMENTS[shelf],
            line: &range.lines[shelf],
            range: &range,
        };
        let sketch = Sketch::draw(aisle, &mut names, &mut dice);
        let (product, traits) = sketch.finish(spec, row, aisle, &mut dice);
        catalogue.products.push(product);
        catalogue.traits.push(traits);
        catalogue.shelves[shelf].push(row);
    }
    catalogue
}

/// The choices that make up a product's name.
struct Sketch {
    kind: usize,
    make: usize,
    brand: usize,
    variant: Option<&'static str>,
    name: String,
}

impl Sketch {
    /// A name that the shop does not have yet; after 50 tries (a shop of many thousands), any.
    fn draw(aisle: Aisle<'_>, names: &mut BTreeSet<String>, dice: &mut Dice) -> Self {
        let Aisle {
            department,
            line,
            range,
        } = aisle;
        let (brands, variants) = (entries(department.brands), entries(department.variants));
        let mut tries = 0;
        loop {
            let (kind, make) = (dice.below(line.kinds.len()), dice.below(line.makes.len()));
            let brand = dice.pick(&brands);
            let variant = dice.chance(0.6).then(|| dice.pick(&variants));
            let mut name = format!("{brand} {} {}", line.makes[make], line.kinds[kind]);
            if let Some(variant) = variant {
                name.push_str(", ");
                name.push_str(variant);
            }
            tries += 1;
            if names.insert(name.clone()) || tries == 50 {
                let brand = range.brands.partition_point(|&other| other < brand);
                return Self {
                    kind,
                    make,
                    brand,
                    variant,
                    name,
                };
            }
        }
    }

    fn finish(
        self,
        spec: &ShopSpec,
        row: usize,
        aisle: Aisle<'_>,
        dice: &mut Dice,
    ) -> (ShopProduct, Traits) {
        let Aisle {
            department,
            line,
            range,
        } = aisle;
        let own_price = dice.normal();
        let exact = department.price_median
            * range.tiers[self.brand]
            * line.kind_price[self.kind]
            * exp(department.price_spread * own_price);
        let traits = Traits {
            kind: self.kind,
            brand: self.brand,
            price_level: own_price,
            style: style(dice, line.make_style[self.make], 0.5),
            appeal: dice.log_normal(APPEAL_SPREAD) * range.fame[self.brand],
        };
        let description = self.describe(aisle, dice);
        let span = (spec.end - spec.start()) as f64;
        let since_start = if dice.chance(STOCKED_AT_START) {
            // Within the two years before.
            -dice.between(0.0, 2.0 * 365.25 * 86_400.0)
        } else {
            dice.between(0.0, span)
        };
        let product = ShopProduct {
            id: format!("p{row:05}"),
            name: self.name,
            category: department.name,
            brand: range.brands[self.brand],
            description,
            price: price_tag(exact),
            on_sale_from_s: spec.start() + since_start as i64,
        };
        (product, traits)
    }

    /// Two or three sentences; nothing for one product in twenty-five.
    fn describe(&self, aisle: Aisle<'_>, dice: &mut Dice) -> Option<String> {
        let Aisle {
            department,
            line,
            range,
        } = aisle;
        if dice.chance(0.04) {
            return None;
        }
        let sentences = entries(department.sentences);
        let first = dice.below(sentences.len());
        // Another one than the first.
        let second = (first + 1 + dice.below(sentences.len() - 1)) % sentences.len();
        let kind = line.kinds[self.kind].to_lowercase();
        let (make, brand) = (line.makes[self.make], range.brands[self.brand]);
        let mut text = format!("{make} {kind} from {brand}");
        if let Some(variant) = self.variant {
            text.push_str(&format!(" ({})", variant.to_lowercase()));
        }
        text.push_str(&format!(". {} {}", sentences[first], sentences[second]));
        if dice.chance(0.4) {
            text.push(' ');
            text.push_str(dice.pick(&entries(SERVICE)));
        }
        Some(text)
    }
}

/// A price as shops write them: 4.50, 19.95, 149.00.
fn price_tag(exact: f64) -> f32 {
    let whole = exact.floor();
    let tag = match whole {
        ..2.0 => 1.95,
        ..10.0 => whole + if exact - whole < 0.5 { 0.5 } else { 0.95 },
        ..100.0 => whole + 0.95,
        _ => (whole / 5.0).floor() * 5.0 + 4.0,
    };
    tag as f32
}
