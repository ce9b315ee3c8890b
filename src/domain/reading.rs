//! Who has read which file, and which files a page can't show.

use super::artifact::{Artifact, ArtifactFacts};
use super::id::{ArtifactId, PersonId, UserId};
use super::named::named;
use super::time::Timestamp;

/// More of a file than this is not shown, in lines; it is downloaded instead.
pub const MOST_LINES: u32 = 20_000;

/// The same, in bytes.
pub const MOST_BYTES: i64 = 1024 * 1024;

named! {
    /// How somebody came to know a file.
    How, "way of reading" {
        /// The very bytes were handed to them.
        Downloaded = "downloaded",
        /// They said so.
        Read = "read",
    }
}

/// One person's reading of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub artifact: ArtifactId,
    pub user: UserId,
    pub person: PersonId,
    pub name: String,
    pub how: How,
    pub at: Timestamp,
}

/// Whether a file is small enough to be shown at all. Its longest line may still be cut.
pub fn is_small(file: &Artifact) -> bool {
    let lines = match &file.facts {
        ArtifactFacts::Sql(sql) => sql.lines,
        _ => 0,
    };
    file.bytes <= MOST_BYTES && lines <= MOST_LINES
}

/// When this person read a file in this way, by any of their accounts.
pub fn when(readings: &[Reading], person: PersonId, file: ArtifactId, how: How) -> Option<Timestamp> {
    let mut own = readings.iter().filter(|r| r.person == person && r.artifact == file && r.how == how);
    own.next().map(|reading| reading.at)
}

/// How many of these files each person has read, in the order in which they began.
pub fn progress<'a>(readings: &'a [Reading], files: &[&Artifact]) -> Vec<(PersonId, &'a str, usize)> {
    let mut people: Vec<(PersonId, &str, usize)> = Vec::new();
    for reading in readings.iter().filter(|reading| reading.how == How::Read) {
        if !files.iter().any(|file| file.id == reading.artifact) {
            continue;
        }
        match people.iter_mut().find(|(person, ..)| *person == reading.person) {
            // One mark of each account; a person with two may have read a file twice.
            Some(known) => {
                let first = readings.iter().find(|other| {
                    other.person == reading.person
                        && other.artifact == reading.artifact
                        && other.how == How::Read
                });
                known.2 += usize::from(first == Some(reading));
            }
            None => people.push((reading.person, &reading.name, 1)),
        }
    }
    people
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::artifact::ArtifactKind;
    use crate::domain::digest::Digest;
    use crate::domain::id::StageId;

    fn id(n: u8) -> uuid::Uuid {
        uuid::Uuid::from_bytes([n; 16])
    }

    fn file(n: u8, bytes: i64) -> Artifact {
        Artifact {
            id: ArtifactId(id(n)),
            stage: StageId(id(0)),
            kind: ArtifactKind::UpgradeSql,
            version: 1,
            filename: "upgrade.sql".into(),
            sha256: Digest::of(&[n]),
            bytes,
            facts: ArtifactFacts::Opaque,
            uploaded_by: UserId(id(0)),
            uploaded_by_name: String::new(),
            uploaded_via: None,
            uploaded_at: Timestamp::default(),
            generation: 1,
            run: None,
        }
    }

    fn reading(person: u8, user: u8, file: u8, how: How) -> Reading {
        Reading {
            artifact: ArtifactId(id(file)),
            user: UserId(id(user)),
            person: PersonId(id(person)),
            name: format!("person {person}"),
            how,
            at: Timestamp::from_micros(i64::from(file)),
        }
    }

    #[test]
    fn people_are_counted_and_files_that_do_not_stand_are_not() {
        let readings = [
            reading(1, 1, 1, How::Read),
            reading(1, 2, 1, How::Read),
            reading(2, 3, 1, How::Downloaded),
            reading(1, 1, 2, How::Read),
            reading(2, 3, 9, How::Read),
        ];
        let (a, b) = (file(1, 1), file(2, 1));
        assert_eq!(progress(&readings, &[&a, &b]), [(PersonId(id(1)), "person 1", 2)]);
        assert!(when(&readings, PersonId(id(2)), ArtifactId(id(1)), How::Downloaded).is_some());
        assert_eq!(when(&readings, PersonId(id(2)), ArtifactId(id(1)), How::Read), None);
    }

    #[test]
    fn a_large_file_is_not_shown() {
        assert!(is_small(&file(1, MOST_BYTES)) && !is_small(&file(1, MOST_BYTES + 1)));
    }
}
