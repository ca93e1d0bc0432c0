//! barewire: a passive sensor that audits cleartext mail credentials.
//!
//! The map of this house. The **core** is a pure function with memory: captured frames in, records out;
//! it owns no socket, file, thread or clock.
//!
//! * [`wire`]: frames to TCP segments.
//! * [`stream`]: segments to the octets of each direction, in causal order, with every gap told.
//! * [`mail`]: octets to what the two ends said to each other: capabilities, STARTTLS, logins.
//! * [`finding`]: what was said to what it means: findings, logins, sessions.
//! * [`secret`]: the one type that holds a password, and the keyed fingerprint that is all that leaves it.
//! * [`engine`]: the only door into the core. [`limits`]: every bound on one page.
//!
//! The **edges** are thin: [`capture`] (files and interfaces), [`pipeline`] (threads' food), [`output`] (the only place that
//! knows JSON, but for what receivers over HTTP answer), [`sink`] (receivers of records, each behind a spool), [`report`]
//! (records made into a page for people), [`ui`] (the page of a running sensor), [`archive`] (files between the steps of a
//! replay in pieces), [`evidence`] (packets without their secrets), [`ops`] (progress for people, metrics for machines, the
//! sandbox), [`cli`] (what was typed), and [`run`], which alone starts threads and reads clocks.
//!
//! Dependencies run downward only:
//! `cli -> run -> {capture, pipeline, report, ui, evidence, archive, output, sink, ops} -> engine -> finding -> mail -> stream -> wire`.

pub mod archive;
pub mod capture;
pub mod cli;
pub mod engine;
pub mod evidence;
pub mod finding;
pub mod limits;
pub mod mail;
pub mod ops;
pub mod output;
mod page;
pub mod pipeline;
pub mod report;
pub mod run;
pub mod secret;
pub mod sink;
pub mod stream;
#[doc(hidden)]
pub mod testing;
pub mod ui;
pub mod wire;
