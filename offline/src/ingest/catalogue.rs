//! Parses rows of the catalogue's files into products, and merges both sources of attributes.

use std::collections::BTreeMap;

use hotshelf_model::ProductInfo;

use super::attributes::{AttributeColumns, AttributeCounts, Attributes};
use super::row::{Column, Header, Reason, Row};
use super::table::{Outcome, RowSink};
use crate::mapping::ProductFiles;
use crate::shop::Interner;

/// Products listed in files, by id.
pub(super) type Listed = BTreeMap<String, Attributes>;

pub(super) struct CatalogueSink<'m> {
    mapped: &'m ProductFiles,
    columns: Option<(Column, AttributeColumns<'m>)>,
    products: Listed,
}

impl<'m> CatalogueSink<'m> {
    pub(super) fn new(mapped: &'m ProductFiles) -> Self {
        Self {
            mapped,
            columns: None,
            products: BTreeMap::new(),
        }
    }

    pub(super) fn into_products(self) -> Listed {
        self.products
    }
}

impl RowSink for CatalogueSink<'_> {
    fn bind(&mut self, header: &mut Header) {
        let product_id = header.column(&self.mapped.product_id);
        self.columns = Some((
            product_id,
            AttributeColumns::bind(&self.mapped.columns, header),
        ));
    }

    fn accept(&mut self, row: &Row<'_>) -> Result<Outcome, Reason> {
        let Some((product_id, columns)) = &self.columns else {
            return Err("read before its header".to_owned());
        };
        let id = row.id(*product_id)?;
        let attributes = columns.read(row)?;
        if self.products.contains_key(id) {
            return Err(row.about(*product_id, &format!("is {id:?}, a product already listed")));
        }
        self.products.insert(id.to_owned(), attributes);
        Ok(Outcome::Kept)
    }

    fn skip_reason(&self) -> Option<String> {
        None
    }
}

/// All products in the order of their ids. An attribute from a file wins over one from the events.
pub(super) fn merge(
    listed: Listed,
    from_events: &AttributeCounts,
    with_events: &Interner,
) -> Vec<ProductInfo> {
    let mut merged = listed;
    for number in 0..with_events.len() as u32 {
        let observed = from_events.attributes(number);
        match merged.get_mut(with_events.text(number)) {
            Some(product) => fill(product, observed),
            None => {
                merged.insert(with_events.text(number).to_owned(), observed);
            }
        }
    }
    merged
        .into_iter()
        .map(|(id, attributes)| product(id, attributes))
        .collect()
}

fn fill(product: &mut Attributes, observed: Attributes) {
    for (text, observed) in product.texts.iter_mut().zip(observed.texts) {
        if text.is_empty() {
            *text = observed;
        }
    }
    product.price = product.price.or(observed.price);
}

fn product(id: String, attributes: Attributes) -> ProductInfo {
    let [name, category, brand, description] = attributes
        .texts
        .map(|text| Some(text).filter(|text| !text.is_empty()));
    ProductInfo {
        id,
        name,
        category,
        brand,
        description,
        price: attributes.price,
        embedding: None,
    }
}
