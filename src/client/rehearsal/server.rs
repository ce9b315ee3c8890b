//! A PostgreSQL server by its URL, and the programs that speak to it. Credentials go by the environment only.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use crate::client::project::ProjectError;
use crate::client::project::process::{self, Cut, Stop, Streams};

/// Where a server is, who asks, and for which database.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    user: String,
    password: Option<String>,
    host: String,
    port: Option<u16>,
    pub database: String,
    /// `host` and `sslmode` may come here.
    query: Vec<(String, String)>,
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerUrl")
    }
}

impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "expected postgresql://USER@HOST/DATABASE";
        let (scheme, rest) = text.trim().split_once("://").ok_or(FORM)?;
        if !scheme.starts_with("postgres") {
            return Err(FORM.to_owned());
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password)?)),
            None => (login, None),
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, Some(port.parse().map_err(|_| "the port must be a number".to_owned())?))
            }
            _ => (place, None),
        };
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decoded(name)?, decoded(value)?));
        }
        Ok(Self {
            user: decoded(user)?,
            password,
            host: decoded(host.trim_matches(['[', ']']))?,
            port,
            database: decoded(database)?,
            query: pairs,
        })
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let pair = [rest.next().unwrap_or(0), rest.next().unwrap_or(0)];
        bytes.extend(hex::decode(pair).map_err(|_| "a % must be followed by two digits".to_owned())?);
    }
    String::from_utf8(bytes).map_err(|_| "it must be UTF-8".to_owned())
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.extend(["%", &hex::encode_upper([byte])]);
        }
    }
    out
}

impl ServerUrl {
    /// The same server, another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }

    /// What follows `scheme://`.
    pub fn rest(&self) -> String {
        let login = match (self.user.is_empty(), &self.password) {
            (true, _) => String::new(),
            (false, None) => format!("{}@", encoded(&self.user)),
            (false, Some(password)) => format!("{}:{}@", encoded(&self.user), encoded(password)),
        };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { encoded(&self.host) };
        let port = self.port.map_or(String::new(), |port| format!(":{port}"));
        let query: Vec<_> =
            self.query.iter().map(|(k, v)| format!("{}={}", encoded(k), encoded(v))).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        format!("{login}{host}{port}/{}{query}", encoded(&self.database))
    }

    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    fn environment(&self, command: &mut Command) {
        let of = |name: &str| self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let host = of("host").or(Some(self.host.as_str())).filter(|host| !host.is_empty());
        let variables = [
            ("PGHOST", host.map(str::to_owned)),
            ("PGPORT", of("port").map(str::to_owned).or(self.port.map(|port| port.to_string()))),
            ("PGUSER", Some(self.user.clone()).filter(|user| !user.is_empty())),
            ("PGPASSWORD", self.password.clone()),
            ("PGDATABASE", Some(self.database.clone()).filter(|name| !name.is_empty())),
            ("PGSSLMODE", of("sslmode").map(str::to_owned)),
            ("PGCONNECT_TIMEOUT", Some("15".to_owned())),
            ("PGCLIENTENCODING", Some("UTF8".to_owned())),
        ];
        for (name, value) in variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        // The caller's own settings may name another server, a service or a role.
        for name in ["PGSERVICE", "PGSERVICEFILE", "PGPASSFILE", "PGOPTIONS", "PGHOSTADDR"] {
            command.env_remove(name);
        }
    }
}

/// Runs PostgreSQL's client programs.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where streams go.
    pub folder: PathBuf,
    pub limit: Duration,
    pub stop: Stop,
}

/// What a program said.
pub enum Said {
    /// It ended well, with this on its standard output.
    Well(String),
    /// It did not: its standard error.
    Badly(String),
}

impl Client {
    /// Runs `program`, with credentials in its environment.
    pub fn run(&self, program: &str, url: &ServerUrl, arguments: &[&str]) -> Result<Said, ProjectError> {
        self.run_until(program, url, arguments, &self.stop)
    }

