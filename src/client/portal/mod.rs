//! The way to the portal: JSON over HTTP with an API token, retried where repeating can do no harm.

mod address;
mod answer;
mod connection;
pub mod shapes;

use std::io::{Read as _, Seek as _, SeekFrom};
use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Agent, Body, SendBody};

pub use address::segment;
pub use answer::{PortalError, Problem};
pub use connection::Connection;

use crate::secret::Secret;

/// The longest answer that is read: files are at most 10 MiB unless the operator raised that.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// Pauses before the second, third, … attempt.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(600),
    Duration::from_millis(1_500),
    Duration::from_secs(3),
];

/// A portal that answers under this address, spoken to as the owner of an API token.
#[derive(Debug)]
pub struct Portal {
    agent: Agent,
    /// Without a slash at its end.
    base: String,
    token: Secret<String>,
}

/// What is sent along.
#[derive(Clone, Copy)]
enum Sent<'a> {
    Nothing,
    Json(&'a [u8]),
    Bytes(&'a [u8]),
    File(&'a std::fs::File),
}

/// One call, ready to be made as often as it takes.
#[derive(Clone, Copy)]
struct Call<'a> {
    method: &'static str,
    path: &'a str,
    key: Option<&'a str>,
    sent: Sent<'a>,
    attempts: usize,
}

/// An answer that was no failure.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The portal had done it before and answered as then.
    pub replayed: bool,
    bytes: Vec<u8>,
}

impl Answer {
    /// # Errors
    /// When the answer is not what this release reads.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, PortalError> {
        serde_json::from_slice(&self.bytes).map_err(|error| PortalError::Unreadable(error.to_string()))
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Portal {
    /// Where people look at something: `/tickets/CHG-1`.
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The address without what differs from ticket to ticket: which portal this is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The API token, for whoever has to keep it out of a log.
    pub const fn token(&self) -> &Secret<String> {
        &self.token
    }

    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, PortalError> {
        self.download(path)?.read()
    }

    pub fn download(&self, path: &str) -> Result<Answer, PortalError> {
        self.call(Call { method: "GET", path, key: None, sent: Sent::Nothing, attempts: PAUSES.len() })
    }

    /// A POST under a key, so that a lost answer can be asked for again.
    pub fn post(&self, path: &str, body: &Value, key: &str) -> Result<Answer, PortalError> {
        let body = body.to_string();
        let sent = Sent::Json(body.as_bytes());
        self.call(Call { method: "POST", path, key: Some(key), sent, attempts: PAUSES.len() })
    }

    /// A POST that may be repeated as it is: it says something that is as true the second time.
    pub fn report(&self, path: &str, body: Option<&Value>, patient: bool) -> Result<Answer, PortalError> {
        let text = body.map(Value::to_string);
        let sent = text.as_ref().map_or(Sent::Nothing, |text| Sent::Json(text.as_bytes()));
        let attempts = if patient { PAUSES.len() } else { 0 };
        self.call(Call { method: "POST", path, key: None, sent, attempts })
    }

    /// Raw bytes that have their place, so that the same ones twice are kept once.
    pub fn append(&self, path: &str, bytes: &[u8]) -> Result<Answer, PortalError> {
        self.call(Call { method: "POST", path, key: None, sent: Sent::Bytes(bytes), attempts: 0 })
    }

    /// Streams a file. The portal keeps equal bytes once, so a repetition does no harm.
    pub fn upload(&self, path: &str, file: &std::fs::File) -> Result<Answer, PortalError> {
        self.call(Call { method: "PUT", path, key: None, sent: Sent::File(file), attempts: PAUSES.len() })
    }

    pub fn delete(&self, path: &str) -> Result<Answer, PortalError> {
        self.call(Call { method: "DELETE", path, key: None, sent: Sent::Nothing, attempts: PAUSES.len() })
    }

    fn call(&self, call: Call<'_>) -> Result<Answer, PortalError> {
        let mut failed = 0;
        loop {
            let error = match self.attempt(call) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if failed >= call.attempts || !error.passes() {
                return Err(error);
            }
            thread::sleep(error.pause().unwrap_or(PAUSES[failed.min(PAUSES.len() - 1)]));
            failed += 1;
        }
    }

    fn attempt(&self, call: Call<'_>) -> Result<Answer, PortalError> {
        let unsendable = |error: &dyn std::fmt::Display| PortalError::Unreadable(error.to_string());
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}/api/v1{}", self.base, call.path))
            .header("authorization", format!("Bearer {}", self.token.reveal()))
            .header("accept", "application/json, */*;q=0.5");
        if let Some(key) = call.key {
            request = request.header("idempotency-key", key);
        }
        let response = match call.sent {
            Sent::Nothing => self.agent.run(request.body(()).map_err(|e| unsendable(&e))?),
            Sent::Json(bytes) => {
                let request = request.header("content-type", "application/json");
                self.agent.run(request.body(bytes).map_err(|e| unsendable(&e))?)
            }
            Sent::Bytes(bytes) => {
                let request = request.header("content-type", "application/octet-stream");
                self.agent.run(request.body(bytes).map_err(|e| unsendable(&e))?)
            }
            Sent::File(mut file) => {
                let unread = |error: std::io::Error| PortalError::Local(error.to_string());
                file.seek(SeekFrom::Start(0)).map_err(unread)?;
                let length = file.metadata().map_err(unread)?.len();
                // Never more than was announced, should the file grow meanwhile.
                let mut reader = file.take(length);
                let request = request
                    .header("content-type", "application/octet-stream")
                    .header("content-length", length.to_string());
                let body = SendBody::from_reader(&mut reader);
                self.agent.run(request.body(body).map_err(|e| unsendable(&e))?)
            }
        };
        read(response.map_err(|error| PortalError::unreachable(&self.base, &error))?, &self.base)
    }
}

fn read(response: Response<Body>, base: &str) -> Result<Answer, PortalError> {
    let (parts, mut body) = response.into_parts();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let bytes = body
        .with_config()
        .limit(MOST_BYTES)
        .read_to_vec()
        .map_err(|error| PortalError::unreachable(base, &error))?;
    let status = parts.status.as_u16();
    if parts.status.is_success() {
        let replayed = header("idempotent-replayed") == Some("true");
        return Ok(Answer { status, replayed, bytes });
    }
    let after = header("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let json = header("content-type").is_some_and(|kind| kind.starts_with("application/problem+json"));
    match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) if json => Err(PortalError::Refused { problem: Box::new(problem), after }),
        Ok(_) | Err(_) => Err(PortalError::NotAPortal { status, base: base.to_owned(), after }),
    }
}
