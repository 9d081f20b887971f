//! What one answer costs, by strategy and filter.
//!
//! `cargo bench -p hotshelf-model --bench recommend [-- --json]`: whole answers of 10 products, one
//! query at a time on one thread, over 20,000 products of 64 factors and TF-IDF texts. Popular
//! products occur far more often than others (skewed norms) or all equally often (even norms).
//! Users have 50 products each. `neighbours` is the share of content rankings that the stored lists
//! proved; the rows are those scored by index, lists or scan.

#![allow(clippy::print_stdout)] // A bench prints to standard output.

use std::{hint::black_box, num::NonZeroUsize, time::Instant};

use hotshelf_model::{
    AlsParams, Basis, CpuPath, Filter, FitParams, InteractionsBuilder, Model, PerSide, ProductInfo,
    Query, Retrieval, RetrievalPlan, ScoringParams, Scratch, SidesParams, SimilarQuery, Strategy,
    Trace, UserRow, fit,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde_json::json;

const PRODUCTS: usize = 20_000;
const USERS: usize = 4_000;
const SEEN: usize = 50;
const QUERIES: usize = 256;
/// Timed rounds over all queries; the median counts.
const ROUNDS: usize = 9;
const CATEGORIES: usize = 40;
/// Words of one category, and words that any product may have.
const OWN_WORDS: usize = 30;
const SHARED_WORDS: usize = 400;

struct Random(ChaCha8Rng);

impl Random {
    fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }

    /// Below `count`; the higher the power, the more often low numbers.
    fn below(&mut self, count: usize, power: i32) -> usize {
        (self.unit().powi(power) * count as f64) as usize
    }
}

fn product_id(number: usize) -> String {
    format!("product-{number:05}")
}

fn catalogue(random: &mut Random) -> Vec<ProductInfo> {
    let info = |number| {
        let category = number % CATEGORIES;
        let own = (0..3).map(|_| format!("own{category}x{}", random.below(OWN_WORDS, 2)));
        let mut words: Vec<String> = own.collect();
        words.extend((0..5).map(|_| format!("shared{}", random.below(SHARED_WORDS, 2))));
        ProductInfo {
            id: product_id(number),
            name: Some(words.join(" ")),
            category: Some(format!("category{category}")),
            brand: Some(format!("brand{}", random.below(2_000, 2))),
            price: Some((random.unit() * 100.0) as f32),
            ..ProductInfo::default()
        }
    };
    (0..PRODUCTS).map(info).collect()
}

fn model(norms: &str) -> Model {
    let mut random = Random(ChaCha8Rng::seed_from_u64(7));
    let catalogue = catalogue(&mut random);
    let power = if norms == "skewed" { 3 } else { 1 };
    let mut events = InteractionsBuilder::new();
    for user in 0..USERS {
        for at in 0..SEEN {
            let product = random.below(PRODUCTS / CATEGORIES, power) * CATEGORIES;
            // Half of what someone has is of their own category.
            let category = if at % 2 == 0 {
                user % CATEGORIES
            } else {
                random.below(CATEGORIES, 1)
            };
            events.add(
                &format!("user-{user}"),
                &product_id(product + category),
                1.0,
                at as i64,
            );
        }
    }
    let als = AlsParams {
        factors: 64,
        iterations: 4,
        ..AlsParams::default()
    };
    let params = FitParams {
        als,
        sides: SidesParams::all(),
        scoring: ScoringParams {
            weights: Some(PerSide::from_fn(|_| 0.5)),
            ..ScoringParams::default()
        },
        ..FitParams::default()
    };
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    fit(&events.build(), &catalogue, &params, threads, &mut |_| {}).expect("the data is sound")
}

/// One kind of query.
struct Case {
    name: &'static str,
    strategy: Strategy,
    /// Asked as an unknown user with the known user's last five products.
    is_visitor: bool,
    include_seen: bool,
    categories: Vec<String>,
    brands: Vec<String>,
    price_max: Option<f64>,
}

fn case(name: &'static str, strategy: Strategy) -> Case {
    Case {
        name,
        strategy,
        is_visitor: false,
        include_seen: false,
        categories: Vec::new(),
        brands: Vec::new(),
        price_max: None,
    }
}

fn cases() -> Vec<Case> {
    let visitor = |name, strategy| Case {
        is_visitor: true,
        ..case(name, strategy)
    };
    let mut cases = vec![
        case("collaborative", Strategy::Collaborative),
        case("content", Strategy::Content),
        case("hybrid", Strategy::Hybrid),
        case("four sides", Strategy::Blended),
        Case {
            include_seen: true,
            ..case("five sides", Strategy::Blended)
        },
        visitor("fold-in", Strategy::Collaborative),
        visitor("fold-in hybrid", Strategy::Hybrid),
    ];
    let filters: [(&str, usize, usize, Option<f64>); 6] = [
        ("price: half", 0, 0, Some(50.0)),
        ("10 categories: a quarter", 10, 0, None),
        ("price: 10 %", 0, 0, Some(10.0)),
        ("2 categories: 5 %", 2, 0, None),
        ("price: 1 %", 0, 0, Some(1.0)),
        ("rare brand: 0.03 %", 0, 1, None),
    ];
    for (name, categories, brands, price_max) in filters {
        for strategy in [Strategy::Collaborative, Strategy::Content, Strategy::Hybrid] {
            cases.push(Case {
                categories: (0..categories).map(|c| format!("category{c}")).collect(),
                brands: (0..brands).map(|b| format!("brand{}", 1_500 + b)).collect(),
                price_max,
                ..case(name, strategy)
            });
        }
    }
    cases
}

