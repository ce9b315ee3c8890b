use super::*;
use crate::clock::PlayedClock;
use crate::domain::policy::RUNBOOK;
use crate::domain::user::Role;
use crate::service::testing::{dump, epoch, log, on_both_engines, person};

on_both_engines! {
    the_first_file_makes_the_application, one_content_is_one_version, going_back_is_a_new_version,
    environments_stay_and_others_follow, refusals_change_and_record_nothing, racing_files_get_different_versions,
    versions_are_listed_newest_first,
}

fn environment(name: &str, quorum: u32) -> String {
    format!(
        "[[environment]]\nname = \"{name}\"\nwindows = []\nobserve = \"1h\"\nquorum = {quorum}\nsnapshot_max_age = \"1h\"\n\
         dry_run_max_age = \"1h\"\n\
         [[environment.checklist]]\nkey = \"sql-rendered\"\nwhen = \"preflight\"\nkind = \"automatic\"\nlabel = \"SQL\"\n\
         [[environment.checklist]]\nkey = \"dry-run-passed\"\nwhen = \"preflight\"\nkind = \"automatic\"\nlabel = \"Run\"\n"
    )
}

fn file(application: &str, quorum: u32, environments: &[&str]) -> String {
    let environments: String = environments.iter().map(|name| environment(name, quorum)).collect();
    format!("version = 1\napplication = \"{application}\"\n{environments}")
}

async fn apply(services: &Services, toml: &str) -> Result<AppliedPolicy, ServiceError> {
    services.apply_policy(None, toml).await
}

async fn the_first_file_makes_the_application(services: &Services, _: &PlayedClock) {
    let admin = person(services, "ada@example.org", &[Role::Admin]).await;
    assert!(services.applications().await.unwrap().is_empty());
    let before = (log(services).await.len(), epoch(services).await);
    let applied = services.apply_policy(Some(&admin), RUNBOOK).await.unwrap();
    let sha256 = Digest::of(RUNBOOK.as_bytes());
    let expected = AppliedPolicy { application: "trading-backend".into(), version: 1, sha256, changed: true };
    assert_eq!(applied, expected);
    assert_eq!(log(services).await[before.0..], ["policy.applied"]);
    assert_eq!(epoch(services).await, before.1 + 1);
    let applications = services.applications().await.unwrap();
    assert_eq!(applications.len(), 1);
    assert_eq!(applications[0].environments, ["staging", "production"]);
    let kept = services.policy_version("trading-backend", None).await.unwrap();
    assert_eq!((kept.version, kept.sha256, kept.toml.as_str()), (1, sha256, RUNBOOK));
    assert_eq!(kept.created_by_name.as_deref(), Some("ada"));
    let mut read = services.db.read().await.unwrap();
    let entry = crate::store::audit::newest(&mut read, None, i64::MAX, 1).await.unwrap().remove(0);
    assert!(entry.event.contains(&sha256.to_string()), "{}", entry.event);
}

async fn one_content_is_one_version(services: &Services, _: &PlayedClock) {
    let first = apply(services, RUNBOOK).await.unwrap();
    let before = dump(services, &[]).await;
    let again = apply(services, RUNBOOK).await.unwrap();
    assert_eq!(again, AppliedPolicy { changed: false, ..first });
    assert_eq!(dump(services, &[]).await, before);
    let other = apply(services, &format!("{RUNBOOK}\n# one more remark\n")).await.unwrap();
    assert_eq!((other.version, other.changed), (2, true));
}

async fn going_back_is_a_new_version(services: &Services, _: &PlayedClock) {
    let (one, two) = (file("a", 1, &["staging"]), file("a", 2, &["staging"]));
    for (toml, version) in [(&one, 1), (&two, 2), (&two, 2), (&one, 3)] {
        assert_eq!(apply(services, toml).await.unwrap().version, version);
    }
    assert_eq!(services.policy_version("a", None).await.unwrap().toml, one);
}

