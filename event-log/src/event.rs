//! One event, as it lies on disk.

/// What a person did. Fields may be added with new tags; none is ever reused or changes its meaning.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Event {
    /// The caller's id; an id counts once.
    #[prost(string, tag = "1")]
    pub event_id: String,
    /// Who, if signed in.
    #[prost(string, optional, tag = "2")]
    pub user_id: Option<String>,
    /// Which visit.
    #[prost(string, optional, tag = "3")]
    pub session_id: Option<String>,
    /// The product; empty for an event about a person alone.
    #[prost(string, tag = "4")]
    pub product_id: String,
    /// view, click, add_to_cart, purchase, or the shop's own name.
    #[prost(string, tag = "5")]
    pub event_type: String,
    /// When it happened: microseconds since 1970, UTC.
    #[prost(int64, tag = "6")]
    pub occurred_at: i64,
    /// When a server accepted it: microseconds since 1970, UTC.
    #[prost(int64, tag = "7")]
    pub accepted_at: i64,
    /// Units.
    #[prost(double, optional, tag = "8")]
    pub quantity: Option<f64>,
    /// Value of the order line, in the shop's currency.
    #[prost(double, optional, tag = "9")]
    pub order_value: Option<f64>,
    /// The answer that it followed.
    #[prost(string, optional, tag = "10")]
    pub answer_id: Option<String>,
}
