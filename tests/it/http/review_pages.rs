//! Reviewing: what changed since a vote, threads that follow their line, who has read what, pages of bounded size.

use countersign::domain::artifact::ArtifactKind;
use countersign::domain::facts::Choice;

use crate::on_both_engines;
use crate::support::play::Play;

/// What a page may take, in bytes.
const MOST_PAGE: usize = 400 * 1024;

/// The line of the standing upgrade SQL that begins so, counted from 1.
fn line_of(sql: &str, text: &str) -> usize {
    1 + sql.lines().position(|line| line.starts_with(text)).unwrap_or_else(|| panic!("no {text} in {sql}"))
}

on_both_engines! {
    async fn a_returning_voter_sees_what_changed_since(engine: Engine) {
        let play = Play::new(engine).await;
        play.ready_to_vote("staging").await;
        let place = play.under("staging", "/diff");
        let first = play.daniel.get(&place).await;
        assert_eq!(first.status, 200, "{}", first.text);
        assert!(first.text.contains("class=\"diff single\"") && !first.text.contains("since your vote"), "the whole file");

        play.vote(&play.daniel, "staging", Choice::Approve).await.expect("a vote");
        // What was read was read, also if the vote is taken back.
        play.vote(&play.daniel, "staging", Choice::Withdraw).await.expect("a withdrawal");
        let kit = play.kit("staging").with_comment("second render");
        play.attach("staging", &kit).await;
        let page = play.daniel.get(&place).await;
        for told in ["What changed since your vote", "staging v1, you voted", "+-- second render", "<option value=\"staging:1\" selected>"] {
            let plain = page.text.replace("<span class=\"vh\"> added</span></td><td class=\"c\"><code><span class=\"qc\">", "");
            assert!(page.text.contains(told) || plain.contains(told), "{told} in {}", page.text);
        }
        let downgrade = play.daniel.get(&format!("{place}?kind=downgrade-sql")).await;
        assert!(downgrade.text.contains("Unchanged since your vote"), "{}", downgrade.text);
        // Whoever has not voted has nothing to return to.
        assert!(!play.marta.get(&place).await.text.contains("since your vote"));
        // An upgrade beside what undoes it.
        let undo = play.daniel.get(&format!("{place}?from=staging:2&to=staging:1:downgrade-sql&view=split")).await;
        assert!(undo.status == 200 && undo.text.contains("class=\"diff split\""), "{}", undo.text);
        assert!(undo.text.contains("<option value=\"staging:1:downgrade-sql\" selected>"));
        // The view that was chosen is remembered.
        assert!(play.daniel.get(&place).await.text.contains("class=\"diff split\""));
        assert!(play.daniel.get(&format!("{place}?view=unified")).await.status == 200);
        assert!(!play.daniel.get(&place).await.text.contains("class=\"diff split\""));
    }

    async fn a_thread_follows_its_line_and_blocks_until_it_is_resolved(engine: Engine) {
        let play = Play::new(engine).await;
        let kit = play.kit("staging");
        play.attach("staging", &kit).await;
        let line = line_of(&kit.upgrade, "CREATE ");
        let place = play.under("staging", "/diff");
        let asked = play.daniel.get(&format!("{place}?line=R{line}")).await;
        assert!(asked.text.contains("id=\"ask\"") && asked.text.contains(&format!("name=\"line\" value=\"{line}\"")), "{}", asked.text);
        let line_text = line.to_string();
        let open = [
            ("kind", "upgrade-sql"), ("version", "1"), ("line", line_text.as_str()), ("text", "Why now?"), ("blocking", "true"),
            ("back", "kind=upgrade-sql&from=none&to=staging:1"),
        ];
        let opened = play.daniel.post(&play.under("staging", "/threads"), &open).await;
        assert_eq!(opened.status, 303, "{}", opened.text);
        let back = format!("{place}?kind=upgrade-sql&from=none&to=staging:1#thread-");
        assert!(opened.location().starts_with(&back), "{}", opened.location());
        let thread = &play.facts("staging").await.this.threads[0];
        assert!(thread.quote.starts_with("CREATE "), "{}", thread.quote);
        let id = thread.id;

        // Two lines more at the top: the thread is two lines further down.
        let mut later = play.kit("staging");
        later.upgrade = format!("-- one\n-- two\n{}", later.upgrade);
        play.attach("staging", &later).await;
        let page = play.priya.get(&format!("{place}?from=staging:1&to=staging:2")).await;
        let row = page.text.split(&format!("id=\"R{}\"", line + 2)).nth(1).expect("the line");
        let thread_at = row.find(&format!("id=\"thread-{id}\"")).expect("the thread");
        assert_eq!(row[..thread_at].matches("<tr").count(), 1, "right below its line");
        assert!(page.text.contains(&format!("&#38;at=R{}\"", line + 2)), "an answer leads back to it");

        // Its line goes: the thread does not.
        let mut last = play.kit("staging");
        let gone = kit.upgrade.lines().nth(line - 1).unwrap();
        last.upgrade = last.upgrade.replace(gone, &format!("{gone} -- changed"));
        play.attach("staging", &last).await;
        let page = play.priya.get(&format!("{place}?from=staging:2&to=staging:3")).await;
        assert!(page.text.contains(&format!("id=\"thread-{id}\"")), "at the old line");
        let page = play.priya.get(&format!("{place}?from=none&to=staging:3")).await;
        let loose = page.text.split("Threads on other lines").nth(1).expect("a place for it");
        assert!(loose.contains(&format!("id=\"thread-{id}\"")) && loose.contains("class=\"quo\""), "{loose}");

        let review = || async { play.daniel.get(&play.under("staging", "")).await.text };
        assert!(review().await.contains("blocking"));
        let under = |rest: &str| play.under("staging", &format!("/threads/{id}/{rest}"));
        assert_eq!(play.daniel.post(&under("resolve"), &[("text", "Agreed.")]).await.status, 303);
        assert!(play.facts("staging").await.this.threads[0].resolved_at.is_some());
        assert_eq!(play.daniel.post(&under("reopen"), &[("text", "")]).await.status, 303);
        assert!(play.facts("staging").await.this.threads[0].resolved_at.is_none());
        // A form can't lead elsewhere.
        let away = [("text", "x"), ("back", "//evil.example")];
        assert!(!play.daniel.post(&under("reply"), &away).await.location().contains("evil"));
    }

    async fn a_thread_keeps_the_words_it_was_said_of(engine: Engine) {
        let play = Play::new(engine).await;
        let (first, second) = ("ALTER TABLE a\n  DROP COLUMN c;\n", "ALTER TABLE b\n  ADD COLUMN d int;\n");
        let upload = async |sql: &str| {
            play.upload("staging", ArtifactKind::UpgradeSql, "u.sql", sql.as_bytes()).await.expect("an upload");
        };
        upload(&format!("{first}{second}")).await;
        let open = [("kind", "upgrade-sql"), ("version", "1"), ("line", "2"), ("text", "Why?"), ("back", "kind=upgrade-sql")];
        assert_eq!(play.daniel.post(&play.under("staging", "/threads"), &open).await.status, 303);
        let place = play.under("staging", "/diff?from=none&to=staging:");
        let thread = async |version: u32| -> String {
            let page = play.daniel.get(&format!("{place}{version}")).await.text;
            let article = page.split("<article class=\"thd\"").nth(1).expect("the thread");
            article.split("</article>").next().expect("its end").to_owned()
        };
        assert!(!thread(1).await.contains("class=\"quo\""), "its statement stands above it");
        // The line stands there still, in another statement.
        upload(&format!("ALTER TABLE b\n  DROP COLUMN c;\n{second}")).await;
        let there = thread(2).await;
        assert!(there.contains("class=\"quo\"") && there.contains("ALTER TABLE a"), "{there}");
    }

    async fn who_has_read_what_is_shown(engine: Engine) {
        let play = Play::new(engine).await;
        play.ready_to_vote("staging").await;
        let mark = [("kind", "upgrade-sql"), ("version", "1"), ("back", "kind=upgrade-sql")];
        let marked = play.daniel.post(&play.under("staging", "/read"), &mark).await;
        assert_eq!((marked.status, marked.location()), (303, play.under("staging", "/diff?kind=upgrade-sql").as_str()));
        assert_eq!(play.daniel.post(&play.under("staging", "/read"), &mark).await.status, 303, "twice is once");
        let page = play.daniel.get(&play.under("staging", "/diff")).await.text;
        assert!(page.contains("You marked it as read") && !page.contains("data-mark"), "{page}");
        for (who, rest) in [(&play.marta, "/diff"), (&play.daniel, "/decide"), (&play.priya, "/decide")] {
            let page = who.get(&play.under("staging", rest)).await.text;
            assert!(page.contains("<b>Daniel Okafor</b> has marked 1 of "), "{rest}: {page}");
        }
        assert!(play.marta.get(&play.under("staging", "/diff")).await.text.contains("data-mark"));
        // Another version is another file.
        play.attach("staging", &play.kit("staging").with_comment("second render")).await;
        let page = play.marta.get(&play.under("staging", "/decide")).await.text;
        assert!(!page.contains("<b>Daniel Okafor</b> has marked 1 of "), "{page}");
        for wrong in [("kind", "nothing"), ("kind", "other")] {
            let answer = play.daniel.post(&play.under("staging", "/read"), &[wrong, ("version", "1")]).await;
            assert_eq!(answer.status, 404, "{}", answer.text);
        }
        let stated = play.daniel.get(&play.under("staging", "/decide?decision=reject")).await.text;
        assert!(stated.contains("value=\"reject\" checked"), "chosen on the way here");
    }

    async fn no_page_of_a_large_file_is_large(engine: Engine) {
        let play = Play::new(engine).await;
        let text = |sign: &str| -> String {
            (0..50_000).map(|n| format!("INSERT INTO {sign} VALUES ({n}, '{sign}', NULL); -- {n}\n")).collect::<Vec<_>>().concat()
        };
        for (version, sign) in ["a", "b"].iter().enumerate() {
            let sent = play.upload("staging", ArtifactKind::UpgradeSql, "u.sql", text(sign).as_bytes()).await;
            assert_eq!(sent.expect("an upload").version, i64::try_from(version).unwrap() + 1);
        }
        let long = format!("SELECT '{}';\n", "x".repeat(5 * 1024 * 1024));
        play.upload("staging", ArtifactKind::DowngradeSql, "d.sql", long.as_bytes()).await.expect("an upload");
        for rest in [
            "/diff", "/diff?from=staging:1&to=staging:2", "/diff?from=staging:1&to=staging:2&view=split&part=30",
            "/diff?from=staging:1&to=staging:2&lines=all&part=99", "/diff?kind=downgrade-sql",
            "/diff?from=staging:2&to=staging:1:downgrade-sql", "/decide", "/artifacts/upgrade-sql", "/artifacts/downgrade-sql",
        ] {
            let page = play.daniel.get(&play.under("staging", rest)).await;
            assert_eq!(page.status, 200, "{rest}");
            assert!(page.text.len() < MOST_PAGE, "{rest} takes {} bytes", page.text.len());
        }
        let page = play.daniel.get(&play.under("staging", "/diff?from=staging:1&to=staging:2&part=2")).await.text;
        assert!(page.contains("part=3") && page.contains("part=1") && page.contains("Part 2 of "), "ways on and back");
        let page = play.daniel.get(&play.under("staging", "/diff?kind=downgrade-sql")).await.text;
        assert!(page.contains("1 line is too long for a page and cut."), "{page}");
        let patch = play.daniel.get(&play.under("staging", "/diff?from=staging:1&to=staging:2&format=patch")).await;
        assert!(patch.text.len() > text("a").len() + text("b").len());
        let drops: Vec<String> = (0..3_000).map(|n| format!("DROP TABLE a_table_of_no_use_{n};\n")).collect();
        play.upload("staging", ArtifactKind::UpgradeSql, "u.sql", drops.concat().as_bytes()).await.expect("an upload");
        for rest in ["", "/decide", "/diff", "/artifacts/upgrade-sql"] {
            let page = play.daniel.get(&play.under("staging", rest)).await.text;
            assert!(page.len() < MOST_PAGE, "{rest} takes {} bytes", page.len());
            let told = page.contains(" more stand beside their lines in the files.");
            assert!(told || matches!(rest, "/diff" | "/artifacts/upgrade-sql"), "{rest} leaves findings out without a word");
        }
    }
}
