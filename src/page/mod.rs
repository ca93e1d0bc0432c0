//! Pages for people by their parts: what stands on one ([`document`]), how it reads ([`words`], [`text`]) and what it is
//! in HTML ([`html`]). Which parts there are is decided by whoever makes a page: a report, or the page of a running sensor.

pub(crate) mod document;
pub(crate) mod html;
mod svg;
pub(crate) mod text;
pub(crate) mod words;
