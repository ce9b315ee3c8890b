//! A network with troubles: it stands before a portal and passes everything on, but for one call.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// What becomes of the call.
#[derive(Clone, Copy)]
enum Trouble {
    /// It never comes to the portal, and is never answered.
    Swallowed,
    /// The first time, its answer waits until it is let go.
    Held,
    /// Somebody says this in the portal's place.
    Refused(&'static str),
    /// The first time, its answer gets lost; the second time, somebody says this in the portal's place.
    Lost { then: Option<&'static str> },
}

/// Stands between a client and a portal.
#[derive(Clone)]
pub struct Between {
    pub base: String,
    upstream: String,
    path: &'static str,
    trouble: Trouble,
    calls: Arc<AtomicUsize>,
    asked: Arc<AtomicBool>,
    open: Arc<AtomicBool>,
}

impl Between {
    /// Calls of this path never come to the portal.
    pub fn swallowing(portal: &str, path: &'static str) -> Self {
        Self::start(portal, path, Trouble::Swallowed)
    }

    /// The answer to the first call of this path waits.
    pub fn holding(portal: &str, path: &'static str) -> Self {
        Self::start(portal, path, Trouble::Held)
    }

    /// The answer to the first call of this path gets lost.
    pub fn losing(portal: &str, path: &'static str) -> Self {
        Self::start(portal, path, Trouble::Lost { then: None })
    }

    /// Calls of this path are refused by somebody on the way, with this code and status 403.
    pub fn refusing(portal: &str, path: &'static str, code: &'static str) -> Self {
        Self::start(portal, path, Trouble::Refused(code))
    }

    /// As [`Self::losing`], and the second call is refused by somebody on the way, with this code and status 403.
    pub fn losing_then_refusing(portal: &str, path: &'static str, code: &'static str) -> Self {
        Self::start(portal, path, Trouble::Lost { then: Some(code) })
    }

    fn start(portal: &str, path: &'static str, trouble: Trouble) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let between = Self {
            base: format!("http://{address}"),
            upstream: portal.strip_prefix("http://").expect("an address").to_owned(),
            path,
            trouble,
            calls: Arc::default(),
            asked: Arc::default(),
            open: Arc::default(),
        };
        let passing = between.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let passing = passing.clone();
                std::thread::spawn(move || passing.pass_on(client));
            }
        });
        between
    }

    /// Whether the call has come, and where it is passed on, been answered.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Lets the answer go that was held.
    pub fn let_go(&self) {
        self.open.store(true, Ordering::SeqCst);
    }

    fn pass_on(&self, mut client: TcpStream) {
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") {
            if client.read(&mut byte).unwrap_or(0) == 0 {
                return;
            }
            request.push(byte[0]);
        }
        let request = String::from_utf8(request).expect("text");
        let meant = request.lines().next().is_some_and(|line| line.contains(self.path));
        let earlier = if meant { self.calls.fetch_add(1, Ordering::SeqCst) } else { usize::MAX };
        match (self.trouble, earlier) {
            (Trouble::Swallowed, 0..usize::MAX) => {
                self.asked.store(true, Ordering::SeqCst);
                std::thread::sleep(Duration::from_hours(1));
            }
            (Trouble::Refused(code), 0..usize::MAX) | (Trouble::Lost { then: Some(code) }, 1) => {
                refuse(&mut client, code);
            }
            (Trouble::Held, 0) => {
                let answer = self.answer(&request, &client);
                self.asked.store(true, Ordering::SeqCst);
                while !self.open.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                let _ = client.write_all(&answer);
            }
            (Trouble::Lost { .. }, 0) => {
                self.answer(&request, &client);
                self.asked.store(true, Ordering::SeqCst);
            }
            _ => {
                let mut portal = self.forward(&request, &client);
                let _ = std::io::copy(&mut portal, &mut client);
            }
        }
        let _ = client.shutdown(Shutdown::Both);
    }

    /// Everything that the portal says to it.
    fn answer(&self, request: &str, client: &TcpStream) -> Vec<u8> {
        let mut answer = Vec::new();
        self.forward(request, client).read_to_end(&mut answer).expect("an answer");
        answer
    }

    fn forward(&self, request: &str, client: &TcpStream) -> TcpStream {
        let mut portal = TcpStream::connect(&self.upstream).expect("the portal");
        // One request on each connection, so that every one comes by here.
        let request = request.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
        portal.write_all(request.as_bytes()).expect("a request");
        let (mut up, mut down) =
            (portal.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
        std::thread::spawn(move || std::io::copy(&mut down, &mut up));
        portal
    }
}

fn refuse(client: &mut TcpStream, code: &str) {
    let body = format!(
        r#"{{"type":"about:blank","title":"Forbidden","status":403,"code":"{code}","detail":"Not today."}}"#
    );
    // What was sent has to be taken, or the answer is lost with the connection.
    client.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let _ = std::io::copy(client, &mut std::io::sink());
    let head = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/problem+json\r\nconnection: close";
    let _ = write!(client, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
}
