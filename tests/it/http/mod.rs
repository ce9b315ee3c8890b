//! The running portal, spoken to over HTTP.

mod sign_in;
mod stage_pages;
