//! Sample frames for the pages' tests, and what every page must keep to.

mod ticket;

use std::collections::HashSet;
use std::path::Path;

use askama::Template;

use crate::domain::time::Timestamp;
use crate::web::view::format::Time;
use crate::web::view::prose::Prose;
use crate::web::view::shell::{Csrf, Nav, Shell, ShellUser, StripItem, Theme};
use crate::web::view::state::State;

pub use ticket::*;

pub fn now() -> Timestamp {
    at("2025-11-19T11:00:00Z")
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn visitor(title: &str) -> Shell {
    Shell {
        title: title.into(),
        nav: Nav::Menu,
        user: None,
        queue_count: 0,
        csrf: Csrf("csrf-of-this-session".into()),
        theme: Theme::System,
        strip: Vec::new(),
        flash: None,
        now: now(),
        version: "1.4.0",
    }
}

pub fn shell(nav: Nav, title: &str) -> Shell {
    let window = at("2025-11-20T14:00:00Z");
    Shell {
        nav,
        user: Some(ShellUser {
            name: "Marta Kovács".into(),
            roles_text: "Change board, administrator".into(),
            admin: true,
            may_file: true,
        }),
        queue_count: 3,
        strip: vec![
            StripItem::new(
                State::Time,
                Prose::from("Next window ")
                    .link("production, Thu 14:00 UTC", "/policies")
                    .text(" ")
                    .until(Time::until(window, now())),
            ),
            StripItem::new(
                State::Stop,
                Prose::from("Incident ").link("INC-118", "/incidents").text(" open on reference-data"),
            ),
            StripItem::new(State::Open, Prose::from("Freeze ").strong("none").text(", next 15 Dec")),
        ],
        ..visitor(title)
    }
}

/// Renders a page, checks the rules that hold for every page, and gives its HTML.
///
/// With `COUNTERSIGN_PAGES=DIR` the page is also written to `DIR/<name>.html`, to be looked at.
pub fn check(name: &str, page: &impl Template) -> String {
    let html = page.render().unwrap();
    keep(name, &html);
    csp(name, &html);
    posts_are_protected(name, &html);
    names_resolve(name, &html);
    html
}

fn keep(name: &str, html: &str) {
    if let Ok(folder) = std::env::var("COUNTERSIGN_PAGES") {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.html")), html).unwrap();
    }
}

/// The values of an attribute, in order.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    html.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

fn csp(name: &str, html: &str) {
    assert!(!html.contains(" style=") && !html.contains("<style"), "{name}: inline style");
    assert_eq!(html.matches("<script").count(), 1, "{name}: one script, from a file");
    assert!(html.contains("<script src=\"/static/js/app."), "{name}: script address");
    for handler in [" onclick=", " onload=", " onsubmit=", "javascript:"] {
        assert!(!html.contains(handler), "{name}: {handler}");
    }
    assert!(!html.contains("/static/missing"), "{name}: names a file that is not there");
}

fn posts_are_protected(name: &str, html: &str) {
    for form in html.split("<form").skip(1) {
        let form = form.split("</form>").next().unwrap();
        let post = form.split('>').next().unwrap().contains("method=\"post\"");
        assert_eq!(post, form.contains("name=\"_csrf\""), "{name}: {form}");
        if form.contains("type=\"file\"") {
            assert!(form.contains("enctype=\"multipart/form-data\""), "{name}: {form}");
        }
        assert!(!post || form.contains("<button"), "{name}: a form needs a button: {form}");
    }
}

fn names_resolve(name: &str, html: &str) {
    assert_eq!(html.matches("<h1").count(), 1, "{name}: one h1");
    let mut ids = HashSet::new();
    for id in values(html, "id") {
        assert!(ids.insert(id), "{name}: id {id} twice");
    }
    let pointed = ["for", "aria-labelledby", "aria-describedby", "data-copy"];
    for target in pointed.into_iter().flat_map(|attribute| values(html, attribute)) {
        for id in target.split(' ') {
            assert!(ids.contains(id), "{name}: nothing has the id {id}");
        }
    }
    for href in values(html, "href") {
        if let Some(id) = href.strip_prefix('#') {
            assert!(ids.contains(id), "{name}: #{id} leads nowhere");
        }
    }
    let labelled: HashSet<_> = values(html, "for").into_iter().collect();
    for control in html
        .split('<')
        .filter(|tag| ["input ", "select ", "textarea "].iter().any(|start| tag.starts_with(start)))
    {
        let hidden = ["type=\"hidden\"", "type=\"radio\"", "type=\"checkbox\""]
            .iter()
            .any(|kind| control.contains(kind));
        let id = values(control, "id").first().copied().unwrap_or_default();
        assert!(hidden || labelled.contains(id), "{name}: no label for <{control}");
    }
}
