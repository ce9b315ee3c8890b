//! Pages: thin handlers over the services, and everything that is seen.
//!
//! May use `service` and `domain`. May never enter: SQL, decisions about what is allowed, inline scripts
//! or styles.

pub mod assets;
pub mod view;
