//! One file per page area: the struct a handler fills, and its template in `templates/pages/`.

pub mod decide;
pub mod entry;
pub mod run;
pub mod ticket;
pub mod tickets;
pub mod token;

#[cfg(test)]
mod sample;
