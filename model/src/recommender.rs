//! The model as a whole, and how a query becomes an answer.

use crate::{
    als::Als,
    history::History,
    products::Products,
    query::{Answer, Query, QueryError},
    users::Users,
};

/// One fitted or decoded model: immutable, shared between threads, without interior state.
#[derive(Debug)]
pub struct Model {
    pub(crate) users: Users,
    pub(crate) products: Products,
    pub(crate) als: Als,
    pub(crate) history: History,
}

/// Working memory of one caller, reusable across queries and models; it grows once.
#[derive(Debug, Default)]
pub struct Scratch {}

impl Model {
    /// Answers a query.
    ///
    /// # Errors
    /// [`QueryError::NeedsContent`] for [`crate::Strategy::Content`] of a model without content
    /// parts.
    pub fn recommend(
        &self,
        query: &Query<'_>,
        scratch: &mut Scratch,
    ) -> Result<Answer<'_>, QueryError> {
        let _ = (query, scratch);
        todo!()
    }

    /// The users.
    #[must_use]
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// The products.
    #[must_use]
    pub fn products(&self) -> &Products {
        &self.products
    }

    /// The ALS factors.
    #[must_use]
    pub fn als(&self) -> &Als {
        &self.als
    }

    /// What each user has interacted with.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Bytes that live as long as the model does.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.users.bytes() + self.products.bytes() + self.als.bytes() + self.history.bytes()
    }
}
