//! Calls to the live version: products similar to one, products bought together with one,
//! recommendations for a new visitor after three clicks, and the same with a price filter.

use super::stage::Stage;
use crate::grpc::client::{
    Client, FilterAsk, RecommendAsk, RecommendationList, SimilarAsk, SimilarList,
};
use hotshelf_model::Basis;
use std::fmt::Write as _;

/// Products in each list.
const SHOWN: u32 = 5;
/// Products that the visitor clicks on.
const CLICKS: usize = 3;

/// Makes the calls, from a list's first product on, and returns their text.
///
/// # Errors
/// A call failed, or a list is empty.
pub(super) async fn tour(
    data: &Client,
    stage: &Stage,
    from: &RecommendationList,
) -> anyhow::Result<String> {
    let mut told = String::new();
    let first = from.items.first();
    let Some(first) = first.map(|item| item.product_id.clone()) else {
        anyhow::bail!("{} got no products", from.user_id);
    };
    let ask = SimilarAsk {
        product_id: first,
        n: Some(SHOWN),
        ..SimilarAsk::default()
    };
    let similar = data.similar(ask).await?;
    anyhow::ensure!(similar.items.len() >= CLICKS, "nothing is similar");
    write_similar(&mut told, (stage, "Like"), &similar)?;
    let together = SimilarAsk {
        product_id: stage.what_leads_on(),
        n: Some(SHOWN),
        basis: Some(Basis::Sequence),
        ..SimilarAsk::default()
    };
    let together = data.similar(together).await?;
    anyhow::ensure!(!together.items.is_empty(), "nothing is bought together");
    write_similar(&mut told, (stage, "Bought together with"), &together)?;

    let clicked = similar.items.iter().take(CLICKS);
    let clicked: Vec<String> = clicked.map(|item| item.product_id.clone()).collect();
    writeln!(told, "\nA new visitor clicks on")?;
    for product in &clicked {
        writeln!(told, "      {}", stage.describe(product))?;
    }
    let visitor = RecommendAsk {
        n: Some(SHOWN),
        recent_product_ids: clicked,
        include_seen: Some(false),
        ..RecommendAsk::default()
    };
    let list = data.recommend(visitor.clone()).await?;
    anyhow::ensure!(!list.items.is_empty(), "a new visitor got no products");
    writeln!(told, "  and is shown at once:")?;
    told.push_str(&lines(stage, &list));

    let prices = similar.items.iter().filter_map(|item| item.price);
    let most = prices.fold(f32::INFINITY, f32::min);
    anyhow::ensure!(most.is_finite(), "no similar product has a price");
    writeln!(told, "\nThe same visitor, nothing above {most:.2}:")?;
    let filter = FilterAsk {
        price_max: Some(f64::from(most)),
        ..FilterAsk::default()
    };
    let list = data.recommend(RecommendAsk { filter, ..visitor }).await?;
    told.push_str(&lines(stage, &list));
    Ok(told)
}

/// A list with one line per product: rank, name, score and reason.
pub(super) fn lines(stage: &Stage, list: &RecommendationList) -> String {
    let line = |item: &crate::grpc::client::Recommendation| {
        format!(
            "  {:2}. {:54} {:7.4}  {}\n",
            item.rank,
            stage.describe(&item.product_id),
            item.score,
            item.reason
        )
    };
    list.items.iter().map(line).collect()
}

fn write_similar(
    told: &mut String,
    (stage, title): (&Stage, &str),
    list: &SimilarList,
) -> std::fmt::Result {
    writeln!(told, "\n{title} {}:", stage.describe(&list.product_id))?;
    for item in &list.items {
        let product = stage.describe(&item.product_id);
        writeln!(
            told,
            "  {:2}. {product:54} {:7.4}",
            item.rank, item.similarity_score
        )?;
    }
    Ok(())
}
