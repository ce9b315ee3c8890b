//! Tests of whole use cases, on both engines.

mod flow;
mod properties;
pub(crate) mod scene;
