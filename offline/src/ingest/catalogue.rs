//! Rows of the catalogue's files become products, and both sources of attributes become one list.

use std::collections::BTreeMap;

use hotshelf_model::ProductInfo;

use super::attributes::{AttributeColumns, Attributes, Tallies};
use super::row::{Column, Header, Reason, Row};
use super::table::{Taken, Taker};
use crate::mapping::ProductFiles;
use crate::shop::Names;

/// Products listed in files, by id.
pub(super) type Listed = BTreeMap<String, Attributes>;

pub(super) struct CatalogueTaker<'m> {
    mapped: &'m ProductFiles,
    columns: Option<(Column, AttributeColumns<'m>)>,
    products: Listed,
}

impl<'m> CatalogueTaker<'m> {
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

impl Taker for CatalogueTaker<'_> {
    fn bind(&mut self, header: &mut Header) {
        let product_id = header.column(&self.mapped.product_id);
        self.columns = Some((
            product_id,
            AttributeColumns::bind(&self.mapped.columns, header),
        ));
    }

    fn take(&mut self, row: &Row<'_>) -> Result<Taken, Reason> {
        let Some((product_id, columns)) = &self.columns else {
            return Err("read before its header".to_owned());
        };
        let id = row.id(*product_id)?;
        let attributes = columns.read(row)?;
        if self.products.contains_key(id) {
            return Err(row.about(*product_id, &format!("is {id:?}, a product already listed")));
        }
        self.products.insert(id.to_owned(), attributes);
        Ok(Taken::Kept)
    }

    fn left_out_because(&self) -> Option<String> {
        None
    }
}

/// All products in the order of their ids. Where a file and the events both name an attribute,
/// the file's word counts.
pub(super) fn merge(listed: Listed, tallies: &Tallies, sold: &Names) -> Vec<ProductInfo> {
    let mut merged = listed;
    for number in 0..sold.len() as u32 {
        let told = tallies.attributes(number);
        match merged.get_mut(sold.text(number)) {
            Some(product) => fill(product, told),
            None => {
                merged.insert(sold.text(number).to_owned(), told);
            }
        }
    }
    merged
        .into_iter()
        .map(|(id, attributes)| product(id, attributes))
        .collect()
}

fn fill(product: &mut Attributes, told: Attributes) {
    for (text, told) in product.texts.iter_mut().zip(told.texts) {
        if text.is_empty() {
            *text = told;
        }
    }
    product.price = product.price.or(told.price);
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
