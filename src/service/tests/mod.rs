//! Tests of whole use cases, on both engines.

mod flow;
pub(crate) mod replay;
mod rules_evidence;
mod rules_floors;
mod rules_people;
pub(crate) mod scene;
