//! What changed between the evidence that somebody saw and the evidence there is now, in words.

use serde_json::Value;

use crate::domain::artifact::ArtifactKind;
use crate::web::view::prose::Prose;

/// A file as canonical evidence lists it.
#[derive(PartialEq, Eq)]
struct Listed<'a> {
    label: String,
    version: i64,
    sha256: &'a str,
}

/// The changes from one canonical evidence to another, most telling first; never empty if they differ at all.
pub fn between(seen: &Value, current: &Value) -> Vec<Prose> {
    let mut changes = files(seen, current);
    for (key, words) in [
        ("release_tag", "The release tag"),
        ("prior_release_tag", "The prior release tag"),
        ("from_revision", "The revision it starts from"),
        ("to_revision", "The revision it leads to"),
        ("kind", "The kind of change"),
        ("database", "The database that policy names"),
    ] {
        if seen[key] != current[key] {
            let now = Prose::from(format!("{words} is now ")).code(plain(&current[key]));
            changes.push(now.text("; you saw ").code(plain(&seen[key])).text("."));
        }
    }
    if seen["emergency"] != current["emergency"] {
        changes.push("The reason for the emergency, or the incident it names, is another.".into());
    }
    if seen["policy"] != current["policy"] {
        let version = |side: &Value| plain(&side["policy"]["version"]);
        changes.push(
            format!("It is now judged by policy version {}; you saw {}.", version(current), version(seen))
                .into(),
        );
    }
    if seen["previous_stage"] != current["previous_stage"] {
        changes.push(match (seen["previous_stage"].is_null(), current["previous_stage"].is_null()) {
            (true, _) => "The stage before has run.".into(),
            (_, true) => "The run of the stage before does not stand any more.".into(),
            _ => "The stage before has run again.".into(),
        });
    }
    accepted(seen, current, &mut changes);
    if changes.is_empty() && seen != current {
        changes.push(
            format!(
                "The stage was written to in between: its evidence is generation {} now, you saw {}.",
                plain(&current["generation"]),
                plain(&seen["generation"])
            )
            .into(),
        );
    }
    changes
}

fn files(seen: &Value, current: &Value) -> Vec<Prose> {
    let (before, now) = (listed(seen), listed(current));
    let mut changes = Vec::new();
    for file in &now {
        match before.iter().find(|other| other.label == file.label) {
            None => changes
                .push(Prose::new().strong(format!("{} v{}", file.label, file.version)).text(" was added.")),
            Some(other) if other.sha256 != file.sha256 || other.version != file.version => {
                let bytes = if other.sha256 == file.sha256 { " The bytes are the same." } else { "" };
                changes.push(
                    Prose::new()
                        .strong(format!("{} is now v{}", file.label, file.version))
                        .text(format!("; you saw v{}.{bytes}", other.version)),
                );
            }
            Some(_) => {}
        }
    }
    for gone in before.iter().filter(|old| !now.iter().any(|file| file.label == old.label)) {
        changes.push(Prose::new().strong(gone.label.clone()).text(" is not part of the evidence any more."));
    }
    changes
}

fn listed(evidence: &Value) -> Vec<Listed<'_>> {
    let files = evidence["artifacts"].as_array().map(Vec::as_slice).unwrap_or_default();
    files
        .iter()
        .filter_map(|file| {
            let kind: ArtifactKind = file["kind"].as_str()?.parse().ok()?;
            let label = match kind {
                ArtifactKind::Other => format!("{} {}", kind.label(), file["filename"].as_str()?),
                _ => kind.label().to_owned(),
            };
            Some(Listed { label, version: file["version"].as_i64()?, sha256: file["sha256"].as_str()? })
        })
        .collect()
}

/// The digest and version of a kind of file in canonical evidence.
pub fn file_of(evidence: &Value, kind: ArtifactKind, filename: &str) -> Option<(i64, String)> {
    let files = evidence["artifacts"].as_array()?;
    let same = |file: &&Value| {
        file["kind"].as_str() == Some(kind.as_str())
            && (kind != ArtifactKind::Other || file["filename"].as_str() == Some(filename))
    };
    let file = files.iter().find(same)?;
    Some((file["version"].as_i64()?, file["sha256"].as_str()?.to_owned()))
}

fn accepted(seen: &Value, current: &Value, changes: &mut Vec<Prose>) {
    let list = |side: &Value| -> Vec<String> {
        let ids = side["accepted_findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect()
    };
    let (before, now) = (list(seen), list(current));
    match now.iter().filter(|id| !before.contains(id)).count() {
        0 => {}
        1 => changes.push("1 more finding is accepted.".into()),
        more => changes.push(format!("{more} more findings are accepted.").into()),
    }
    if before.iter().any(|id| !now.contains(id)) {
        changes.push("A finding that was accepted belongs to a file that was replaced.".into());
    }
}

/// A value as people read it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evidence() -> Value {
        json!({
            "tag": "evidence/1", "ticket": "CHG-1", "stage": "staging", "generation": 3, "kind": "normal",
            "emergency": null, "release_tag": "v2", "prior_release_tag": "v1", "from_revision": "a",
            "to_revision": "b", "database": null, "policy": {"version": 1, "sha256": "00"},
            "previous_stage": null, "accepted_findings": ["x"],
            "artifacts": [
                {"kind": "upgrade-sql", "filename": "u.sql", "version": 3, "sha256": "aa"},
                {"kind": "other", "filename": "note.txt", "version": 1, "sha256": "bb"},
            ],
        })
    }

    fn said(change: impl Fn(&mut Value)) -> Vec<String> {
        let mut current = evidence();
        change(&mut current);
        between(&evidence(), &current).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_same_evidence_has_no_changes() {
        assert!(said(|_| {}).is_empty());
    }

    #[test]
    fn every_part_of_the_evidence_is_told() {
        assert_eq!(
            said(|now| {
                now["artifacts"][0]["version"] = json!(4);
                now["artifacts"][0]["sha256"] = json!("cc");
            }),
            ["<b>Upgrade SQL is now v4</b>; you saw v3."]
        );
        assert_eq!(
            said(|now| now["artifacts"][0]["version"] = json!(5)),
            ["<b>Upgrade SQL is now v5</b>; you saw v3. The bytes are the same."]
        );
        assert_eq!(
            said(|now| now["artifacts"][1]["filename"] = json!("<b>.txt")),
            [
                "<b>Other file &#60;b&#62;.txt v1</b> was added.",
                "<b>Other file note.txt</b> is not part of the evidence any more."
            ]
        );
        assert_eq!(
            said(|now| now["release_tag"] = json!("v3")),
            ["The release tag is now <code>v3</code>; you saw <code>v2</code>."]
        );
        assert_eq!(
            said(|now| now["policy"]["version"] = json!(2)),
            ["It is now judged by policy version 2; you saw 1."]
        );
        assert_eq!(said(|now| now["previous_stage"] = json!({"run": "r"})), ["The stage before has run."]);
        assert_eq!(said(|now| now["accepted_findings"] = json!(["x", "y"])), ["1 more finding is accepted."]);
        assert_eq!(said(|now| now["accepted_findings"] = json!([])).len(), 1);
        assert_eq!(said(|now| now["emergency"] = json!({"reason": "r", "incident": null})).len(), 1);
        assert_eq!(
            said(|now| now["generation"] = json!(5)),
            ["The stage was written to in between: its evidence is generation 5 now, you saw 3."]
        );
    }
}
