//! What a template may not hold: unescaped text, and anything that the content security policy would have to
//! be opened for.

use super::{assert_none, files_below, sources};

fn complaints(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let tight: String = line.to_lowercase().split_whitespace().collect();
        let mut complain = |what: &str| found.push(format!("{path}:{number}: {what}: {}", line.trim()));
        if tight.contains("|safe") || tight.contains("|e(\"none\")") || tight.contains("|escape(\"none\")") {
            complain("text that is not escaped");
        }
        if tight.contains("<style") {
            complain("a style sheet inside the page");
        }
        if tight.contains("javascript:") {
            complain("a script as an address");
        }
        for attribute in attributes(&line.to_lowercase()) {
            if attribute == "style" {
                complain("a style on an element");
            } else if attribute.starts_with("on") && attribute.len() > 4 {
                complain("a script on an element");
            }
        }
    }
    found.extend(inline_scripts(path, text));
    found
}

/// The names that stand before `="` or `='`.
fn attributes(line: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for (at, _) in line.match_indices('=') {
        let value = line[at + 1..].trim_start();
        if !value.starts_with(['"', '\'']) {
            continue;
        }
        let before = line[..at].trim_end();
        let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '-').map_or(0, |end| end + 1);
        names.push(&before[start..]);
    }
    names
}

/// A script may only be named by its address, and has nothing between its tags.
fn inline_scripts(path: &str, text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let mut found = Vec::new();
    for (at, _) in lower.match_indices("<script") {
        let number = lower[..at].matches('\n').count() + 1;
        let element = &lower[at..];
        let (tag, after) = element.split_once('>').unwrap_or((element, ""));
        let body = after.split("</script").next().unwrap_or(after);
        if !attributes(tag).contains(&"src") || !body.trim().is_empty() {
            found.push(format!("{path}:{number}: a script inside the page"));
        }
    }
    found
}

/// The same door from the other side: a template declared in Rust with its escaping turned off.
fn unescaped_declarations(path: &str, text: &str) -> Vec<String> {
    let tight = |line: &str| line.split_whitespace().collect::<String>();
    let lines = text.lines().zip(1..).filter(|(line, _)| tight(line).contains("escape=\"none\""));
    lines.map(|(_, number)| format!("{path}:{number}: a template that does not escape")).collect()
}

#[test]
fn templates_escape_and_hold_no_script_or_style() {
    let mut found = Vec::new();
    for file in files_below("templates", &[".html", ".svg", ".xml"]) {
        found.extend(complaints(&file.path, &file.text));
    }
    for file in sources() {
        found.extend(unescaped_declarations(&file.path, &file.text));
    }
    assert_none(&found);
}

#[test]
fn bad_templates_are_seen() {
    for text in [
        "{{ title|safe }}",
        "{{ title | safe }}",
        "{{ title|escape(\"none\") }}",
        "<p style=\"color: red\">",
        "<p\n  style = 'color: red'>",
        "<STYLE>p{}</STYLE>",
        "<script>go()</script>",
        "<script src=\"/static/app.js\">go()</script>",
        "<script type=\"module\">\nimport 'x'</script>",
        "<button onclick=\"go()\">",
        "<a href=\"javascript:go()\">",
    ] {
        assert!(!complaints("templates/a.html", text).is_empty(), "not seen: {text}");
    }
    assert_eq!(
        unescaped_declarations("src/web/a.rs", "#[template(path = \"a\", escape = \"none\")]").len(),
        1
    );
}

#[test]
fn good_templates_are_let_through() {
    for text in [
        "<script src=\"{{ asset(\"app.js\") }}\" defer></script>",
        "<link rel=\"stylesheet\" href=\"/static/app.css\">",
        "<p class=\"style\" data-style=\"x\" id=\"once\">{{ safe }} is the <b>only</b> style = good</p>",
        "{% if on == \"x\" %}",
    ] {
        assert_none(&complaints("templates/a.html", text));
    }
}
