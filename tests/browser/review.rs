//! Reviewing in a real browser: at a desk and on a phone, by keys alone, and without any script.

use countersign::domain::facts::Choice;
use jiff::SignedDuration;

use crate::driver::{DESK, Driver, PHONE, PLAIN, Tab};
use crate::on_both_engines;
use crate::support::client::PASSWORD;
use crate::support::play::Play;

/// What the browser refused to load or to run, and whatever a script complained of.
fn complaints(tab: &Tab) -> Vec<String> {
    let messages = tab.page.console_messages();
    messages
        .iter()
        .filter(|m| ["error", "warning"].contains(&m.type_()))
        .map(|m| m.text().to_owned())
        .collect()
}

async fn sound(tab: &Tab, what: &str) {
    assert_eq!(tab.axe().await, [] as [String; 0], "{what}");
    assert_eq!(complaints(tab), [] as [String; 0], "{what}");
    let wide = tab.page.evaluate_value("String(document.documentElement.scrollWidth > innerWidth)").await;
    assert_eq!(wide.expect("an answer"), "false", "{what} scrolls sideways");
}

async fn press(tab: &Tab, key: &str) {
    tab.page.keyboard().press(key, None).await.expect(key);
}

/// Waits until the page with this in its address is there and listens to keys.
async fn arrived(tab: &Tab, at: &str) {
    let ready =
        "String(document.readyState === 'complete' && document.querySelector('.keys')?.hidden === false)";
    for _ in 0..400 {
        // While one page follows another there is nothing to ask.
        let there = tab.page.url().contains(at);
        if there && tab.page.evaluate_value(ready).await.is_ok_and(|answer| answer == "true") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("at {}, not at {at}", tab.page.url());
}

/// Presses a key that leads to another page.
async fn leads(tab: &Tab, key: &str, to: &str) {
    press(tab, key).await;
    arrived(tab, to).await;
}

/// What has the focus: its classes and its text.
async fn focus(tab: &Tab) -> String {
    let script =
        "document.activeElement.className + ' ' + document.activeElement.textContent.trim().slice(0, 80)";
    tab.page.evaluate_value(script).await.expect("the focus")
}

/// Whether letters of any script stand in the order of their bytes: the code of a page, with Hebrew in it.
const IN_ORDER: &str = r#"(() => {
    const code = document.querySelector('.diff .c code'), range = document.createRange();
    code.textContent = 'x = "\u05d0\u05d1" - "\u05d2\u05d3" WHERE';
    const text = code.firstChild;
    const at = (i) => { range.setStart(text, i); range.setEnd(text, i + 1); return range.getBoundingClientRect().left; };
    return String([...text.data].every((_, i) => i === 0 || at(i) > at(i - 1)));
})()"#;

/// A ticket on which Daniel voted, and whose SQL changed since.
async fn changed(engine: crate::support::database::Engine) -> Play {
    let play = Play::new(engine).await;
    play.ready_to_vote("staging").await;
    play.vote(&play.daniel, "staging", Choice::Approve).await.expect("a vote");
    play.app.clock.advance(SignedDuration::from_mins(30));
    let mut kit = play.kit("staging").with_comment("second render");
    kit.upgrade = kit.upgrade.replace("DEFAULT '3'", "DEFAULT '5'");
    play.attach("staging", &kit).await;
    play.accept_all("staging").await;
    play
}

