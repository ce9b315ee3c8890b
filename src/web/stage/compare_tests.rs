use askama::Template as _;
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::service::diff::compare;
use crate::web::view::difference::Difference;
use crate::web::view::pages::sample;
use crate::web::view::shell::Nav;

/// What a page may take, in bytes; what stands around the table is far below the rest of it.
const MOST_TABLE: usize = 320 * 1024;

fn compared(old: &[u8], new: &[u8]) -> Arc<Compared> {
    Arc::new(compare(Bytes::copy_from_slice(old), Bytes::copy_from_slice(new), true).unwrap())
}

/// The table of a part, as it is sent.
fn table(part: Part, split: bool) -> String {
    let mut table = Difference {
        caption: String::new(),
        split,
        single: false,
        entries: part.entries,
        stage: sample::stage(),
        csrf: sample::shell(Nav::Tickets, "").csrf,
    };
    table.set_margin();
    table.render().unwrap()
}

fn unescaped(text: &str) -> String {
    let pairs = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// The text of a line's markup; characters that are spelled out are themselves again.
fn text_of(markup: &str) -> String {
    let (mut out, mut rest) = (String::new(), markup);
    while let Some(at) = rest.find('<') {
        out.push_str(&unescaped(&rest[..at]));
        let tag = &rest[at..=at + rest[at..].find('>').unwrap()];
        rest = &rest[at + tag.len()..];
        if tag.contains("class=\"hid\"") {
            let (code, after) = rest.split_once("</span>").unwrap();
            let code = u32::from_str_radix(code.strip_prefix("U+").unwrap(), 16).unwrap();
            out.push(char::from_u32(code).unwrap());
            rest = after;
        }
    }
    out + &unescaped(rest)
}

/// The lines of both sides, read out of the cells of a table.
fn read(html: &str, split: bool, old: &mut Vec<String>, new: &mut Vec<String>) {
    for row in html.split("<tr").skip(1) {
        assert!(!row.contains("class=\"fold\""), "something is folded away");
        let cells: Vec<&str> = row.split("<td class=\"c").skip(1).collect();
        let line = |cell: &str| {
            let code = cell.split_once("<code>").unwrap().1.split_once("</code>").unwrap().0;
            text_of(code)
        };
        if split {
            assert_eq!(cells.len(), 2, "{row}");
            for (cell, side) in cells.iter().zip([&mut *old, &mut *new]) {
                if !cell.starts_with(" nil") {
                    side.push(line(cell));
                }
            }
        } else {
            assert_eq!(cells.len(), 1, "{row}");
            let text = line(cells[0]);
            if !row.starts_with(" class=\"ins\"") {
                old.push(text.clone());
            }
            if !row.starts_with(" class=\"del\"") {
                new.push(text);
            }
        }
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').map(|line| line.strip_suffix('\n').unwrap_or(line)).collect()
}

/// Every part of a page together holds both files, and none is too large.
fn holds_both(old: &str, new: &str, split: bool) {
    let body = compared(old.as_bytes(), new.as_bytes());
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut number = 1;
    loop {
        let wanted = Wanted {
            whole: true,
            split,
            part: number,
            query: "?a=b&".into(),
            ask_new: true,
            ..Wanted::default()
        };
        let part = part(&body, &wanted);
        let parts = part.parts;
        assert!(parts == 0 || part.number == number);
        let html = table(part, split);
        assert!(html.len() < MOST_TABLE, "part {number} takes {} bytes", html.len());
        read(&html, split, &mut left, &mut right);
        number += 1;
        if number > parts {
            break;
        }
    }
    let crlf = |text: &str| if body.all_crlf() { text.replace("\r\n", "\n") } else { text.to_owned() };
    let (old, new) = (crlf(old), crlf(new));
    assert!(left == lines(&old), "the old side is not what is shown");
    assert!(right == lines(&new), "the new side is not what is shown");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn a_page_holds_both_files(
        old in "((SELECT|'|\"|<b>|&amp;|--|/\\*|\\*/|é|\u{202e}|\u{0}|\t| |x|;){0,5}(\n|\r\n|\r)){0,9}x?",
        new in "((SELECT|'|\"|<b>|&amp;|--|/\\*|\\*/|é|\u{202e}|\u{0}|\t| |x|;){0,5}(\n|\r\n|\r)){0,9}x?",
        split: bool,
    ) {
        holds_both(&old, &new, split);
    }
}

#[test]
fn a_page_holds_both_files_of_every_pair_of_the_corpus() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus/sql");
    let (mut folders, mut files) = (vec![root], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    assert!(files.len() >= 20);
    files.sort();
    for (i, old) in files.iter().enumerate() {
        for (j, new) in files.iter().enumerate().filter(|(j, _)| *j != i) {
            holds_both(old, new, (i + j) % 2 == 0);
        }
    }
}

/// What a page takes at most, whichever part is shown.
fn largest(old: &str, new: &str, wanted: &Wanted) -> (usize, usize) {
    let body = compared(old.as_bytes(), new.as_bytes());
    let parts = part(&body, wanted).parts;
    let sizes = [1, parts / 2, parts].map(|number| {
        let part = part(&body, &Wanted { part: number, ..wanted.clone() });
        table(part, wanted.split).len()
    });
    (sizes.into_iter().max().unwrap_or_default(), parts)
}

#[test]
fn no_page_is_large_however_large_the_files() {
    let side = |sign: &str, lines: usize| -> String {
        let line = |n| format!("INSERT INTO {sign}{n} VALUES ({n}, 'a''b', NULL); -- {sign}\n");
        (0..lines).map(line).collect::<Vec<_>>().concat()
    };
    let plain = Wanted {
        query: "?kind=upgrade-sql&from=staging:1&to=staging:2&".into(),
        ask_new: true,
        ask_old: true,
        ..Wanted::default()
    };
    let (a, b) = (side("a", 6_000), side("b", 6_000));
    for split in [false, true] {
        let wanted = Wanted { split, ..plain.clone() };
        let (bytes, parts) = largest(&a, &b, &wanted);
        assert!(bytes < MOST_TABLE && parts > 5, "{bytes} bytes, {parts} parts");
    }
    // One long line, of signs, of characters that hide, of nothing but markup.
    for unit in ["x", "'a',", "\u{202e}", "<&>", "\u{1}"] {
        let line = unit.repeat(400 * 1024 / unit.len());
        for split in [false, true] {
            let (bytes, _) = largest(&line, &format!("{line};"), &Wanted { split, ..plain.clone() });
            assert!(bytes < MOST_TABLE, "{unit}: {bytes} bytes");
        }
    }
    // Every other line differs.
    let pairs: Vec<String> = a.lines().zip(b.lines()).map(|(a, b)| format!("{a}\n{b}\n")).collect();
    let alternating = pairs.concat();
    let (bytes, _) = largest(&a, &alternating, &plain);
    assert!(bytes < MOST_TABLE, "{bytes} bytes");
}

#[test]
fn a_cut_line_says_so() {
    let line = "x".repeat(100_000);
    let part = part(&compared(b"a\n", line.as_bytes()), &Wanted::default());
    assert_eq!(part.cut, 1);
    let html = table(part, false);
    assert!(html.contains("cut here: the line is") && html.contains("Download the file to read all of it."));
}

fn numbered(range: std::ops::Range<usize>) -> String {
    range.map(|n| format!("SELECT {n};\n")).collect::<Vec<_>>().concat()
}

#[test]
fn what_did_not_change_is_folded_with_what_it_holds_and_opens() {
    let old = numbered(0..100);
    let new = old.replace("SELECT 50;", "SELECT 'fifty';");
    let body = compared(old.as_bytes(), new.as_bytes());
    let shown = |wanted: &Wanted| table(part(&body, wanted), false);
    let html = shown(&Wanted { query: "?q&".into(), ..Wanted::default() });
    assert!(html.contains("Show 47 unchanged lines: <code>47 statements: 47 SELECT</code>"), "{html}");
    assert!(
        html.contains("href=\"?q&#38;open=1#R1\"") && html.contains("href=\"?q&#38;open=55#R55\""),
        "{html}"
    );
    assert_eq!(html.matches("<code>").count(), 6 + 2 + 2, "three lines around two, and two folds");
    let html = shown(&Wanted { open: [55].into(), ..Wanted::default() });
    assert!(html.contains("id=\"R100\"") && !html.contains("id=\"R1\""));
    // What somebody spoke of is never folded away, nor what somebody asked for.
    let html = shown(&Wanted { keep: [(20, 0)].into(), line: Some((true, 80)), ..Wanted::default() });
    assert!(html.contains("id=\"R20\"") && html.contains("id=\"R80\"") && !html.contains("id=\"R30\""));
    assert_eq!(small(&body, 80).unwrap().len(), 10);
    assert!(small(&body, 5).is_none());
}

#[test]
fn labels_tell_what_a_change_is() {
    let old = "CREATE TABLE a (x int);\nCREATE TABLE b (x int);\nSELECT 1;\n-- old\nSELECT 2;\nSELECT 3;";
    let new = "CREATE TABLE b (x int);\nSELECT 1;\n-- new\nSELECT 2;\nSELECT 3;\nCREATE TABLE a (x int);\n";
    let html = table(part(&compared(old.as_bytes(), new.as_bytes()), &Wanted::default()), false);
    for told in [
        "moved from line 1",
        "moved to line 6",
        "no effect: only white space or comments",
        "no line feed at the end",
    ] {
        assert!(html.contains(told), "{told} in {html}");
    }
    let html = table(part(&compared(b"a\r\nb\r\n", b"a\r\nc\r\n"), &Wanted::default()), false);
    assert!(!html.contains("U+000D"));
    let html = table(part(&compared(b"a\r\nb\r\n", b"a\r\nc\n"), &Wanted::default()), false);
    assert!(html.contains("U+000D"));
}
