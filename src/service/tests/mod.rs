//! Tests of whole use cases, on both engines.

mod flow;
pub(crate) mod scene;
