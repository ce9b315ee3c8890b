//! Findings from the upload to the gate: what weighs, what stands, what the dry run measured.

use super::replay;
use super::scene::{Scene, refused};
use crate::clock::PlayedClock;
use crate::demo::kit;
use crate::domain::artifact::{ArtifactKind, Finding};
use crate::domain::policy::RUNBOOK;
use crate::domain::rule;
use crate::service::Services;
use crate::service::testing::on_both_engines;

on_both_engines! {
    policy_weighs_findings_when_the_ticket_moves_to_it,
    a_policy_that_names_no_rule_is_refused,
    a_downgrade_is_compared_with_the_upgrade_that_stands,
    hidden_text_blocks_until_somebody_outside_accepts_it,
    findings_carry_what_the_dry_run_measured,
}

/// The findings of a stage's current file of a kind.
async fn of(scene: &Scene<'_>, kind: ArtifactKind) -> Vec<Finding> {
    let this = scene.facts("staging").await.this;
    let file = this.newest(kind).expect("a file").id;
    this.findings.into_iter().filter(|f| f.artifact == file).collect()
}

fn rules(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|f| f.rule.as_str()).collect()
}

async fn policy_weighs_findings_when_the_ticket_moves_to_it(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.attach("staging", &scene.kit("staging")).await;
    scene.accept_all("staging").await;
    assert!(!scene.shut("staging").await.contains(&"review"));
    let digest = |facts: &crate::domain::facts::Facts| crate::domain::evidence::of(facts).unwrap().digest;
    let before = digest(&scene.facts("staging").await);
    let heavier = RUNBOOK.replacen(
        "smoke = \"either\"",
        "smoke = \"either\"\nrules = { table-rebuild = \"block\" }",
        1,
    );
    services.apply_policy(None, &heavier).await.unwrap();
    assert!(!scene.shut("staging").await.contains(&"review"), "the ticket is on the policy it was filed on");
    assert_eq!(digest(&scene.facts("staging").await), before);
    services.move_policy(&scene.priya, scene.ticket).await.unwrap();
    assert!(scene.shut("staging").await.contains(&"review"), "the same finding blocks now");
    assert_ne!(digest(&scene.facts("staging").await), before, "votes before the move don't count");
    scene.accept_all("staging").await;
    assert!(!scene.shut("staging").await.contains(&"review"));
    replay::check(services).await;
}

async fn a_policy_that_names_no_rule_is_refused(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    for (rules, wrong) in [
        ("drop-tabel = \"note\"", "did you mean “drop-table”?"),
        ("hidden-text = \"warn\"", "can't be set lower"),
    ] {
        let toml =
            RUNBOOK.replacen("smoke = \"either\"", &format!("smoke = \"either\"\nrules = {{ {rules} }}"), 1);
        let faults = Services::check_policy(&toml).unwrap_err();
        assert!(faults.len() == 1 && faults[0].message.contains(wrong), "{faults:?}");
        assert_eq!(refused(services.apply_policy(None, &toml).await), "toml");
    }
    drop(scene);
}

async fn a_downgrade_is_compared_with_the_upgrade_that_stands(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    let (up, down) = (ArtifactKind::UpgradeSql, ArtifactKind::DowngradeSql);
    let step = |a: &str, b: &str| {
        format!("UPDATE alembic_version SET version_num='{b}' WHERE alembic_version.version_num = '{a}';\n")
    };
    let upward = |sql: &str| format!("{sql};\n{}", step(kit::FROM, kit::TO));
    let downward = |sql: &str| format!("{sql};\n{}", step(kit::TO, kit::FROM));
    let upload = async |kind, sql: String| {
        scene.upload("staging", kind, "a.sql", sql.as_bytes()).await.unwrap();
    };
    upload(down, downward("ALTER TABLE trades DROP COLUMN venue")).await;
    assert_eq!(rules(&of(&scene, down).await), ["drop-column"], "nothing is known of the upgrade");
    upload(up, upward("ALTER TABLE trades ADD COLUMN venue text")).await;
    assert_eq!(rules(&of(&scene, up).await), [""; 0]);
    upload(down, downward("ALTER TABLE trades DROP venue")).await;
    assert_eq!(rules(&of(&scene, down).await), ["takes-back"]);
    // Another upgrade under a downgrade that was made light of.
    upload(up, upward("ALTER TABLE trades ADD COLUMN place text")).await;
    let found = of(&scene, up).await;
    assert_eq!(rules(&found), ["downgrade-does-not-undo", "downgrade-goes-further"]);
    assert!(scene.shut("staging").await.contains(&"review"));
    scene.accept_all("staging").await;
    let accepted = scene.facts("staging").await.this.accepted_findings().count();
    assert_eq!(accepted, 1);
    // The next downgrade fits: what was said of the pair before is out of date.
    upload(down, downward("ALTER TABLE trades DROP COLUMN place")).await;
    assert_eq!(rules(&of(&scene, up).await), [""; 0]);
    assert_eq!(rules(&of(&scene, down).await), ["takes-back"]);
    upload(down, downward("SELECT 1")).await;
    assert_eq!(rules(&of(&scene, down).await), ["downgrade-does-not-undo"]);
    replay::check(services).await;
}

async fn hidden_text_blocks_until_somebody_outside_accepts_it(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.attach("staging", &scene.kit("staging")).await;
    scene.accept_all("staging").await;
    let sql = "-- \u{202E}\u{2066}\nDROP INDEX tr\u{430}des_ix;\n";
    scene.upload("staging", ArtifactKind::DowngradeSql, "down.sql", sql.as_bytes()).await.unwrap();
    let found = of(&scene, ArtifactKind::DowngradeSql).await;
    for key in [rule::HIDDEN_TEXT.key, rule::HOMOGLYPH.key] {
        let finding = found.iter().find(|f| f.rule == key).unwrap();
        assert!(finding.blocks(), "{key}");
        let accept =
            services.accept_finding(&scene.priya, scene.ticket, "staging", finding.id, "Seen.").await;
        assert!(accept.is_err(), "who uploaded it does not accept it");
        assert!(scene.shut("staging").await.contains(&"review"));
    }
    scene.accept_all("staging").await;
    assert!(!scene.shut("staging").await.contains(&"review"));
    replay::check(services).await;
}

async fn findings_carry_what_the_dry_run_measured(services: &Services, clock: &PlayedClock) {
    let scene = Scene::new(services, clock).await;
    scene.attach("staging", &scene.kit("staging")).await;
    let facts = scene.facts("staging").await;
    let told = services.rehearsal(&facts.this).await.unwrap().unwrap();
    let found = of(&scene, ArtifactKind::UpgradeSql).await;
    let dropped = found.iter().find(|f| f.rule == "drop-column").unwrap();
    assert_eq!(told.facts_of(dropped.id), ["drops 2,000 non-null values of trades.legacy_ref"]);
    // A report about other SQL says nothing about this one.
    let sql = format!("{}-- Another line.\n", include_str!("../../demo/data/upgrade.sql"));
    scene.upload("staging", ArtifactKind::UpgradeSql, "up.sql", sql.as_bytes()).await.unwrap();
    let facts = scene.facts("staging").await;
    let told = services.rehearsal(&facts.this).await.unwrap().unwrap();
    assert!(facts.this.findings.iter().all(|f| told.facts_of(f.id).is_empty()));
}
