//! Who may know whom.

use super::tokens::{Token, tokens};
use super::{assert_none, files_below, sources};

/// Each room with the rooms it may name. A room that isn't here has not been drawn yet: put it into
/// `docs/architecture.md` and then here.
const ROOMS: &[(&str, &[&str])] = &[
    ("lib", &[]),
    ("domain", &[]),
    ("sql", &["domain"]),
    ("alembic", &["domain", "sql"]),
    ("clock", &["domain"]),
    ("secret", &["domain", "clock"]),
    ("config", &["domain", "clock", "secret"]),
    ("telemetry", &["domain", "clock", "secret", "config"]),
    ("store", &["domain", "clock", "secret"]),
    ("service", &["store", "domain", "sql", "alembic", "clock", "secret", "config"]),
    ("web", &["service", "domain", "clock", "secret", "config"]),
    ("api", &["service", "domain", "clock", "secret", "config"]),
    ("sweeper", &["service"]),
    (
        "app",
        &[
            "sweeper",
            "web",
            "api",
            "service",
            "store",
            "domain",
            "sql",
            "alembic",
            "clock",
            "secret",
            "config",
            "telemetry",
        ],
    ),
    ("admin", &["app", "web", "service", "store", "domain", "clock", "secret", "config", "telemetry"]),
    ("demo", &["app", "service", "domain", "sql", "alembic", "clock", "secret", "config", "telemetry"]),
    ("client", &["domain", "sql", "alembic", "clock", "secret"]),
    ("main", &["admin", "app", "client", "demo", "config", "telemetry"]),
];

/// Crates that only these rooms may name.
const GUESTS: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("rand", &["clock"]),
    ("sqlparser", &["sql"]),
    ("squawk_linter", &["sql"]),
    ("squawk_syntax", &["sql"]),
    ("axum", &["web", "api", "app"]),
    ("axum_extra", &["web", "api", "app"]),
    ("tower", &["web", "api", "app"]),
    ("tower_http", &["web", "api", "app"]),
    ("hyper", &["web", "api", "app", "client", "config"]),
    ("hyper_util", &["web", "api", "app", "client"]),
    ("http_body_util", &["web", "api", "app", "client"]),
    ("ureq", &["client"]),
    ("rusqlite", &["client"]),
    ("indicatif", &["client"]),
    ("signal_hook", &["client"]),
    ("askama", &["web"]),
    ("utoipa", &["api", "app"]),
    ("utoipa_axum", &["api", "app"]),
];

/// The only dependencies of the pure room: data, times, digests and their written forms.
const PURE: &[&str] = &[
    "serde",
    "serde_json",
    "serde_json_canonicalizer",
    "jiff",
    "uuid",
    "sha2",
    "hex",
    "thiserror",
    "toml",
    "unicode_normalization",
];

/// The crates under `[dependencies]`, as Rust spells them.
fn dependencies(manifest: &str) -> Vec<String> {
    manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().replace('-', "_"))
        .collect()
}

/// The room a file is in: the first name below `src`.
fn room(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
}

/// The module that a file is, from the crate's root.
fn module(path: &str) -> Vec<&str> {
    let inside = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let mut parts: Vec<_> = inside.split('/').collect();
    if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
        parts.pop();
    }
    parts
}

