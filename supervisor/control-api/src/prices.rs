//! What models cost.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The price table in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prices {
    /// The table's version, which stands beside each bill; null where there is no table.
    pub version: Option<String>,
    /// One row for each model, date and length of input.
    pub prices: Vec<PriceRow>,
}

/// What one model costs, in micro-dollars for a million tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PriceRow {
    /// The provider's name.
    pub provider: String,
    /// The model's name.
    pub model: String,
    /// The UTC day from which on it holds; null for ever.
    pub from: Option<String>,
    /// It holds for calls with more input tokens than this; null for all.
    pub above: Option<u64>,
    /// Input tokens.
    pub input: u64,
    /// Input tokens from the provider's cache; null means like `input`.
    pub cached: Option<u64>,
    /// Output tokens.
    pub output: u64,
    /// Output tokens of reasoning; null means like `output`.
    pub reasoning: Option<u64>,
    /// Where the price was read.
    pub source: String,
    /// The day on which it was read; null for what stands in the configuration.
    pub retrieved: Option<String>,
}
