//! Tests of whole use cases, on both engines.

mod flow;
pub(crate) mod replay;
pub(crate) mod scene;