async fn environments_stay_and_others_follow(services: &Services, _: &PlayedClock) {
    apply(services, &file("a", 1, &["staging", "production"])).await.unwrap();
    let before = dump(services, &[]).await;
    for names in [
        &["production", "staging"][..],
        &["staging"],
        &["staging", "live"],
        &["qa", "staging", "production"],
        &["staging", "qa", "production"],
    ] {
        let refused = apply(services, &file("a", 1, names)).await.unwrap_err();
        assert!(
            matches!(refused, ServiceError::Conflict { code: "environments-changed", .. }),
            "{names:?}: {refused:?}"
        );
        assert!(refused.to_string().contains("staging, production"), "{refused}");
    }
    assert_eq!(dump(services, &[]).await, before);
    apply(services, &file("b", 1, &["production"])).await.unwrap();
    apply(services, &file("a", 1, &["staging", "production", "archive"])).await.unwrap();
    let before = services.queries();
    let applications = services.applications().await.unwrap();
    assert_eq!(services.queries() - before, 2);
    assert_eq!(applications[0].environments, ["staging", "production", "archive"]);
    assert_eq!(applications[1].environments, ["production"]);
}

async fn refusals_change_and_record_nothing(services: &Services, _: &PlayedClock) {
    let board = person(services, "ada@example.org", &[Role::Board, Role::Engineer, Role::Auditor]).await;
    let before = dump(services, &[]).await;
    let refused = services.apply_policy(Some(&board), RUNBOOK).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Refused(_)), "{refused:?}");
    let wrong = file("a", 0, &["staging", "staging"]);
    let Err(ServiceError::Invalid { faults }) = apply(services, &wrong).await else { panic!() };
    assert_eq!(faults.len(), Services::check_policy(&wrong).unwrap_err().len());
    assert!(faults.len() > 1 && faults.iter().all(|f| f.field == "toml"), "{faults:?}");
    for unknown in ["nothing", "a\0b", ""] {
        let refused = services.policy_version(unknown, None).await;
        assert!(matches!(refused, Err(ServiceError::NotFound(_))), "{refused:?}");
        let refused = services.policy_versions(unknown, None).await;
        assert!(matches!(refused, Err(ServiceError::NotFound(_))), "{refused:?}");
    }
    assert_eq!(dump(services, &[]).await, before);
    assert!(Services::check_policy(RUNBOOK).is_ok());
}

async fn racing_files_get_different_versions(services: &Services, _: &PlayedClock) {
    let files: Vec<String> = (1..=8).map(|quorum| file("a", quorum, &["staging"])).collect();
    let racers: Vec<_> = files
        .into_iter()
        .map(|toml| {
            let services = services.clone();
            tokio::spawn(async move { apply(&services, &toml).await.unwrap().version })
        })
        .collect();
    let mut versions = Vec::new();
    for racer in racers {
        versions.push(racer.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=8).collect::<Vec<_>>());
    assert_eq!(log(services).await, ["policy.applied"; 8]);
}

async fn versions_are_listed_newest_first(services: &Services, _: &PlayedClock) {
    for quorum in 1..=3 {
        apply(services, &file("b", quorum, &["staging"])).await.unwrap();
    }
    apply(services, &file("a", 1, &["staging"])).await.unwrap();
    let newest = services.policies().await.unwrap();
    let newest: Vec<_> = newest.iter().map(|p| (p.application.as_str(), p.version)).collect();
    assert_eq!(newest, [("a", 1), ("b", 3)]);
    let numbers = async |before| {
        let versions = services.policy_versions("b", before).await.unwrap();
        versions.iter().map(|p| p.version).collect::<Vec<_>>()
    };
    assert_eq!(numbers(None).await, [3, 2, 1]);
    assert_eq!(numbers(Some(3)).await, [2, 1]);
    assert_eq!(services.policy_version("b", Some(2)).await.unwrap().toml, file("b", 2, &["staging"]));
    assert!(services.policy_version("b", Some(4)).await.is_err());
}
