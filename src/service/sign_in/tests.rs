use std::net::Ipv4Addr;

use super::*;
use crate::clock::PlayedClock;
use crate::domain::user::{Role, Scope};
use crate::service::testing::{DESK, dump, log, new_user, on_both_engines, password, person, services};
use crate::store::Engine;

on_both_engines! {
    all_failures_look_and_cost_the_same, an_account_is_throttled_however_it_is_spelled, a_network_is_throttled,
    one_network_cant_lock_an_owner_out_of_another, many_at_once_dont_slip_past_the_count, success_is_not_counted,
    a_session_ends_when_it_is_idle_or_old, a_session_is_one_query_and_seldom_a_write, signing_out_ends_one_or_all,
    changing_the_password_ends_other_sessions, of_two_password_changes_one_wins, reauthentication_is_throttled_and_audited, forms_of_each_session_differ,
    text_from_outside_is_harmless,
}

const ADA: &str = "ada@example.org";

fn wrong() -> PlainPassword {
    PlainPassword::given("not the password at all".to_owned())
}

fn from(network: u8) -> IpAddr {
    Ipv4Addr::new(198, 51, network, 9).into()
}

async fn fail(services: &Services, email: &str, client: IpAddr) -> ServiceError {
    services.sign_in(email, wrong(), client, "test").await.unwrap_err()
}

async fn token(services: &Services) -> String {
    services.sign_in(ADA, password(), DESK, "test").await.unwrap().token.reveal().to_owned()
}

fn is_throttled(error: &ServiceError) -> bool {
    matches!(error, ServiceError::Throttled { seconds: 1..=900 })
}

