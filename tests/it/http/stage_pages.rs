//! The pages below a stage, as people and their browsers meet them.

use countersign::demo::kit;
use countersign::domain::artifact::ArtifactKind;
use countersign::domain::facts::{Choice, Intent};
use countersign::domain::run::{Health, Method, Outcome, RunStatus};
use jiff::SignedDuration;

use crate::on_both_engines;
use crate::support::client::{Answer, PASSWORD, Person};
use crate::support::play::{self, Play};

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let start = format!("type=\"hidden\" name=\"{name}\" value=\"");
    let rest = page.split(&start).nth(1).unwrap_or_else(|| panic!("no {name} in {page}"));
    unescaped(rest.split('"').next().unwrap())
}

fn unescaped(html: &str) -> String {
    let pairs = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    pairs.iter().fold(html.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// The text of a stretch of HTML.
fn text_of(html: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    unescaped(&out)
}

/// The values of an attribute, in order.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    html.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

/// What holds for every page: one heading of the first rank, no id twice, nothing that points to nothing, nothing inline.
async fn sound(who: &Person, path: &str) -> String {
    let page = who.get(path).await;
    assert_eq!(page.status, 200, "{path}: {}", page.text);
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{path}");
    let html = page.text;
    assert_eq!(html.matches("<h1").count(), 1, "{path}");
    assert!(!html.contains(" style=") && html.matches("<script").count() == 1, "{path}");
    let mut ids = std::collections::HashSet::new();
    for id in values(&html, "id") {
        assert!(ids.insert(id), "{path}: id {id} twice");
    }
    for target in
        ["for", "aria-labelledby", "aria-describedby"].into_iter().flat_map(|name| values(&html, name))
    {
        assert!(target.split(' ').all(|id| ids.contains(id)), "{path}: nothing has the id {target}");
    }
    for form in html.split("<form").skip(1) {
        let form = form.split("</form>").next().unwrap();
        assert_eq!(form.contains("method=\"post\""), form.contains("name=\"_csrf\""), "{path}: {form}");
    }
    for hash in values(&html, "href").into_iter().filter_map(|href| href.strip_prefix('#')) {
        assert!(ids.contains(hash), "{path}: #{hash} leads nowhere");
    }
    html
}

/// Sends the decision that a person sees on the page, with these answers.
async fn decide(who: &Person, place: &str, page: &Answer, answers: &[(&str, &str)]) -> Answer {
    let digest = hidden(&page.text, "evidence_digest");
    let evidence = hidden(&page.text, "evidence");
    let mut fields = vec![("evidence_digest", digest.as_str()), ("evidence", evidence.as_str())];
    fields.extend_from_slice(answers);
    who.post(place, &fields).await
}

const APPROVE: [(&str, &str); 3] =
    [("decision", "approve"), ("comment", "Fine at <14:00>"), ("password", PASSWORD)];

on_both_engines! {
    async fn a_vote_is_cast_once_on_what_was_seen(engine: Engine) {
        let play = Play::new(engine).await;
        play.ready_to_vote("staging").await;
        let place = play.under("staging", "/decide");

        sound(&play.daniel, &place).await;
        let page = play.daniel.get(&place).await;
        let digest = play.evidence("staging").await;
        assert_eq!(hidden(&page.text, "evidence_digest"), digest);
        for told in [
            "Upgrade SQL", "Downgrade SQL", "Dry-run report", "Migration history", "Migration manifest", "Backup manifest",
            "v2025.11.06", "v2025.10.23", kit::FROM, kit::TO, "legacy_ref", "2,000 values", "the data did not come back",
            "You did not file this ticket", ">Sign and record</button>",
        ] {
            assert!(page.text.contains(told), "{told} in {}", page.text);
        }

        let wrong = [("decision", "approve"), ("comment", "Fine at <14:00>"), ("password", "not my password")];
        let refused = decide(&play.daniel, &place, &page, &wrong).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert!(refused.text.contains("<title>Error: Decide on CHG-1"));
        assert!(refused.text.contains("Fine at &#60;14:00&#62;</textarea>"));
        assert!(refused.text.contains("value=\"approve\" checked"));
        assert!(!refused.text.contains("not my password"));
        assert!(play.facts("staging").await.this.votes.is_empty());

        let bare = decide(&play.daniel, &place, &page, &[("decision", "reject"), ("comment", ""), ("password", PASSWORD)]).await;
        assert_eq!(bare.status, 422);
        assert!(bare.text.contains("A rejection needs a reason"));

        let voted = decide(&play.daniel, &place, &page, &APPROVE).await;
        assert_eq!((voted.status, voted.location()), (303, play.under("staging", "").as_str()), "{}", voted.text);
        // The other tab, with the same page.
        let again = decide(&play.daniel, &place, &page, &APPROVE).await;
        assert!([303, 409].contains(&again.status), "{}", again.text);
        let facts = play.facts("staging").await;
        assert_eq!(facts.standing_votes().len(), 1);
        assert_eq!(facts.standing_votes()[0].evidence.to_string(), digest);

        let after = play.daniel.get(&place).await;
        assert!(after.text.contains("value=\"withdraw\""));
        let withdrawn = [("decision", "withdraw"), ("password", PASSWORD)];
        assert_eq!(decide(&play.daniel, &place, &after, &withdrawn).await.status, 303);
        assert_eq!(play.facts("staging").await.standing_votes()[0].choice, Choice::Withdraw);
    }

    async fn who_filed_it_sees_everything_and_cannot_sign(engine: Engine) {
        let play = Play::new(engine).await;
        play.ready_to_vote("staging").await;
        let place = play.under("staging", "/decide");
        for person in [&play.priya, &play.aiko] {
            let page = person.get(&place).await;
            assert_eq!(page.status, 200);
            assert!(page.text.contains("What you sign") && page.text.contains("Only members of the change board vote")
                || page.text.contains("This needs the role board"), "{}", page.text);
            assert!(page.text.contains("disabled>Sign and record</button>"));
            assert!(!page.text.contains("name=\"decision\""));
        }
        let digest = play.evidence("staging").await;
        let mut fields = vec![("evidence_digest", digest.as_str())];
        fields.extend_from_slice(&APPROVE);
        let refused = play.priya.post(&place, &fields).await;
        assert_eq!(refused.status, 403, "{}", refused.text);
        assert!(play.facts("staging").await.this.votes.is_empty());
    }

    async fn a_stale_vote_is_told_what_changed_and_keeps_its_comment(engine: Engine) {
        let play = Play::new(engine).await;
        play.ready_to_vote("staging").await;
        let place = play.under("staging", "/decide");
        let page = play.daniel.get(&place).await;
        let kit = play.kit("staging").with_comment("second render");
        play.attach("staging", &kit).await;
        let refused = decide(&play.daniel, &place, &page, &APPROVE).await;
        assert_eq!(refused.status, 409, "{}", refused.text);
        for told in ["Nothing was recorded.", "<b>Upgrade SQL is now v2</b>; you saw v1.", "Fine at &#60;14:00&#62;</textarea>"] {
            assert!(refused.text.contains(told), "{told} in {}", refused.text);
        }
        assert_eq!(hidden(&refused.text, "evidence_digest"), play.evidence("staging").await);
        assert!(!refused.text.contains(" checked"), "nothing is decided for the reader");
        assert!(play.facts("staging").await.this.votes.is_empty());
        // A forged account of what was seen is not believed.
        let digest = hidden(&page.text, "evidence_digest");
        let forged = [("evidence_digest", digest.as_str()), ("evidence", "{\"release_tag\":\"<b>\"}"), APPROVE[0], APPROVE[2]];
        let refused = play.daniel.post(&place, &forged).await;
        assert_eq!(refused.status, 409);
        assert!(refused.text.contains("another than the one this form was made for"), "{}", refused.text);
        // The reader who had voted is told which files are new.
        play.accept_all("staging").await;
        play.vote(&play.marta, "staging", Choice::Approve).await.unwrap();
        play.attach("staging", &play.kit("staging").with_comment("third render")).await;
        let page = play.marta.get(&place).await;
        assert!(page.text.contains("changed since your vote: <a href=") && page.text.contains("It does not count now"), "{}", page.text);
        assert!(page.text.contains("as when you voted"));
    }

    async fn a_token_is_shown_once_and_nowhere_else(engine: Engine) {
        let mut play = Play::new(engine).await;
        play.prepare("staging").await;
        let place = play.under("staging", "/token");
        let closed = play.priya.get(&place).await;
        assert!(closed.text.contains("disabled>Release apply token</button>") && closed.text.contains("1 gate of 9 is blocked"), "{}", closed.text);
        play.at("2025-11-18T14:10:00Z").await;

        sound(&play.priya, &place).await;
        let offer = play.priya.get(&place).await;
        assert!(offer.text.contains("<button class=\"btn act\">Release apply token</button>"), "{}", offer.text);
        let fields = [("direction", "upgrade"), ("evidence_digest", &hidden(&offer.text, "evidence_digest"))];
        assert_eq!(play.aiko.post(&place, &fields).await.status, 403);
        let shown = play.priya.post(&place, &fields).await;
        assert_eq!(shown.status, 200, "{}", shown.text);
        assert!(shown.header("cache-control").contains("no-store"));
        assert!(shown.cookie("csflash").is_none() && shown.location().is_empty());
        let at = shown.text.find("csa_").expect("a token");
        let secret = &shown.text[at..at + 54];
        assert_eq!(shown.text.matches(secret).count(), 1);
        for told in [
            "countersign apply CHG-1 --stage staging --project .", "alembic upgrade 0c7e5d1b94fa", "/api/v1/apply-tokens/redeem",
            "Why it was released", "Expires", "Revoke it",
        ] {
            assert!(shown.text.contains(told), "{told} in {}", shown.text);
        }
        assert!(!shown.text.contains("$(csa_"));

        let twice = play.priya.post(&place, &fields).await;
        assert_eq!(twice.status, 409, "{}", twice.text);
        assert!(twice.text.contains("No token was released") && !twice.text.contains("csa_"));
        for rest in ["/token", "/run", "/decide", "/diff", ""] {
            for person in [&play.priya, &play.daniel] {
                let page = person.get(&play.under("staging", rest)).await;
                assert!(!page.text.contains(&secret[..12]), "{rest}");
            }
        }
        let out = play.priya.get(&place).await;
        assert!(out.text.contains("One is out") && out.text.contains("released by Priya Nair"), "{}", out.text);

        assert_eq!(play.priya.post(&play.under("staging", "/token/revoke"), &[]).await.status, 303);
        let revoked = play.priya.get(&place).await;
        assert!(revoked.text.contains("was revoked on Tue 18 Nov, 14:10 UTC: revoked by hand."), "{}", revoked.text);
        assert!(play.redeem("staging", Intent::Upgrade, secret).await.is_err());

        play.app.clock.advance(SignedDuration::from_secs(60));
        play.apply("staging").await;
        let used = play.priya.get(&place).await;
        assert!(used.text.contains("Not again") && used.text.contains("was used on"), "{}", used.text);
    }

    async fn files_leave_as_files_and_show_as_text(engine: Engine) {
        let play = Play::new(engine).await;
        let place = play.under("staging", "/artifacts");
        let sql = "-- <script>alert(1)</script>\nSELECT '\u{202e}nimda'; -- \u{200b}x\nDROP TABLE \"</code><img src=x onerror=alert(2)>\";\n";
        let sent = play.priya.upload(&place, &[("kind", "upgrade-sql")], "a<b>;x=ü.sql", sql.as_bytes()).await;
        assert_eq!((sent.status, sent.location()), (303, play.under("staging", "#artifacts").as_str()), "{}", sent.text);

        let raw = play.daniel.get(&play.under("staging", "/artifacts/upgrade-sql/raw?version=1")).await;
        assert_eq!((raw.status, raw.text.as_str()), (200, sql));
        assert_eq!(raw.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(raw.header("x-content-type-options"), "nosniff");
        assert!(raw.header("content-security-policy").starts_with("sandbox; default-src 'none'"));
        let named = raw.header("content-disposition");
        assert!(named.starts_with("attachment; filename=\"") && named.contains("filename*=UTF-8''a%3Cb%3E%3Bx%3D%C3%BC.sql"), "{named}");

        let page = play.daniel.get(&play.under("staging", "/artifacts/upgrade-sql?version=1")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(!page.text.contains("<img") && !page.text.contains("<script>"));
        assert!(page.text.contains("<span class=\"hid\">U+202E</span>") && page.text.contains("<span class=\"hid\">U+200B</span>"));
        assert!(page.text.contains("1 line holds characters that can’t be seen"), "{}", page.text);
        for (at, line) in sql.replace('\u{202e}', "U+202E").replace('\u{200b}', "U+200B").lines().enumerate() {
            let number = format!("id=\"L{}\"", at + 1);
            let row = page.text.split(&number).nth(1).unwrap().split("<code>").nth(1).unwrap().split("</code>").next().unwrap();
            assert_eq!(text_of(row), line);
        }
        assert!(page.text.contains("id=\"L3\"") && !page.text.contains("id=\"L4\""));

        for wrong in ["/artifacts/upgrade-sql?version=2", "/artifacts/nothing", "/artifacts/upgrade-sql/raw?version=9", "/evidence/00"] {
            assert_eq!(play.daniel.get(&play.under("staging", wrong)).await.status, 404, "{wrong}");
        }
        assert_eq!(play.app.anonymous().get(&play.under("staging", "/artifacts/upgrade-sql/raw")).await.status, 303);
        let kind = play.priya.upload(&place, &[("kind", "run-log")], "x.log", b"x").await;
        assert_eq!(kind.status, 422);
        assert_eq!(play.daniel.upload(&place, &[("kind", "upgrade-sql")], "u.sql", b"SELECT 1;").await.status, 403);
        let same = play.priya.upload(&place, &[("kind", "upgrade-sql")], "again.sql", sql.as_bytes()).await;
        assert_eq!(same.status, 303);
        assert_eq!(play.facts("staging").await.this.artifacts.len(), 1, "the same bytes change nothing");
    }

    async fn an_upload_over_the_limit_is_not_stored(engine: Engine) {
        let play = Play::with(engine, play::content(), &[("max_upload_bytes", "4096")]).await;
        let large = format!("SELECT '{}';\n", "x".repeat(5_000));
        let place = play.under("staging", "/artifacts");
        let sent = play.priya.upload(&place, &[("kind", "upgrade-sql")], "u.sql", large.as_bytes()).await;
        assert_eq!(sent.status, 413, "{}", sent.text);
        assert!(play.facts("staging").await.this.artifacts.is_empty());
    }

    async fn rule_24_what_no_page_can_show_is_downloaded_before_it_is_approved(engine: Engine) {
        let play = Play::new(engine).await;
        let mut kit = play.kit("staging");
        kit.upgrade = format!("{}-- {}\n", kit.upgrade, "long ".repeat(220_000));
        play.attach("staging", &kit).await;
        play.accept_all("staging").await;
        play.tick_all("staging").await;
        let shown = play.daniel.get(&play.under("staging", "/artifacts/upgrade-sql")).await;
        assert!(shown.text.contains("This file is too large for a page.") && !shown.text.contains("id=\"L1\""));
        let place = play.under("staging", "/decide");
        let page = play.daniel.get(&place).await;
        assert!(page.text.contains("Nothing can be approved that was not shown."), "{}", page.text);
        assert!(page.text.contains("value=\"approve\" disabled>"), "{}", page.text);
        let refused = decide(&play.daniel, &place, &page, &APPROVE).await;
        assert_eq!(refused.status, 409);
        assert!(refused.text.contains("No page shows all of Upgrade SQL v1"), "{}", refused.text);
        assert!(play.facts("staging").await.this.votes.is_empty());
        // Somebody else's download is not this voter's, and the file of another kind is not this file.
        let raw = |kind: &str| play.under("staging", &format!("/artifacts/{kind}/raw?version=1"));
        assert_eq!(play.marta.get(&raw("upgrade-sql")).await.status, 200);
        assert_eq!(play.daniel.get(&raw("downgrade-sql")).await.status, 200);
        assert_eq!(decide(&play.daniel, &place, &page, &APPROVE).await.status, 409);
        // Nor is it a download to ask how long the file is.
        let head = Answer::of(play.daniel.browser.request(reqwest::Method::HEAD, &raw("upgrade-sql"))).await;
        assert_eq!((head.status, head.text.len()), (200, 0));
        assert_eq!(decide(&play.daniel, &place, &page, &APPROVE).await.status, 409);
        let whole = play.daniel.get(&raw("upgrade-sql")).await;
        assert_eq!((whole.status, whole.text), (200, kit.upgrade));
        let page = play.daniel.get(&place).await;
        assert!(page.text.contains("downloaded, <time") && !page.text.contains("id=\"unseen\""), "{}", page.text);
        let voted = decide(&play.daniel, &place, &page, &APPROVE).await;
        assert_eq!(voted.status, 303, "{}", voted.text);
    }

    async fn a_download_that_breaks_off_is_none(engine: Engine) {
        let play = Play::new(engine).await;
        let mut kit = play.kit("staging");
        kit.upgrade = format!("{}-- {}\n", kit.upgrade, "long ".repeat(1_700_000));
        play.attach("staging", &kit).await;
        let raw = play.under("staging", "/artifacts/upgrade-sql/raw?version=1");
        let mut begun = play.daniel.browser.request(reqwest::Method::GET, &raw).send().await.expect("an answer");
        assert!(begun.chunk().await.expect("a piece").is_some_and(|piece| !piece.is_empty()));
        drop(begun);
        let place = play.under("staging", "/decide");
        assert!(!play.daniel.get(&place).await.text.contains("downloaded, <time"));
        assert_eq!(play.daniel.get(&raw).await.text.len(), kit.upgrade.len());
        assert!(play.daniel.get(&place).await.text.contains("downloaded, <time"));
    }

    async fn a_dry_run_of_other_sql_says_nothing_of_this_one(engine: Engine) {
        let play = Play::new(engine).await;
        play.ready_to_vote("staging").await;
        let place = play.under("staging", "/decide");
        let page = play.daniel.get(&place).await;
        assert!(page.text.contains("The upgrade took ") && !page.text.contains("is about other"), "{}", page.text);
        let other = "DROP TABLE trades;\nALTER TABLE scheduler_jobs DROP COLUMN max_retries;\n";
        play.upload("staging", ArtifactKind::UpgradeSql, "upgrade.sql", other.as_bytes()).await.expect("an upload");
        let page = play.daniel.get(&place).await;
        assert!(page.text.contains("The dry-run report is about other upgrade SQL: nobody has seen what this one does."), "{}", page.text);
        for told in ["No statement loses data.", "that were not NULL", "The upgrade took ", "In the dry run:"] {
            assert!(!page.text.contains(told), "{told} in {}", page.text);
        }
        let ticket = play.daniel.get(&play.under("staging", "")).await;
        assert!(ticket.text.contains("No dry run has measured what they do to data."), "{}", ticket.text);
        play.upload("staging", ArtifactKind::DowngradeSql, "downgrade.sql", b"SELECT 1;\n").await.expect("an upload");
        let page = play.daniel.get(&place).await;
        assert!(page.text.contains("is about other downgrade SQL") && !page.text.contains("brought schema and data back"), "{}", page.text);
        assert!(play.daniel.get(&play.under("staging", "")).await.text.contains("The downgrade is not proven"));
    }

    async fn a_difference_tells_both_files_and_nothing_else(engine: Engine) {
        let mut play = Play::new(engine).await;
        play.staging().await;
        let kit = play.kit("production").with_comment("rendered for <production>");
        play.attach("production", &kit).await;
        let old = play.daniel.get(&play.under("staging", "/artifacts/upgrade-sql/raw?version=1")).await.text;
        let new = play.daniel.get(&play.under("production", "/artifacts/upgrade-sql/raw?version=1")).await.text;
        assert_ne!(old, new);

        let place = play.under("production", "/diff?kind=upgrade-sql&from=staging:1&to=production:1");
        let page = play.daniel.get(&format!("{place}&lines=all")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let (mut left, mut right) = (String::new(), String::new());
        for row in page.text.split("<tr class=\"").skip(1).filter(|row| !row.starts_with("fold")) {
            let row = row.split("</tr>").next().unwrap();
            let code = row.split("<code>").nth(1).unwrap().split("</code>").next().unwrap();
            let line = text_of(code);
            if !row.starts_with("ins") {
                left.push_str(&line);
                left.push('\n');
            }
            if !row.starts_with("del") {
                right.push_str(&line);
                right.push('\n');
            }
        }
        assert_eq!((left, right), (old.clone(), new.clone()));

        let folded = play.daniel.get(&place).await;
        assert!(folded.text.contains("unchanged lines") && folded.text.len() < page.text.len());
        let patch = play.daniel.get(&format!("{place}&format=patch")).await;
        assert!(patch.header("content-type").starts_with("text/x-diff"));
        assert!(patch.header("content-disposition").starts_with("attachment;"));
        assert!(patch.text.starts_with("--- a/upgrade.sql\tstaging v1\n+++ b/upgrade.sql\tproduction v1\n@@ ") && patch.text.contains("+-- rendered for <production>"), "{}", patch.text);
        assert_eq!(play.daniel.get(&play.under("production", "/diff")).await.status, 200, "what ran before, unless asked");
        let same = play.daniel.get(&play.under("production", "/diff?from=production:1&to=production:1")).await;
        assert!(same.text.contains("The files are the same."));
        for wrong in ["from=staging:9&to=production:1", "from=nowhere:1&to=production:1", "from=x&to=y", "kind=nothing"] {
            assert_eq!(play.daniel.get(&play.under("production", &format!("/diff?{wrong}"))).await.status, 404, "{wrong}");
        }

        // To approve another SQL than what ran before takes a tick.
        play.accept_all("production").await;
        play.tick_all("production").await;
        let place = play.under("production", "/decide");
        let page = play.daniel.get(&place).await;
        assert!(page.text.contains("against what ran in staging") && page.text.contains("<tr class=\"ins\">"), "{}", page.text);
        let refused = decide(&play.daniel, &place, &page, &APPROVE).await;
        assert_eq!(refused.status, 409, "{}", refused.text);
        assert!(refused.text.contains("Tick that you have seen the difference"));
        let mut answers = APPROVE.to_vec();
        answers.push(("acknowledged", "true"));
        assert_eq!(decide(&play.daniel, &place, &page, &answers).await.status, 303);
    }

    async fn remarks_are_recorded_and_escaped(engine: Engine) {
        let play = Play::new(engine).await;
        play.attach("staging", &play.kit("staging")).await;
        let text = "<script>alert('x')</script>";
        let open = [("kind", "upgrade-sql"), ("version", "1"), ("line", "5"), ("text", text), ("blocking", "true")];
        let opened = play.daniel.post(&play.under("staging", "/threads"), &open).await;
        assert_eq!(opened.status, 303, "{}", opened.text);
        let thread = play.facts("staging").await.this.threads[0].id;
        let page = play.priya.get(&play.under("staging", "/artifacts/upgrade-sql?version=1&line=5")).await;
        assert!(page.text.contains("&#60;script&#62;alert(&#39;x&#39;)") && !page.text.contains("<script>"));
        assert!(page.text.contains("name=\"line\" value=\"5\""));
        let under = |rest: &str| play.under("staging", &format!("/threads/{thread}/{rest}"));
        assert_eq!(play.priya.post(&under("reply"), &[("text", "It is safe.")]).await.status, 303);
        let refused = play.priya.post(&under("resolve"), &[("text", "I say so.")]).await;
        assert_eq!(refused.status, 403, "not hers to resolve");
        assert_eq!(play.daniel.post(&under("resolve"), &[("text", "Agreed.")]).await.status, 303);
        assert!(play.facts("staging").await.this.threads[0].resolved_at.is_some());
        assert_eq!(play.daniel.post(&under("reopen"), &[("text", "")]).await.status, 303);
        let page = play.priya.get(&play.under("staging", "/artifacts/upgrade-sql?version=1")).await;
        assert!(page.text.contains("Agreed.") && !page.text.contains("I say so."), "a refused note is not left behind");

        let seen = play.evidence("staging").await;
        let item = play.under("staging", "/checklist/release-frozen");
        let stated = [("done", "true"), ("note", "v2025.11.06"), ("evidence_digest", seen.as_str())];
        assert_eq!(play.priya.post(&item, &stated).await.status, 303);
        let finding = play.facts("staging").await.this.findings.iter().find(|finding| finding.blocks()).unwrap().id;
        let accept = play.under("staging", &format!("/findings/{finding}/accept"));
        assert_eq!(play.priya.post(&accept, &[("note", "mine"), ("evidence_digest", seen.as_str())]).await.status, 403);
        let note = [("note", "The desk agreed."), ("evidence_digest", seen.as_str())];
        assert_eq!(play.daniel.post(&accept, &note).await.status, 303);
        // The evidence is another now: the tick is asked for again, with what was typed.
        let stale = play.priya.post(&item, &[("done", "true"), ("note", "frozen <since> Monday"), ("evidence_digest", seen.as_str())]).await;
        assert_eq!(stale.status, 409, "{}", stale.text);
        assert!(stale.text.contains("frozen &#60;since&#62; Monday</textarea>"));
        assert!(stale.text.contains(&play.evidence("staging").await));
    }

    async fn a_silent_run_is_settled_by_a_person_and_undone(engine: Engine) {
        let mut play = Play::new(engine).await;
        play.prepare("staging").await;
        play.at("2025-11-18T14:30:00Z").await;
        let place = play.under("staging", "/run");
        assert!(play.priya.get(&place).await.text.contains("Nothing yet"));
        let run = play.start("staging").await;
        play.log(run, "Running upgrade\nERROR <b>lock timeout</b>\n").await;
        let page = play.priya.get(&place).await;
        assert!(page.text.contains("<h2 id=\"answer\">Running</h2>"), "{}", page.text);
        assert!(page.text.contains("ERROR &#60;b&#62;lock timeout") && !page.text.contains("<meta http-equiv"));
        let log = play.priya.get(&play.under("staging", &format!("/run/log?id={run}"))).await;
        assert_eq!(log.text, "Running upgrade\nERROR <b>lock timeout</b>\n");
        assert!(log.header("content-disposition").starts_with("attachment;"));

        play.app.clock.advance(SignedDuration::from_secs(61));
        let page = play.priya.get(&place).await;
        assert!(page.text.contains("<h2 id=\"answer\">Unknown</h2>") && page.text.contains("What did this run do?"), "{}", page.text);
        assert!(!play.aiko.get(&place).await.text.contains("What did this run do?"));
        let id = run.to_string();
        let verdict = play.under("staging", "/run/verdict");
        let partly = [("run", id.as_str()), ("verdict", "partly"), ("note", "looked at alembic_version")];
        let refused = play.priya.post(&verdict, &partly).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert!(refused.text.contains("Name the revision") && refused.text.contains("looked at alembic_version</textarea>"));
        let applied = [("run", id.as_str()), ("verdict", "applied"), ("note", "alembic current says so")];
        assert_eq!(play.priya.post(&verdict, &applied).await.status, 303);
        let page = play.priya.get(&place).await;
        assert!(page.text.contains("says Priya Nair on") && page.text.contains("Going back"), "{}", page.text);
        assert_eq!(play.facts("staging").await.last_status(), RunStatus::Succeeded);
    }

    async fn a_run_is_watched_and_rolled_back(engine: Engine) {
        let mut play = Play::new(engine).await;
        play.prepare("staging").await;
        play.at("2025-11-18T14:30:00Z").await;
        let run = play.apply("staging").await;
        let place = play.under("staging", "/run");
        let observe = play.under("staging", "/run/observation");
        let page = play.priya.get(&place).await;
        assert!(page.text.contains("smoke checks have not passed yet") && page.text.contains("<progress"), "{}", page.text);
        let healthy = [("run", &*run.to_string()), ("verdict", "healthy"), ("note", "quiet")].map(|(a, b)| (a, b.to_owned()));
        let healthy: Vec<(&str, &str)> = healthy.iter().map(|(a, b)| (*a, b.as_str())).collect();
        assert_eq!(play.priya.post(&observe, &healthy).await.status, 409);
        for item in ["smoke-api-health", "smoke-scheduler", "smoke-risk"] {
            let fields = [("done", "true"), ("note", "looked"), ("evidence_digest", "")];
            let stated = play.priya.post(&play.under("staging", &format!("/checklist/{item}")), &fields).await;
            assert_eq!((stated.status, stated.location()), (303, play.under("staging", "/run#smoke").as_str()), "{}", stated.text);
        }
        let report = play.priya.upload(&play.under("staging", "/artifacts"), &[("kind", "smoke-report")], "s.xml", kit::SMOKE.as_bytes()).await;
        assert_eq!(report.location(), play.under("staging", "/run#smoke"));
        assert!(play.priya.get(&place).await.text.contains("So far, yes"));
        let empty = play.priya.post(&observe, &[("run", &run.to_string()), ("verdict", "unhealthy"), ("note", "")]).await;
        assert_eq!(empty.status, 422);
        assert!(empty.text.contains("Say what is wrong."));
        let sick = play.priya.post(&observe, &[("run", &run.to_string()), ("verdict", "unhealthy"), ("note", "<fills> late")]).await;
        assert_eq!(sick.status, 303);
        sound(&play.priya, &place).await;
        sound(&play.daniel, &place).await;
        let page = play.priya.get(&place).await;
        assert!(page.text.contains("<h2 id=\"answer\">No</h2>") && page.text.contains("&#60;fills&#62; late"));
        assert!(page.text.contains(">Release rollback token</button>") && page.text.contains("v2025.10.23"), "{}", page.text);

        play.app.clock.advance(SignedDuration::from_secs(60));
        let back = play.under("staging", "/rollback");
        assert_eq!(play.daniel.post(&back, &[("run", &run.to_string()), ("method", "downgrade")]).await.status, 403);
        let shown = play.priya.post(&back, &[("run", &run.to_string()), ("method", "downgrade")]).await;
        assert_eq!(shown.status, 200, "{}", shown.text);
        assert!(shown.header("cache-control").contains("no-store"));
        assert!(shown.text.contains("alembic downgrade d48b1e9c5f62") && shown.text.contains("countersign rollback CHG-1"));
        let at = shown.text.find("csa_").expect("a token");
        let redeemed = play.redeem("staging", Intent::Rollback(Method::Downgrade), &shown.text[at..at + 54]).await.unwrap();
        play.finish(redeemed.run, Outcome::Succeeded, kit::FROM).await;
        let page = play.priya.get(&place).await;
        assert!(page.text.contains("<h1>Rollback of staging</h1>") && page.text.contains(">Rolled back</h2>"), "{}", page.text);
        let first = play.priya.get(&format!("{place}?id={run}")).await;
        assert!(first.text.contains("This is an earlier run.") && first.text.contains(">Undone</h2>"));
    }

    async fn the_record_is_filed_and_every_link_of_it_leads_somewhere(engine: Engine) {
        let mut play = Play::new(engine).await;
        play.staging().await;
        play.prepare("production").await;
        play.at("2025-11-20T14:05:00Z").await;
        play.apply("production").await;
        play.smoke("production").await;
        play.upload("production", ArtifactKind::MonitoringSnapshot, "board.json", b"{}").await.unwrap();
        let place = format!("/tickets/{}/completion", play.ticket);
        let early = play.priya.get(&place).await;
        assert!(early.text.contains("disabled>File notes</button>") && early.text.contains("production has not run"), "{}", early.text);
        play.at("2025-11-20T14:40:00Z").await;
        play.judge("production", Health::Healthy).await;

        let form = play.priya.get(&place).await;
        assert!(form.text.contains("<button class=\"btn act\">File notes</button>"), "{}", form.text);
        let version = hidden(&form.text, "version");
        let empty = play.priya.post(&place, &[("version", &version), ("notes", "")]).await;
        assert_eq!(empty.status, 422, "{}", empty.text);
        assert!(empty.text.contains("Completion notes can&#39;t be empty"), "{}", empty.text);
        let stale = play.priya.post(&place, &[("version", "1"), ("notes", "Done as <planned>.")]).await;
        assert_eq!(stale.status, 409);
        assert!(stale.text.contains("Done as &#60;planned&#62;.</textarea>"));
        assert_eq!(play.daniel.post(&place, &[("version", &version), ("notes", "Mine.")]).await.status, 403);
        let filed = play.priya.post(&place, &[("version", &version), ("notes", "Done as <planned>.")]).await;
        assert_eq!((filed.status, filed.location()), (303, place.as_str()), "{}", filed.text);

        for who in [&play.priya, &play.daniel, &play.aiko] {
            for stage in ["staging", "production"] {
                for rest in ["/decide", "/token", "/run", "/diff", "/artifacts/upgrade-sql", "/artifacts/dry-run-report"] {
                    sound(who, &play.under(stage, rest)).await;
                }
            }
            sound(who, &place).await;
        }
        let record = play.aiko.get(&place).await;
        for told in [
            "<h2 id=\"answer\">Completed</h2>", "Done as &#60;planned&#62;.", "Daniel Okafor", "Marta Kovacs", "dashboards quiet",
            "Smoke report v1", "Monitoring snapshot v1", "signed grant", "policy version 1", "Judged healthy",
        ] {
            assert!(record.text.contains(told), "{told} in {}", record.text);
        }
        assert!(!record.text.contains("File notes</button>"));
        let article = record.text.split("<article").nth(1).unwrap().split("</article>").next().unwrap();
        let mut links: Vec<String> =
            article.split(" href=\"").skip(1).map(|rest| unescaped(rest.split('"').next().unwrap())).collect();
        links.retain(|link| !link.starts_with('#'));
        links.sort();
        links.dedup();
        assert!(links.len() > 25, "{links:?}");
        for link in links {
            let there = play.aiko.get(&link).await;
            assert_eq!(there.status, 200, "{link}: {}", there.text);
        }
        let digest = play.facts("production").await.this.runs[0].evidence;
        let canonical = play.aiko.get(&play.under("production", &format!("/evidence/{digest}"))).await;
        assert_eq!(countersign::domain::digest::Digest::of(canonical.text.as_bytes()), digest);
        assert!(canonical.header("content-disposition").starts_with("attachment;"));
        let elsewhere = play.aiko.get(&play.under("staging", &format!("/evidence/{digest}"))).await;
        assert_eq!(elsewhere.status, 404, "another stage's evidence");
    }

    async fn an_emergency_says_what_it_waives_and_closes_with_a_retrospective(engine: Engine) {
        let play = Play::with(engine, play::emergency(), &[]).await;
        play.ready_to_vote("staging").await;
        let page = play.daniel.get(&play.under("staging", "/decide")).await;
        for told in ["This is an emergency", "<b>Window is waived.</b>", "clients see wrong positions"] {
            assert!(page.text.contains(told), "{told} in {}", page.text);
        }
        let place = format!("/tickets/{}/completion", play.ticket);
        assert!(play.priya.get(&place).await.text.contains("name=\"retrospective\""));
    }
}

trait LastStatus {
    fn last_status(&self) -> RunStatus;
}

impl LastStatus for countersign::domain::facts::Facts {
    fn last_status(&self) -> RunStatus {
        self.this.last_upgrade().expect("a run").status
    }
}
