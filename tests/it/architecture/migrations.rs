//! Both engines take the same steps: the same numbers under the same names, without a gap.

use super::{assert_none, files_below};

fn names(folder: &str) -> Vec<String> {
    let files = files_below(folder, &[""]);
    files.into_iter().filter_map(|file| file.path.rsplit('/').next().map(str::to_owned)).collect()
}

fn complaints(sqlite: &[String], postgres: &[String]) -> Vec<String> {
    let missing = |here: &[String], there: &[String], engine: &str| -> Vec<String> {
        let absent = here.iter().filter(|name| !there.contains(name));
        absent.map(|name| format!("{engine} has no {name}")).collect()
    };
    let mut found = missing(sqlite, postgres, "postgres");
    found.extend(missing(postgres, sqlite, "sqlite"));
    for (name, number) in sqlite.iter().zip(1..) {
        let rest = name.strip_prefix(&format!("{number:04}_")).and_then(|rest| rest.strip_suffix(".sql"));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(plain)) {
            found.push(format!("{name} should be {number:04}_name.sql"));
        }
    }
    found
}

#[test]
fn both_engines_have_the_same_migrations() {
    assert_none(&complaints(&names("migrations/sqlite"), &names("migrations/postgres")));
}

#[test]
fn differences_and_gaps_are_seen() {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let good = list(&["0001_init.sql", "0002_votes.sql"]);
    assert_none(&complaints(&good, &good));
    assert_eq!(complaints(&good, &good[..1]), ["postgres has no 0002_votes.sql"]);
    assert_eq!(complaints(&good[..1], &good), ["sqlite has no 0002_votes.sql"]);
    for bad in [
        ["0001_init.sql", "0003_votes.sql"],
        ["0001_init.sql", "0002_.sql"],
        ["0001_init.sql", "2_votes.sql"],
    ] {
        let bad = list(&bad);
        assert_eq!(complaints(&bad, &bad).len(), 1, "{bad:?}");
    }
}
