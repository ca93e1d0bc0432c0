//! `barewire schema`: what records look like, for programs, search engines and people.

use super::Failure;
use crate::ops::console;
use crate::output::SCHEMA;
use crate::output::derived::{self, Engine};
use clap::{Args, ValueEnum};

/// What is to be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// JSON Schema (2020-12).
    JsonSchema,
    /// Index template for Elasticsearch 8: data streams logs-barewire.*-*.
    Template,
    /// Index template for OpenSearch 2: indices barewire-*.
    TemplateOpensearch,
    /// Life cycle for Elasticsearch 8, which the template names: to be loaded before it.
    Lifecycle,
    /// Life cycle for OpenSearch 2: indices barewire-{kind}-{month}.
    LifecycleOpensearch,
    /// All fields with their types and meanings, in Markdown.
    Fields,
}

/// Print the JSON Schema of the records, or what is made from it.
#[derive(Args)]
pub(super) struct SchemaOf {
    /// What to print.
    #[arg(value_enum, default_value = "json-schema")]
    what: What,
}

impl SchemaOf {
    pub(super) fn run(&self) -> Result<u8, Failure> {
        let text = match self.what {
            What::JsonSchema => SCHEMA.to_owned(),
            What::Template => derived::template(Engine::Elasticsearch),
            What::TemplateOpensearch => derived::template(Engine::OpenSearch),
            What::Lifecycle => derived::lifecycle(Engine::Elasticsearch),
            What::LifecycleOpensearch => derived::lifecycle(Engine::OpenSearch),
            What::Fields => derived::page(),
        };
        console::data(&text).map(|()| 0)
    }
}
