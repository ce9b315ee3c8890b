//! What the API says of itself.

use std::fmt::Write as _;

/// One line for each call: what it is, what it needs, what it takes and what it answers.
#[test]
fn the_description_lists_every_call() {
    let api = serde_json::to_value(countersign::api::openapi()).expect("JSON");
    assert_eq!(api["servers"][0]["url"], "/api/v1");
    let mut text = String::new();
    for (path, item) in api["paths"].as_object().expect("paths") {
        for (method, call) in item.as_object().expect("methods") {
            let scopes: Vec<String> = call["security"]
                .as_array()
                .expect("security")
                .iter()
                .flat_map(|s| s["bearer"].as_array().cloned().unwrap_or_default())
                .map(|s| s.as_str().expect("a scope").to_owned())
                .collect();
            let needs = if scopes.is_empty() { "public".to_owned() } else { scopes.join(" or ") };
            let none = Vec::new();
            let parameters = call["parameters"].as_array().unwrap_or(&none);
            let takes: Vec<&str> = parameters.iter().filter_map(|p| p["name"].as_str()).collect();
            let statuses: Vec<&str> =
                call["responses"].as_object().expect("responses").keys().map(String::as_str).collect();
            let summary = call["summary"].as_str().expect("a summary");
            let body = if call["requestBody"].is_object() { " + body" } else { "" };
            let _ = writeln!(
                text,
                "{} {path} [{needs}] {summary}; takes {}{body}; answers {}",
                method.to_uppercase(),
                takes.join(" "),
                statuses.join(" ")
            );
        }
    }
    insta::assert_snapshot!(text);
}

/// Every reference leads somewhere.
#[test]
fn the_description_is_whole() {
    let api = serde_json::to_value(countersign::api::openapi()).expect("JSON");
    let text = api.to_string();
    let schemas = api["components"]["schemas"].as_object().expect("schemas");
    let mut count = 0;
    for (at, _) in text.match_indices("#/components/schemas/") {
        let name = text[at..].trim_start_matches("#/components/schemas/").split('"').next().expect("a name");
        assert!(schemas.contains_key(name), "{name}");
        count += 1;
    }
    assert!(count > 20, "{count} references");
    assert!(schemas.contains_key("Problem"));
}
