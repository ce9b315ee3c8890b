//! The least of an HTTP client: one connection, one request at a time.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::Fallible;

/// A connection that is kept.
pub struct Client(BufReader<TcpStream>);

/// What came back.
pub struct Answer {
    pub status: u16,
    /// From asking to the first line of the answer.
    pub first_byte: Duration,
    pub body: Vec<u8>,
}

/// What is asked for.
pub struct Ask {
    /// With its query.
    pub path: String,
    pub cookie: String,
    /// Sent as a form, if there is one.
    pub form: Option<String>,
}

impl Ask {
    pub fn get(path: impl Into<String>, cookie: &str) -> Self {
        Self { path: path.into(), cookie: cookie.to_owned(), form: None }
    }

    fn text(&self) -> String {
        let Self { path, cookie, form } = self;
        let head = |verb| format!("{verb} {path} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n");
        match form {
            None => format!("{}\r\n", head("GET")),
            Some(form) => format!(
                "{}content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
                head("POST"),
                form.len()
            ),
        }
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Fallible<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(1 << 16, stream)))
    }

    pub fn ask(&mut self, ask: &Ask) -> Fallible<Answer> {
        let started = Instant::now();
        self.0.get_mut().write_all(ask.text().as_bytes())?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let first_byte = started.elapsed();
        let status = line.split(' ').nth(1).ok_or("no status")?.parse()?;
        let mut length = None;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.parse()?);
            }
        }
        let mut body = vec![0; length.ok_or("an answer without its length")?];
        self.0.read_exact(&mut body)?;
        Ok(Answer { status, first_byte, body })
    }
}
