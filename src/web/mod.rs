//! Pages: thin handlers over the services, and everything that is seen.
//!
//! May use `service` and `domain`. May never enter: SQL, decisions about what is allowed, inline scripts
//! or styles. A handler takes a request apart with the extractors of [`session`], [`forms`] and [`extract`], calls a
//! service, fills a struct of [`view`] and answers with [`respond`]; what goes wrong is an [`error::Failure`].

mod account;
pub mod assets;
mod audit;
mod completion;
pub mod csrf;
mod entry;
pub mod error;
pub mod extract;
pub mod fields;
pub mod forms;
pub mod frame;
mod freezes;
mod incidents;
pub mod paths;
mod people;
mod policies;
pub mod present;
mod queue;
pub mod respond;
mod routes;
pub mod session;
pub mod site;
mod stage;
mod tickets;
pub mod upload;
pub mod view;

pub use error::{Failure, Page};
pub use routes::router;
pub use site::{Site, WebState};
