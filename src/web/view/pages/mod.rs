//! One file per page area: the struct a handler fills, and its template in `templates/pages/`.

pub mod entry;
pub mod ticket;

#[cfg(test)]
mod sample;