async fn all_failures_look_and_cost_the_same(services: &Services, _: &PlayedClock) {
    person(services, ADA, &[Role::Admin]).await;
    let gone = person(services, "gone@example.org", &[Role::Engineer]).await;
    services.deactivate_user(None, gone.user).await.unwrap();
    let new = new_user("new@example.org", &[Role::Engineer]);
    services.add_user(None, new, None).await.unwrap();
    let mut answers = Vec::new();
    for (email, password) in [
        (ADA, wrong()),
        ("nobody@example.org", password()),
        ("no address", password()),
        ("gone@example.org", password()),
        ("new@example.org", password()),
    ] {
        let (hashes, queries) = (services.hasher.hashes_done(), services.queries());
        let events = log(services).await.len();
        let asked = services.queries() - queries;
        let error = services.sign_in(email, password, DESK, "test").await.unwrap_err();
        assert!(
            matches!(error, ServiceError::Unauthenticated { code: "bad-credentials", .. }),
            "{email}: {error:?}"
        );
        answers.push((
            error.to_string(),
            services.hasher.hashes_done() - hashes,
            services.queries() - queries - asked,
        ));
        assert_eq!(log(services).await[events..], ["sign-in.failed"], "{email}");
    }
    assert_eq!(answers[0].1, 1, "one hash");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

async fn an_account_is_throttled_however_it_is_spelled(services: &Services, clock: &PlayedClock) {
    person(services, ADA, &[Role::Admin]).await;
    for spelling in ["ada@example.org", "ADA@example.org", " Ada@Example.Org "].into_iter().cycle().take(10) {
        assert!(!is_throttled(&fail(services, spelling, DESK).await));
    }
    let (before, hashes) = (dump(services, &[]).await, services.hasher.hashes_done());
    for spelling in ["ada@example.org", "ADA@EXAMPLE.ORG"] {
        let right = services.sign_in(spelling, password(), DESK, "test").await.unwrap_err();
        assert!(is_throttled(&right), "{right:?}");
    }
    assert_eq!(dump(services, &[]).await, before, "what is not tried leaves no trace");
    assert_eq!(services.hasher.hashes_done(), hashes);
    assert!(!is_throttled(&fail(services, "bob@example.org", DESK).await), "others may still try");
    clock.advance(SignedDuration::from_mins(15));
    token(services).await;
}

async fn a_network_is_throttled(services: &Services, _: &PlayedClock) {
    person(services, ADA, &[Role::Admin]).await;
    for number in 0..100 {
        let neighbour = Ipv4Addr::new(203, 0, 113, number).into();
        let email = format!("user{number}@example.org");
        assert!(!is_throttled(&fail(services, &email, neighbour).await), "{number}");
    }
    let error = services.sign_in(ADA, password(), DESK, "test").await.unwrap_err();
    assert!(is_throttled(&error), "{error:?}");
    assert!(services.sign_in(ADA, password(), from(1), "test").await.is_ok());
}

async fn one_network_cant_lock_an_owner_out_of_another(services: &Services, _: &PlayedClock) {
    person(services, ADA, &[Role::Admin]).await;
    for _ in 0..30 {
        fail(services, ADA, from(1)).await;
    }
    token(services).await;
    // From many networks, the account as a whole is full after 25.
    for number in 2..30 {
        fail(services, ADA, from(number)).await;
    }
    assert!(is_throttled(&fail(services, ADA, DESK).await));
}

async fn many_at_once_dont_slip_past_the_count(services: &Services, _: &PlayedClock) {
    person(services, ADA, &[Role::Admin]).await;
    let hashes = services.hasher.hashes_done();
    let tries: Vec<_> = (0..25)
        .map(|_| {
            let services = services.clone();
            tokio::spawn(async move { fail(&services, ADA, DESK).await })
        })
        .collect();
    let mut throttled = 0;
    for attempt in tries {
        throttled += u32::from(is_throttled(&attempt.await.unwrap()));
    }
    assert_eq!(throttled, 15);
    assert_eq!(services.hasher.hashes_done() - hashes, 10);
}

async fn success_is_not_counted(services: &Services, _: &PlayedClock) {
    let ada = person(services, ADA, &[Role::Admin]).await;
    for _ in 0..12 {
        token(services).await;
        services.reauthenticate(&ada, &password()).await.unwrap();
    }
}

async fn a_session_ends_when_it_is_idle_or_old(services: &Services, clock: &PlayedClock) {
    person(services, ADA, &[Role::Admin]).await;
    let idle = token(services).await;
    clock.advance(services.limits.session_idle - SignedDuration::from_micros(1));
    assert!(services.session_actor(&idle).await.unwrap().is_some(), "and is seen, so goes on");
    clock.advance(services.limits.session_idle - SignedDuration::from_micros(1));
    assert!(services.session_actor(&idle).await.unwrap().is_some());
    clock.advance(services.limits.session_idle);
    assert!(services.session_actor(&idle).await.unwrap().is_none());

    let signed_in = services.sign_in(ADA, password(), DESK, "test").await.unwrap();
    assert_eq!(signed_in.expires_at, services.now() + services.limits.session_max);
    let old = signed_in.token.reveal();
    while services.now() + SignedDuration::from_mins(30) < signed_in.expires_at {
        clock.advance(SignedDuration::from_mins(30));
        assert!(services.session_actor(old).await.unwrap().is_some());
    }
    clock.set(signed_in.expires_at);
    assert!(services.session_actor(old).await.unwrap().is_none(), "however much it is used");
    token(services).await;
    let mut read = services.db.read().await.unwrap();
    let kept: i64 = crate::store::Conn::sql(&mut read, "SELECT COUNT(*) FROM sessions").one().await.unwrap();
    assert_eq!(kept, 1, "sessions that ended are forgotten");
}

async fn a_session_is_one_query_and_seldom_a_write(services: &Services, clock: &PlayedClock) {
    person(services, ADA, &[Role::Admin, Role::Engineer]).await;
    let token = token(services).await;
    let ask = async |expected: u64| {
        let before = services.queries();
        let found = services.session_actor(&token).await.unwrap().unwrap();
        assert_eq!(found.actor.roles, [Role::Admin, Role::Engineer].into());
        assert_eq!(found.email, ADA);
        assert_eq!(services.queries() - before, expected);
    };
    ask(1).await;
    clock.advance(SignedDuration::from_secs(59));
    ask(1).await;
    clock.advance(SignedDuration::from_secs(1));
    ask(2).await;
    ask(1).await;
    let before = services.queries();
    for unknown in ["", "css_", &token.replace("css_", "csp_"), &token[1..]] {
        assert!(services.session_actor(unknown).await.unwrap().is_none());
    }
    assert_eq!(services.queries(), before, "what is no token is not looked up");
}

async fn signing_out_ends_one_or_all(services: &Services, _: &PlayedClock) {
    let desk = person(services, ADA, &[Role::Admin]).await;
    let (first, second) = (token(services).await, token(services).await);
    let actor = services.session_actor(&first).await.unwrap().unwrap().actor;
    let before = log(services).await.len();
    services.sign_out(&actor).await.unwrap();
    services.sign_out(&actor).await.unwrap();
    assert!(services.session_actor(&first).await.unwrap().is_none());
    assert!(services.session_actor(&second).await.unwrap().is_some());
    assert_eq!(log(services).await[before..], ["session.ended"]);

    let bob = person(services, "bob@example.org", &[Role::Board]).await;
    assert!(services.sign_out_everywhere(&bob, desk.user).await.is_err());
    assert!(services.session_actor(&second).await.unwrap().is_some());
    let before = log(services).await.len();
    assert_eq!(services.sign_out_everywhere(&desk, desk.user).await.unwrap(), 2);
    assert_eq!(services.sign_out_everywhere(&desk, desk.user).await.unwrap(), 0);
    assert!(services.session_actor(&second).await.unwrap().is_none());
    assert_eq!(log(services).await[before..], ["session.ended", "session.ended"]);
    assert_eq!(services.sign_out_everywhere(&desk, bob.user).await.unwrap(), 1);
}

async fn changing_the_password_ends_other_sessions(services: &Services, _: &PlayedClock) {
    person(services, ADA, &[Role::Admin]).await;
    let ada = services.find_user(ADA).await.unwrap().unwrap().id;
    let link = services.reset_user(None, ada, None).await.unwrap().enrolment;
    let (here, elsewhere) = (token(services).await, token(services).await);
    let actor = services.session_actor(&here).await.unwrap().unwrap().actor;
    let renewed = "another ship, another star";
    let before = log(services).await.len();
    let refused = services.change_password(&actor, wrong(), renewed.to_owned()).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Mismatch { code: "wrong-password", .. }), "{refused:?}");
    assert_eq!(log(services).await[before..], ["sign-in.failed"]);
    let refused = services.change_password(&actor, password(), ADA.to_owned()).await.unwrap_err();
    assert!(matches!(&refused, ServiceError::Invalid { faults } if faults[0].field == "new_password"));
    let before = log(services).await.len();
    services.change_password(&actor, password(), renewed.to_owned()).await.unwrap();
    assert_eq!(log(services).await[before..], ["user.password-changed", "session.ended"]);
    assert!(services.session_actor(&here).await.unwrap().is_some());
    assert!(services.session_actor(&elsewhere).await.unwrap().is_none());
    assert!(services.enrolment_of(link.reveal()).await.is_err(), "nobody can undo it with an older link");
    assert!(services.sign_in(ADA, password(), DESK, "test").await.is_err());
    let renewed = PlainPassword::given(renewed.to_owned());
    assert!(services.sign_in(ADA, renewed, DESK, "test").await.is_ok());
}