    /// The same, stopped by another hand: cleaning up goes on after Ctrl-C.
    pub fn run_until(
        &self,
        program: &str,
        url: &ServerUrl,
        arguments: &[&str],
        stop: &Stop,
    ) -> Result<Said, ProjectError> {
        let path = program_path(program)?;
        let name = hex::encode(crate::clock::Env::system().bytes::<6>());
        let (out, err) = (self.folder.join(format!("{name}.out")), self.folder.join(format!("{name}.err")));
        let mut command = Command::new(path);
        command.args(arguments);
        url.environment(&mut command);
        let ran = process::run(&mut command, &Streams { out: &out, err: &err }, self.limit, stop);
        let text = |path: &Path| {
            let bytes = std::fs::read(path).unwrap_or_default();
            let _gone = std::fs::remove_file(path);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (out, err) = (text(&out), text(&err));
        match ran {
            Ok(status) if status.success() => Ok(Said::Well(out)),
            Ok(_) => Ok(Said::Badly(err)),
            Err(Cut::Stopped) => Err(ProjectError::interrupted()),
            Err(Cut::TimeLimit) => Err(ProjectError::new(
                "E03",
                format!("{program} took longer than {} s and was stopped.", self.limit.as_secs()),
                "Give more time with --time-limit.",
            )),
            Err(Cut::Io(e)) => Err(ProjectError::io(format!("{program} could not be run"), &e)),
        }
    }
}

/// A connection that lasts as long as its owner lives: psql, which ends when nobody can tell it anything any more.
#[derive(Debug)]
pub struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        // It ends by itself, too, as soon as its input does.
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

impl ServerUrl {
    /// Connects and runs `sql`, without waiting for it, and stays connected.
    ///
    /// # Errors
    /// When psql can't be started.
    pub fn hold(&self, sql: &str) -> Result<Held, ProjectError> {
        let mut command = Command::new(program_path("psql")?);
        command.args(["-X", "-q", "-w"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.environment(&mut command);
        // Ctrl-C is for us: cleaning up takes it along.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let run = |e: std::io::Error| ProjectError::io("psql could not be run", &e);
        let mut held = Held(command.spawn().map_err(run)?);
        if let Some(input) = &mut held.0.stdin {
            writeln!(input, "{sql};").map_err(run)?;
        }
        Ok(held)
    }
}

/// On the path, else the newest of Debian's folders.
fn program_path(program: &str) -> Result<PathBuf, ProjectError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|p| p.is_file()) {
        return Ok(found);
    }
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = folders.map(|entry| entry.path().join("bin").join(program)).filter(|path| path.is_file());
    found.max().ok_or_else(|| {
        ProjectError::usage(
            "E23",
            format!("{program} is not on this machine."),
            "Install PostgreSQL's client programs, of the server's release or newer.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_written_whole_and_shown_never() {
        let text = "postgresql://ada:p%40ss@db.example.org:5433/trades?sslmode=require&host=%2Ftmp";
        let url: ServerUrl = text.parse().unwrap();
        assert_eq!((url.password(), url.database.as_str()), (Some("p@ss"), "trades"));
        assert_eq!(
            url.with_database("x").rest(),
            "ada:p%40ss@db.example.org:5433/x?sslmode=require&host=%2Ftmp"
        );
        assert_eq!(format!("{url:?}"), "ServerUrl");
        let plain: ServerUrl = "postgres://postgres@localhost/postgres?host=/tmp/a".parse().unwrap();
        assert_eq!(plain.rest(), "postgres@localhost/postgres?host=%2Ftmp%2Fa");
        for wrong in ["mysql://a@b/c", "db", "postgres://a:%zz@b/c", "postgres://a@b:x/c"] {
            assert!(wrong.parse::<ServerUrl>().is_err(), "{wrong}");
        }
    }
}
