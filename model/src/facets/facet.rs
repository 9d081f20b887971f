//! One text column as codes, and the products of each code.

use std::collections::HashMap;

use arrow_array::StringArray;

use crate::{
    Breathe,
    grouped::{Grouped, NO_GROUP},
    pace::{self, Pace},
};

/// Names sorted between two calls of `breathe` (chosen: some 100 µs of comparing texts).
const RUN_LEN: usize = 512;

/// Names of one column, numbered in bytewise order.
#[derive(Debug)]
pub(crate) struct Facet {
    names: StringArray,
    /// Code of each product, [`NO_GROUP`] without a name.
    codes: Vec<u32>,
    /// A product of each code: where the code's name is read.
    samples: Vec<u32>,
    /// Products of each code, most popular first.
    products: Grouped,
}

impl Facet {
    /// One pass with a hash table of distinct names, a sort of these, and two counting passes.
    pub(super) fn new(names: &StringArray, popular: &[u32], breathe: Breathe<'_>) -> Self {
        let (mut codes, first) = numbered(names, breathe);
        let by_name = pace::sorted(
            (0..first.len() as u32).collect(),
            RUN_LEN,
            |a, b| {
                let name = |number: &u32| names.value(first[*number as usize] as usize);
                name(a).cmp(name(b))
            },
            breathe,
        );
        let mut pace = Pace::new(breathe);
        let mut renumbered = vec![0; first.len()];
        for (code, number) in by_name.iter().enumerate() {
            renumbered[*number as usize] = code as u32;
        }
        for code in codes.iter_mut().filter(|code| **code != NO_GROUP) {
            *code = renumbered[*code as usize];
            pace.did(size_of::<u32>());
        }
        let popular = popular.iter().copied();
        let products = Grouped::of((&codes, first.len()), popular, breathe);
        Self {
            names: names.clone(),
            codes,
            samples: by_name
                .iter()
                .map(|number| first[*number as usize])
                .collect(),
            products,
        }
    }

    /// Number of distinct names.
    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }

    /// The code of a name; O(log names).
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let named = |row: &u32| self.names.value(*row as usize).cmp(name);
        let code = self.samples.binary_search_by(named).ok()?;
        Some(code as u32)
    }

    /// The code of a product.
    pub(crate) fn code(&self, row: u32) -> Option<u32> {
        let code = self.codes[row as usize];
        (code != NO_GROUP).then_some(code)
    }

    /// The products of a code, most popular first.
    pub(crate) fn products(&self, code: u32) -> &[u32] {
        self.products.rows(code)
    }

    /// Bytes held beside the column.
    pub(super) fn bytes(&self) -> usize {
        let columns = [&self.codes, &self.samples];
        let columns = columns.map(|column| size_of_val(&column[..]));
        columns.iter().sum::<usize>() + self.products.bytes()
    }
}

/// Numbers names by first occurrence: number of each row, and first row of each number.
fn numbered(names: &StringArray, breathe: Breathe<'_>) -> (Vec<u32>, Vec<u32>) {
    let mut pace = Pace::new(breathe);
    // Only looked up, never iterated.
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut first = Vec::new();
    let codes = names.iter().zip(0u32..).map(|(name, row)| {
        let Some(name) = name else {
            pace.did(size_of::<u32>());
            return NO_GROUP;
        };
        pace.did(name.len() + size_of::<u32>());
        *numbers.entry(name).or_insert_with(|| {
            first.push(row);
            first.len() as u32 - 1
        })
    });
    (codes.collect(), first)
}
