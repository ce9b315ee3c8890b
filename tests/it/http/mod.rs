//! The running portal, spoken to over HTTP.

mod administration;
mod errors;
mod forgery;
mod forms;
mod headers;
mod review_pages;
mod server;
mod sign_in;
mod stage_pages;
mod statements;
mod tickets;
