//! Sampled users with their lists, and sampled products with their neighbours.

use maud::{Markup, html};

use super::{isolated, plain};
use crate::cli::report::{basis_text, interactions_text, product_cells, shares_text};
use crate::sample::{ProductSample, Sample, SampleProduct};

pub(super) fn users(samples: &[Sample]) -> Markup {
    html! {
        @if !samples.is_empty() {
            section {
                h2 { "People and their recommendations" }
                @for sample in samples { (user(sample)) }
            }
        }
    }
}

fn user(sample: &Sample) -> Markup {
    html! {
        article {
            h3 {
                "User " (isolated(&sample.user_id)) " "
                small { (isolated(&sample.segment)) ", " (sample.products) " products" }
            }
            (history(sample))
            table.stack.cards {
                caption {
                    "Recommendations, by " (sample.strategy)
                    @for fallback in &sample.fallbacks { ", " (fallback.replace('_', " ")) }
                }
                thead {
                    tr {
                        th.number scope="col" { "#" }
                        (product_heads())
                        th.number scope="col" { "Score" }
                        th scope="col" { "Shares" }
                        th scope="col" { "Reason" }
                    }
                }
                tbody {
                    @for item in &sample.recommended {
                        tr {
                            td.number data-label="#" { (item.rank) }
                            (product(&item.product))
                            td.number data-label="Score" { (format!("{:.4}", item.score)) }
                            td data-label="Shares" { (shares_text(&item.shares)) }
                            td data-label="Reason" { (item.reason.replace('_', " ")) }
                        }
                    }
                }
            }
        }
    }
}

fn history(sample: &Sample) -> Markup {
    html! {
        table.stack.cards {
            caption { "Most recent products" }
            thead {
                tr {
                    th scope="col" { "Last" }
                    th scope="col" { "Interactions" }
                    (product_heads())
                }
            }
            tbody {
                @for event in &sample.history {
                    tr {
                        td.date data-label="Last" { (event.date) }
                        td data-label="Interactions" { (plain(&interactions_text(&event.interactions))) }
                        (product(&event.product))
                    }
                }
            }
        }
    }
}

pub(super) fn products(samples: &[ProductSample]) -> Markup {
    html! {
        @if !samples.is_empty() {
            section {
                h2 { "Products and the most similar ones" }
                @for sample in samples { (neighbours(sample)) }
            }
        }
    }
}

fn neighbours(sample: &ProductSample) -> Markup {
    let [id, name, category, price] = product_cells(&sample.product);
    html! {
        article {
            h3 {
                (isolated(&name)) " "
                small {
                    (isolated(&id)) ", " (sample.band)
                    @if !category.is_empty() { ", " (isolated(&category)) }
                    @if !price.is_empty() { ", " (price) }
                }
            }
            @if !sample.notes.is_empty() { p.missing { (sample.notes.join(", ")) } }
            @if !sample.neighbours.is_empty() {
                table.stack.cards {
                    caption { "Most alike" (basis(sample)) }
                    thead {
                        tr {
                            th.number scope="col" { "#" }
                            (product_heads())
                            th.number scope="col" { "Cosine" }
                        }
                    }
                    tbody {
                        @for neighbour in &sample.neighbours {
                            tr {
                                td.number data-label="#" { (neighbour.rank) }
                                (product(&neighbour.product))
                                td.number data-label="Cosine" { (format!("{:.4}", neighbour.similarity)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn basis(sample: &ProductSample) -> String {
    let words = sample.basis.map(basis_text);
    words.map_or_else(String::new, |words| format!(", by {words}"))
}

fn product_heads() -> Markup {
    html! {
        th scope="col" { "Product" }
        th scope="col" { "Name" }
        th scope="col" { "Category" }
        th.number scope="col" { "Price" }
    }
}

fn product(shown: &SampleProduct) -> Markup {
    let [id, name, category, price] = product_cells(shown);
    html! {
        td data-label="Product" { (isolated(&id)) }
        td.name data-label="Name" { (isolated(&name)) }
        td data-label="Category" { @if !category.is_empty() { (isolated(&category)) } }
        td.number data-label="Price" { (price) }
    }
}
