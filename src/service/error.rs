//! What a use case answers when it can't do what was asked.

use crate::domain::refusal::Refusal;
use crate::domain::ticket::FieldFault;
use crate::store::StoreError;

/// A use case failed or was refused. `web` and `api` each map it once.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A rule refuses it.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// Fields that don't keep their rules.
    #[error("{}", faults.first().map_or("The input is not valid.", |f| f.message.as_str()))]
    Invalid { faults: Vec<FieldFault> },
    /// There is no such thing, or the reader may not know of it.
    #[error("There is no such {0}.")]
    NotFound(&'static str),
    /// It is not possible in the present state; `code` is stable.
    #[error("{message}")]
    Conflict { code: &'static str, message: String },
    /// It was possible once.
    #[error("{message}")]
    Gone { code: &'static str, message: String },
    /// A value that must match does not.
    #[error("{message}")]
    Mismatch { code: &'static str, message: String },
    /// Who is asking is not known; `code` tells a missing credential from an unknown apply token.
    #[error("{message}")]
    Unauthenticated { code: &'static str, message: String },
    #[error("The upload is larger than {limit} bytes.")]
    TooLarge { limit: u64 },
    #[error("Too many attempts. Try again in {seconds} s.")]
    Throttled { seconds: u64 },
    /// The clock runs behind what the log already holds: no window can be trusted until it is right again.
    #[error(
        "The server's clock is behind its own audit log; nothing was recorded. Whoever runs the portal has to set it right."
    )]
    ClockBehind,
    /// Trying again in a moment can help.
    #[error("The portal is busy; nothing was recorded. Try again in a moment.")]
    Busy,
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// A fault of the portal itself; the text is for the log, never for people.
    #[error("internal: {0}")]
    Internal(String),
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        if error.is_transient() { Self::Busy } else { Self::Store(error) }
    }
}

impl From<serde_json::Error> for ServiceError {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl ServiceError {
    /// One field that does not keep its rule.
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { faults: vec![FieldFault { field, message: message.into() }] }
    }

    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }
}