/// The names that follow the crate's root at `at`, where a `::` should stand: one, or the heads of a `{…}` group.
/// Anything that would hide what is meant (`*`, `as`) comes back as itself.
fn heads<'a>(tokens: &[(usize, Token<'a>)], at: usize) -> Vec<&'a str> {
    match (tokens.get(at).map(|t| t.1), tokens.get(at + 1).map(|t| t.1)) {
        (Some(Token::Word("as")), _) => vec!["as"],
        (Some(Token::PathSeparator), Some(Token::Word(name))) => vec![name],
        (Some(Token::PathSeparator), Some(Token::Other('*'))) => vec!["*"],
        (Some(Token::PathSeparator), Some(Token::Open)) => {
            let (mut depth, mut fresh, mut names) = (1_usize, true, Vec::new());
            for (_, token) in &tokens[at + 2..] {
                match token {
                    Token::Open => depth += 1,
                    Token::Close => depth -= 1,
                    Token::Other(',') if depth == 1 => fresh = true,
                    Token::Word(name) if fresh => {
                        names.push(*name);
                        fresh = false;
                    }
                    Token::Other('*') if fresh => names.push("*"),
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            names
        }
        _ => Vec::new(),
    }
}

/// What a file names directly below the crate's root, whether by `crate::` or by climbing with `super::`.
fn named_rooms<'a>(path: &'a str, text: &'a str) -> Vec<(usize, &'a str)> {
    let tokens = tokens(text);
    let root_name = if room(path) == "main" { "countersign" } else { "crate" };
    let mut here = module(path);
    let (mut depth, mut inline) = (0_usize, Vec::new());
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&(line, token)) = tokens.get(at) {
        at += 1;
        match token {
            Token::Open => {
                depth += 1;
                if let [.., (_, Token::Word("mod")), (_, Token::Word(name)), _] = &tokens[..at] {
                    here.push(name);
                    inline.push(depth);
                }
            }
            Token::Close => {
                if inline.last() == Some(&depth) {
                    inline.pop();
                    here.pop();
                }
                depth = depth.saturating_sub(1);
            }
            Token::Word(word) if word == root_name => {
                found.extend(heads(&tokens, at).into_iter().map(|name| (line, name)));
            }
            Token::Word("super") => {
                let mut climbed = 1;
                while let [(_, Token::PathSeparator), (_, Token::Word("super")), ..] = &tokens[at..] {
                    climbed += 1;
                    at += 2;
                }
                if climbed >= here.len() {
                    found.extend(heads(&tokens, at).into_iter().map(|name| (line, name)));
                }
            }
            _ => {}
        }
    }
    found
}

/// The dependencies that a file names.
fn named_crates<'a>(text: &'a str, dependencies: &[String]) -> Vec<(usize, &'a str)> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    for (at, &(line, token)) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let leads_a_path = matches!(tokens.get(at + 1), Some((_, Token::PathSeparator)));
        // `self::toml::…`, `fields::toml::…` are modules of ours; `use ::toml` is the crate.
        let inside_a_path = matches!(
            &tokens[..at],
            [.., (_, Token::Word(before)), (_, Token::PathSeparator)] if *before != "use"
        );
        let imported = matches!(&tokens[..at], [.., (_, Token::Word("use"))]);
        if ((leads_a_path && !inside_a_path) || imported) && dependencies.iter().any(|name| name == word) {
            found.push((line, word));
        }
    }
    found
}

fn complaints(path: &str, text: &str, dependencies: &[String]) -> Vec<String> {
    let room = room(path);
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{path}: the room {room} is not in the picture")];
    };
    let mut complaints = Vec::new();
    for (line, name) in named_rooms(path, text) {
        // The tests of use cases play with the demo's evidence, which nothing else in that room may see.
        let plays = path.starts_with("src/service/tests/") && name == "demo";
        if name != room && name != "self" && !allowed.contains(&name) && !plays {
            let known = ROOMS.iter().any(|(room, _)| *room == name);
            let why = if known { "may not know" } else { "names through the crate's root what is no room:" };
            complaints.push(format!("{path}:{line}: {room} {why} {name}"));
        }
    }
    for (line, name) in named_crates(text, dependencies) {
        let refused = match GUESTS.iter().find(|(guest, _)| *guest == name) {
            Some((_, rooms)) => !rooms.contains(&room),
            None => room == "domain" && !PURE.contains(&name),
        };
        if refused {
            complaints.push(format!("{path}:{line}: {room} may not use the crate {name}"));
        }
    }
    complaints
}

fn manifest_dependencies() -> Vec<String> {
    let manifest = files_below("Cargo.toml", &["Cargo.toml"]);
    let names = manifest.first().map(|file| dependencies(&file.text)).unwrap_or_default();
    assert!(names.iter().any(|name| name == "sqlx"), "the dependencies were not found");
    names
}

#[test]
fn every_arrow_is_in_the_picture() {
    let dependencies = manifest_dependencies();
    let complaints: Vec<_> =
        sources().iter().flat_map(|file| complaints(&file.path, &file.text, &dependencies)).collect();
    assert_none(&complaints);
}

