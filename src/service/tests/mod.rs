//! Tests of whole use cases, on both engines.

mod abuse;
mod abuse_tokens;
mod findings;
mod flow;
mod kills;
mod properties;
mod queries;
mod races;
pub(crate) mod replay;
mod rules_evidence;
mod rules_floors;
mod rules_formats;
mod rules_gaps;
mod rules_gates;
mod rules_people;
mod rules_rollback;
mod rules_single;
mod rules_tokens;
pub(crate) mod scene;
mod search;
