//! One file per page area: the struct a handler fills, and its template in `templates/pages/`.

pub mod account;
pub mod audit;
pub mod completion;
pub mod decide;
pub mod entry;
pub mod error;
pub mod files;
pub mod incidents;
pub mod policies;
pub mod run;
pub mod ticket;
pub mod ticket_form;
pub mod tickets;
pub mod token;

#[cfg(test)]
pub(in crate::web) mod sample;