/// Whoever changes it second was checked against a password that holds no more.
async fn of_two_password_changes_one_wins(services: &Services, _: &PlayedClock) {
    for round in 0..5 {
        let actor = person(services, &format!("ada{round}@example.org"), &[Role::Admin]).await;
        let (first, second) = tokio::join!(
            services.change_password(&actor, password(), "another ship, another star".to_owned()),
            services.change_password(&actor, password(), "a third ship, a third star".to_owned()),
        );
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    }
}

async fn reauthentication_is_throttled_and_audited(services: &Services, clock: &PlayedClock) {
    let ada = person(services, ADA, &[Role::Board]).await;
    let before = log(services).await.len();
    services.reauthenticate(&ada, &password()).await.unwrap();
    assert_eq!(log(services).await.len(), before, "the act that needed it is audited");
    for _ in 0..10 {
        let refused = services.reauthenticate(&ada, &wrong()).await.unwrap_err();
        assert!(matches!(refused, ServiceError::Mismatch { code: "wrong-password", .. }), "{refused:?}");
    }
    assert_eq!(log(services).await[before..], ["sign-in.failed"; 10]);
    assert!(is_throttled(&services.reauthenticate(&ada, &password()).await.unwrap_err()));
    token(services).await; // a stolen session must not lock its owner out
    clock.advance(SignedDuration::from_mins(15));
    services.reauthenticate(&ada, &password()).await.unwrap();
    let robot = Actor {
        via: Via::Token {
            id: crate::domain::id::ApiTokenId(uuid::Uuid::nil()),
            name: String::new(),
            scopes: Scope::ALL.iter().copied().collect(),
        },
        ..ada
    };
    let hashes = services.hasher.hashes_done();
    let refused = services.reauthenticate(&robot, &password()).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Refused(_)), "{refused:?}");
    assert_eq!(services.hasher.hashes_done(), hashes);
}

async fn forms_of_each_session_differ(services: &Services, _: &PlayedClock) {
    person(services, ADA, &[Role::Admin]).await;
    let (first, second) = (token(services).await, token(services).await);
    let csrf =
        async |token: &str| services.session_actor(token).await.unwrap().unwrap().csrf.reveal().to_owned();
    assert_eq!(csrf(&first).await, csrf(&first).await);
    assert_ne!(csrf(&first).await, csrf(&second).await);
}

async fn text_from_outside_is_harmless(services: &Services, _: &PlayedClock) {
    person(services, ADA, &[Role::Admin]).await;
    for email in ["a\0@example.org", "\u{202E}@example.org", "' OR 1=1 --", &"a".repeat(100_000)] {
        assert!(!is_throttled(&fail(services, email, DESK).await), "{email:.20}");
        assert_eq!(services.find_user(email).await.unwrap(), None);
        assert_eq!(services.list_users(Some(email)).await.unwrap().len(), 1);
    }
    let agent = format!("Bro\0wser\n{}", "x".repeat(10_000));
    services.sign_in(ADA, password(), DESK, &agent).await.unwrap();
    assert!(dump(services, &[]).await.contains("Browserxxx"));
}

#[tokio::test]
async fn a_session_survives_that_its_use_cant_be_noted() {
    let (services, clock, _guard) = services(Engine::Sqlite).await.unwrap();
    person(&services, ADA, &[Role::Admin]).await;
    let token = token(&services).await;
    clock.advance(SignedDuration::from_mins(2));
    let hold = services.db.write().await.unwrap();
    let asked = services.session_actor(&token);
    let (found, ()) = tokio::join!(asked, async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        drop(hold);
    });
    assert!(found.unwrap().is_some());
}
