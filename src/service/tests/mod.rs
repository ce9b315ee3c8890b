//! Tests of whole use cases, on both engines.

mod flow;
mod queries;
pub(crate) mod replay;
pub(crate) mod scene;
