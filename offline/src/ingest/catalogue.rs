//! Parses rows of the catalogue's files into products.

use std::collections::BTreeMap;

use super::attributes::AttributeColumns;
use super::row::{Column, Header, Reason, Row};
use super::table::{Outcome, RowSink};
use crate::attributes::{Attributes, TEXT_BYTES_MAX};
use crate::mapping::ProductFiles;

/// Products listed in files, by id.
pub(super) type Listed = BTreeMap<String, Attributes>;

pub(super) struct CatalogueSink<'m> {
    mapped: &'m ProductFiles,
    columns: Option<(Column, AttributeColumns<'m>)>,
    products: Listed,
    text_bytes: u64,
}

impl<'m> CatalogueSink<'m> {
    pub(super) fn new(mapped: &'m ProductFiles) -> Self {
        Self {
            mapped,
            columns: None,
            products: BTreeMap::new(),
            text_bytes: 0,
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
        self.text_bytes += id.len() as u64 + attributes.text_bytes();
        self.products.insert(id.to_owned(), attributes);
        Ok(Outcome::Kept)
    }

    fn reads_as_row(&self, row: &Row<'_>) -> bool {
        let Some((product_id, columns)) = &self.columns else {
            return false;
        };
        // Prose has blanks before its first comma; ids hardly ever have.
        let is_id = |id: &str| !id.contains(char::is_whitespace);
        row.fields.len() == row.names.len()
            && row.id(*product_id).is_ok_and(is_id)
            && columns.read(row).is_ok()
    }

    fn over_limit(&self) -> Option<String> {
        let over = self.text_bytes > TEXT_BYTES_MAX;
        over.then(|| format!("the ids and texts of products have more than {TEXT_BYTES_MAX} bytes"))
    }

    fn skip_reason(&self) -> Option<String> {
        None
    }
}