#[test]
fn the_picture_has_no_circle_between_the_floors() {
    // `sql` and `alembic` stand side by side and may know each other; nobody else may, however long the way.
    for (start, _) in ROOMS {
        let mut reached: Vec<&str> = Vec::new();
        let mut waiting = vec![*start];
        while let Some(room) = waiting.pop() {
            let (_, next) = ROOMS.iter().find(|(name, _)| *name == room).expect("a drawn room");
            for name in *next {
                if !reached.contains(name) {
                    reached.push(name);
                    waiting.push(name);
                }
            }
        }
        let circle = reached.contains(start) && !["sql", "alembic"].contains(start);
        assert!(!circle, "{start} comes back to itself");
    }
}

#[test]
fn guests_are_dependencies() {
    let dependencies = manifest_dependencies();
    let names = GUESTS.iter().map(|(name, _)| name).chain(PURE);
    let unknown: Vec<_> = names.filter(|name| !dependencies.iter().any(|known| known == **name)).collect();
    assert!(unknown.is_empty(), "rules about crates that nobody has: {unknown:?}");
}

#[test]
fn forbidden_arrows_are_seen() {
    let known = dependencies(
        "[dependencies]\nsqlx = \"1\"\ntokio = \"1\"\naxum-extra = \"1\"\n[dev-dependencies]\nproptest = \"1\"",
    );
    assert_eq!(known, ["sqlx", "tokio", "axum_extra"]);
    for (path, text) in [
        ("src/domain/gate.rs", "use crate::store::Db;"),
        ("src/domain/gate.rs", "use crate::{domain::id, clock::now};"),
        ("src/domain/gate.rs", "fn f() { let t = crate::clock::now(); }"),
        ("src/domain/gate.rs", "use super::super::clock;"),
        ("src/domain/mod.rs", "use super::clock::now;"),
        ("src/domain/gate.rs", "mod tests { use super::super::super::store::Db; }"),
        ("src/domain/gate.rs", "use crate::*;"),
        ("src/domain/gate.rs", "use crate as everything;"),
        ("src/domain/gate.rs", "pub async fn f() { tokio::spawn(async {}); }"),
        ("src/domain/gate.rs", "use tokio;"),
        ("src/domain/gate.rs", "macro_rules! m { () => { $crate::web::x() } }"),
        ("src/web/tickets/show.rs", "use crate::store;"),
        ("src/web/tickets/show.rs", "#[derive(sqlx::FromRow)] struct Row;"),
        ("src/web/mod.rs", "use crate::api::dto;"),
        ("src/api/runs.rs", "use crate::app::AppState;"),
        ("src/store/runs.rs", "use crate::service::runs;"),
        ("src/service/votes.rs", "use axum_extra::extract::Cached;"),
        ("src/client/apply.rs", "use crate::{domain::{id, time}, service::{self}};"),
        ("src/clock.rs", "use super::store;"),
        ("src/main.rs", "use countersign::store::Db;"),
        ("src/web/mod.rs", "use crate::Db;"),
        ("src/misc.rs", ""),
    ] {
        assert!(!complaints(path, text, &known).is_empty(), "not seen in {path}: {text}");
    }
}

#[test]
fn lawful_arrows_are_let_through() {
    let known = dependencies("[dependencies]\nsqlx = \"1\"\ntokio = \"1\"\ntoml = \"1\"");
    for (path, text) in [
        (
            "src/domain/gate.rs",
            "use crate::domain::{id, time}; use super::window; use std::fmt; use toml::de;",
        ),
        (
            "src/domain/policy/parse.rs",
            "use super::super::window; mod tests { use super::super::*; use super::*; }",
        ),
        (
            "src/domain/gate.rs",
            "//! See [`crate::store`].\nconst X: &str = \"crate::store\"; /* sqlx::query */",
        ),
        ("src/domain/gate.rs", "pub(crate) fn f() {} pub(in crate::domain) fn g() {}"),
        ("src/clock.rs", "mod tests { use super::*; }"),
        ("src/store/runs.rs", "use crate::domain::id; use sqlx::Row;"),
        (
            "src/service/votes.rs",
            "use crate::{store::{Db, Tx}, domain, clock, sql, alembic}; tokio::spawn(x)",
        ),
        ("src/web/view/parts.rs", "use super::super::view::{code, forms}; use crate::service::tickets;"),
        ("src/web/view/parts.rs", "fn f(store: u8, app: u8) -> u8 { store.max(app) }"),
        ("src/main.rs", "fn main() { countersign::app::serve() }"),
    ] {
        assert_none(&complaints(path, text, &known));
    }
}