on_both_engines! {
    async fn a_review_at_a_desk_and_on_a_phone(engine: Engine) {
        let play = changed(engine).await;
        let driver = Driver::start().await;
        for (window, what) in [(DESK, "1440"), (PHONE, "390")] {
            let tab = driver.open(&play.app.base, window).await;
            tab.sign_in(&play.daniel.email, PASSWORD).await;
            for (path, name) in [
                ("/diff", "since-vote"),
                ("/diff?view=split", "split"),
                ("/diff?view=unified&from=none", "whole"),
                ("/diff?from=none&line=R5", "ask"),
                ("/diff?kind=downgrade-sql", "unchanged"),
                ("/decide", "decide"),
            ] {
                assert_eq!(tab.goto(&play.under("staging", path)).await, 200, "{path}");
                tab.screenshot(&format!("review-{name}-{what}")).await;
                sound(&tab, &format!("{path} at {what}")).await;
                tab.page.evaluate_value("document.documentElement.dataset.theme = 'dark'").await.expect("dark");
                tab.screenshot(&format!("review-{name}-{what}-dark")).await;
                assert_eq!(tab.axe().await, [] as [String; 0], "{path} at {what}, dark");
            }
        }
        let tab = driver.open(&play.app.base, DESK).await;
        tab.sign_in(&play.daniel.email, PASSWORD).await;
        tab.goto(&play.under("staging", "/diff")).await;
        assert_eq!(tab.page.evaluate_value(IN_ORDER).await.expect("an order"), "true");
        driver.stop().await;
    }

    async fn keys_alone_are_enough(engine: Engine) {
        let play = changed(engine).await;
        let driver = Driver::start().await;
        let tab = driver.open(&play.app.base, DESK).await;
        tab.sign_in(&play.daniel.email, PASSWORD).await;
        tab.goto(&play.under("staging", "/diff")).await;
        arrived(&tab, "/diff").await;
        assert!(tab.body().await.contains("What changed since your vote"));

        press(&tab, "j").await;
        assert!(focus(&tab).await.starts_with("ins") || focus(&tab).await.starts_with("del"), "{}", focus(&tab).await);
        press(&tab, "n").await;
        assert!(focus(&tab).await.contains("fnd"), "{}", focus(&tab).await);
        leads(&tab, "s", "view=split").await;
        assert_eq!(tab.count("table.diff.split").await, 1);
        leads(&tab, "u", "view=unified").await;
        leads(&tab, "x", "open=").await;
        leads(&tab, "]", "kind=downgrade-sql").await;
        leads(&tab, "[", "kind=upgrade-sql").await;

        // A comment: the key leads to the form, the form takes the focus, and keys are letters there.
        press(&tab, "j").await;
        leads(&tab, "c", "#ask").await;
        assert_eq!(tab.count("#ask textarea:focus").await, 1);
        tab.page.keyboard().type_text("just scanning", None).await.expect("typing");
        press(&tab, "Tab").await;
        press(&tab, "Tab").await;
        leads(&tab, "Enter", "#thread-").await;
        assert!(tab.text("article.thd").await.contains("just scanning"));
        assert_eq!(play.facts("staging").await.this.threads.len(), 1);

        press(&tab, "v").await;
        tab.page.locator(".flash").first().wait_for(None).await.expect("an answer");
        arrived(&tab, "/diff").await;
        assert!(tab.body().await.contains("is marked as read."));
        press(&tab, "d").await;
        assert_eq!(tab.count("details.sheet[open] input:focus").await, 1);
        press(&tab, "Escape").await;
        assert_eq!(tab.count("details.sheet[open]").await, 0);
        press(&tab, "?").await;
        assert!(focus(&tab).await.contains("Keys on"));
        press(&tab, "Enter").await;
        let before = tab.path();
        press(&tab, "s").await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert_eq!(tab.path(), before, "switched off");
        assert!(tab.text(".keys").await.contains("Keys off"));
        assert_eq!(complaints(&tab), [] as [String; 0]);
        driver.stop().await;
    }

    async fn a_review_without_any_script(engine: Engine) {
        let play = changed(engine).await;
        let driver = Driver::start().await;
        let tab = driver.open(&play.app.base, PLAIN).await;
        tab.sign_in(&play.marta.email, PASSWORD).await;
        let diff = play.under("staging", "/diff?from=staging:1&to=staging:2");
        tab.goto(&diff).await;
        assert_eq!(tab.count(".keys:visible").await, 0, "keys need a script");
        // A fold opens by its link.
        let folds = tab.count("tr.fold a").await;
        assert!(folds > 0);
        tab.page.locator("tr.fold a").first().click(None).await.expect("a fold");
        assert_eq!(tab.count("tr.fold a").await, folds - 1);
        // A line's number leads to the form below it.
        tab.page.locator("tr.ins .lnw a").first().click(None).await.expect("a line");
        tab.page.locator("#ask textarea").first().fill("Why <five>?", None).await.expect("a question");
        tab.page.locator("#ask input[type=checkbox]").first().check(None).await.expect("blocking");
        tab.press_in("#ask", "Open thread").await;
        assert!(tab.text("article.thd").await.contains("Why <five>?"));
        assert!(play.facts("staging").await.this.threads[0].blocking);
        tab.page.locator("article.thd textarea").first().fill("Asked and answered.", None).await.expect("a note");
        tab.press_in("article.thd", "Resolve thread").await;
        assert!(tab.text("article.thd").await.contains("Resolved by Marta Kovacs"));
        tab.press("Mark upgrade.sql as read").await;
        assert!(tab.body().await.contains("You marked it as read"));

        // Side by side, the next file, and on to the decision.
        tab.page.locator(".seg a").last().click(None).await.expect("side by side");
        assert_eq!(tab.count("table.diff.split").await, 1);
        tab.page.locator("details.sheet summary").click(None).await.expect("the sheet");
        tab.check("Approve for staging").await;
        tab.press("Continue to confirm").await;
        let page = tab.body().await;
        for told in ["What you sign", "Evidence digest", "Marta Kovacs has marked 1 of"] {
            assert!(page.contains(told), "{told} in {page}");
        }
        assert_eq!(tab.count("input[value=approve]:checked").await, 1, "chosen on the way");
        tab.fill("Password", PASSWORD).await;
        tab.press("Sign and record").await;
        assert!(tab.body().await.contains("Your approval is recorded."), "{}", tab.body().await);
        driver.stop().await;
    }
}