/// Cost of one kind of query.
#[derive(Default)]
struct Cost {
    us: f64,
    by_factors: usize,
    by_content: usize,
    proven: usize,
}

impl Cost {
    fn count(&mut self, trace: Trace) {
        let scored = |side: Option<Retrieval>| side.map_or(0, |side| side.scored);
        self.by_factors += scored(trace.collaborative);
        self.by_content += scored(trace.content);
        let plan = trace.content.map(|side| side.plan);
        self.proven += usize::from(plan == Some(RetrievalPlan::Neighbours));
    }
}

/// Mean over the queries of each query's median time over the rounds, in µs. Queries are timed one
/// by one, so that an interruption falls on one of them only.
fn timed(mut ask: impl FnMut(usize)) -> f64 {
    let mut times = vec![[0.0; ROUNDS]; QUERIES];
    for round in 0..ROUNDS {
        for (number, times) in times.iter_mut().enumerate() {
            let start = Instant::now();
            ask(number);
            times[round] = start.elapsed().as_secs_f64() * 1e6;
        }
    }
    let medians = times.iter_mut().map(|times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    });
    medians.sum::<f64>() / QUERIES as f64
}

fn measure(model: &Model, case: &Case) -> Cost {
    let ids: Vec<(String, Vec<String>)> = (0..QUERIES)
        .map(|number| {
            let user = UserRow((number * 15) as u32);
            let recents = model.history().recent(user).take(5);
            let recents = recents.map(|product| model.products().id(product).to_owned());
            (model.users().id(user).to_owned(), recents.collect())
        })
        .collect();
    let query = |number: usize| {
        let (user_id, recents) = &ids[number];
        Query {
            user_id: if case.is_visitor { "" } else { user_id },
            strategy: case.strategy,
            include_seen: case.include_seen,
            recent_product_ids: if case.is_visitor { recents } else { &[] },
            filter: Filter {
                categories: &case.categories,
                brands: &case.brands,
                price_max: case.price_max,
                ..Filter::default()
            },
            ..Query::default()
        }
    };
    let mut scratch = Scratch::default();
    let mut cost = Cost::default();
    for number in 0..QUERIES {
        let answer = model.recommend(&query(number), &mut scratch);
        cost.count(answer.expect("the model has content").trace);
    }
    cost.us = timed(|number| {
        let query = query(number);
        let answer = model.recommend(black_box(&query), &mut scratch);
        black_box(answer.expect("the model has content"));
    });
    cost
}

fn similar(model: &Model, basis: Basis) -> Cost {
    let mut scratch = Scratch::default();
    let ids: Vec<String> = (0..QUERIES).map(|number| product_id(number * 70)).collect();
    let mut cost = Cost::default();
    let mut ask = |number: usize| {
        let query = SimilarQuery {
            product_id: &ids[number],
            n: 10,
            basis: Some(basis),
            filter: Filter::default(),
            exclude_product_ids: &[],
        };
        let answer = model.similar(black_box(&query), &mut scratch);
        black_box(answer.expect("the model knows its products")).retrieval
    };
    for number in 0..QUERIES {
        let retrieval = ask(number);
        cost.count(match basis {
            Basis::Content => Trace {
                content: retrieval,
                ..Trace::default()
            },
            Basis::Collaborative => Trace {
                collaborative: retrieval,
                ..Trace::default()
            },
            Basis::Sequence => Trace::default(),
        });
    }
    cost.us = timed(|number| {
        ask(number);
    });
    cost
}

fn main() {
    let as_json = std::env::args().any(|argument| argument == "--json");
    let mut rows = Vec::new();
    for norms in ["skewed", "even"] {
        let model = model(norms);
        let mut costs: Vec<(&str, &str, Cost)> = cases()
            .iter()
            .map(|case| (case.name, case.strategy.as_str(), measure(&model, case)))
            .collect();
        costs.push(("similar", "content", similar(&model, Basis::Content)));
        costs.push((
            "similar",
            "collaborative",
            similar(&model, Basis::Collaborative),
        ));
        costs.push(("similar", "sequence", similar(&model, Basis::Sequence)));
        rows.extend(costs.iter().map(|(name, strategy, cost)| {
            let each = |count: usize| count as f64 / QUERIES as f64;
            json!({
                "norms": norms, "question": name, "strategy": strategy, "us_per_query": cost.us,
                "rows_by_factors": each(cost.by_factors), "rows_by_content": each(cost.by_content),
                "neighbours_share": each(cost.proven), "products": PRODUCTS, "seen": SEEN,
                "groups": model.content().map_or(0, |content| content.embeddings().rows()),
                "cpu": cpu(), "path": CpuPath::detected().as_str(), "threads": 1,
                "median_of": ROUNDS, "queries": QUERIES,
            })
        }));
    }
    if as_json {
        println!("{}", serde_json::Value::from(rows));
        return;
    }
    println!(
        "{}, 1 thread, {}, {PRODUCTS} products, {SEEN} seen, answers of 10, medians of {ROUNDS} \
         rounds of {QUERIES} queries\n",
        cpu(),
        CpuPath::detected().as_str()
    );
    println!("| norms | question | strategy | µs | rows by factors | by content | neighbours |");
    println!("|---|---|---|---:|---:|---:|---:|");
    for row in &rows {
        let text = |name: &str| row[name].as_str().unwrap_or("").to_owned();
        let number = |name: &str| row[name].as_f64().unwrap_or(0.0);
        println!(
            "| {} | {} | {} | {:.1} | {:.0} | {:.0} | {:.0} % |",
            text("norms"),
            text("question"),
            text("strategy"),
            number("us_per_query"),
            number("rows_by_factors"),
            number("rows_by_content"),
            number("neighbours_share") * 100.0,
        );
    }
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}
