//! What a line may hold, as a JSON Schema that dashboards, rules and index mappings are held against.

/// JSON Schema (2020-12) of the three kinds of records. Fields may be added; none ever changes its type or meaning.
pub const SCHEMA: &str = include_str!("../../schema/barewire.v1.json");
