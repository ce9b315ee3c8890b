//! One file per page area: the struct a handler fills, and its template in `templates/pages/`.

pub mod completion;
pub mod decide;
pub mod entry;
pub mod files;
pub mod run;
pub mod ticket;
pub mod ticket_form;
pub mod tickets;
pub mod token;

#[cfg(test)]
mod sample;
