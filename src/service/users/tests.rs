use jiff::SignedDuration;

use super::*;
use crate::clock::PlayedClock;
use crate::domain::user::Scope;
use crate::secret::password::PlainPassword;
use crate::service::api_tokens::NewApiToken;
use crate::service::testing::{
    DESK, PASSWORD, dump, epoch, log, new_user, on_both_engines, password, person,
};

on_both_engines! {
    an_account_is_added_enrolled_and_signed_in, a_link_is_good_once, a_link_expires, an_address_is_one_account,
    refusals_change_and_record_nothing, nobody_makes_themselves_a_board_member, the_last_administrator_stays,
    two_administrators_cant_demote_each_other, deactivation_ends_everything_at_once, a_closed_account_acts_through_nothing, roles_are_read_for_each_request,
    a_reset_ends_sessions_and_keeps_the_password, who_shaped_an_account_is_kept, no_secret_is_stored_in_clear,
    users_are_listed_by_address,
}

fn code(error: &ServiceError) -> &'static str {
    match error {
        ServiceError::Refused(refusal) => refusal.code(),
        ServiceError::Conflict { code, .. } | ServiceError::Gone { code, .. } => code,
        ServiceError::Invalid { faults } => faults[0].field,
        ServiceError::NotFound(what) => what,
        other => panic!("{other:?}"),
    }
}

async fn sign_in(services: &Services, email: &str) -> Result<String, ServiceError> {
    let signed_in = services.sign_in(email, password(), DESK, "test").await?;
    Ok(signed_in.token.reveal().to_owned())
}

fn roles(roles: &[Role]) -> BTreeSet<Role> {
    roles.iter().copied().collect()
}

async fn an_account_is_added_enrolled_and_signed_in(services: &Services, _: &PlayedClock) {
    assert!(services.list_users(None).await.unwrap().is_empty(), "there is no default account");
    let mut new = new_user(" Ada@Example.org", &[Role::Admin]);
    new.name = " Ada ".to_owned();
    let created = services.add_user(None, new, None).await.unwrap();
    assert_eq!((created.user.email.as_str(), created.user.name.as_str()), ("ada@example.org", "Ada"));
    assert_eq!(created.expires_at.to_string(), "2025-11-20T13:00:00Z");
    let link = created.enrolment.reveal();
    let shown = services.enrolment_of(link).await.unwrap();
    assert_eq!((shown.name.as_str(), shown.email.as_str()), ("Ada", "ada@example.org"));
    assert!(sign_in(services, "ada@example.org").await.is_err(), "no password is chosen yet");
    let short = services.enrol(link, "short".to_owned()).await.unwrap_err();
    assert_eq!(code(&short), "password");
    assert_eq!(services.enrol(link, PASSWORD.to_owned()).await.unwrap(), created.user);
    let token = sign_in(services, "ada@example.org").await.unwrap();
    let actor = services.session_actor(&token).await.unwrap().unwrap().actor;
    assert_eq!((actor.user, actor.person), (created.user.id, created.user.person));
    assert_eq!(log(services).await, ["user.added", "sign-in.failed", "user.enrolled", "session.started"]);
}

async fn a_link_is_good_once(services: &Services, _: &PlayedClock) {
    let created = services.add_user(None, new_user("ada@example.org", &[Role::Admin]), None).await.unwrap();
    let link = created.enrolment.reveal();
    let (first, second) = tokio::join!(
        services.enrol(link, PASSWORD.to_owned()),
        services.enrol(link, "another ship, another star".to_owned()),
    );
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    let refused = first.err().or(second.err()).unwrap();
    assert_eq!(code(&refused), "link-used");
    assert_eq!(code(&services.enrolment_of(link).await.unwrap_err()), "link-used");
    assert_eq!(log(services).await, ["user.added", "user.enrolled"]);
    for unknown in ["", "csi_", &link.replace("csi_", "css_"), &format!("{link} ")] {
        assert_eq!(code(&services.enrolment_of(unknown).await.unwrap_err()), "enrolment link", "{unknown}");
    }
}

async fn a_link_expires(services: &Services, clock: &PlayedClock) {
    let half = Some(SignedDuration::from_mins(30));
    let created = services.add_user(None, new_user("ada@example.org", &[Role::Admin]), half).await.unwrap();
    let link = created.enrolment.reveal();
    clock.advance(SignedDuration::from_mins(30) - SignedDuration::from_micros(1));
    assert!(services.enrolment_of(link).await.is_ok());
    clock.advance(SignedDuration::from_micros(1));
    assert_eq!(code(&services.enrolment_of(link).await.unwrap_err()), "link-expired");
    let late = services.enrol(link, PASSWORD.to_owned()).await.unwrap_err();
    assert_eq!(code(&late), "link-expired");
    assert!(!services.list_users(None).await.unwrap()[0].enrolled);
}

async fn an_address_is_one_account(services: &Services, _: &PlayedClock) {
    let actor = person(services, "ada@example.org", &[Role::Admin]).await;
    for spelling in ["ADA@example.org", " ada@EXAMPLE.org\n", "Ada@Example.Org"] {
        let again = services.add_user(None, new_user(spelling, &[Role::Board]), None).await.unwrap_err();
        assert_eq!(code(&again), "email-taken", "{spelling}");
        assert_eq!(services.find_user(spelling).await.unwrap().unwrap().id, actor.user);
        assert!(sign_in(services, spelling).await.is_ok());
    }
    assert_eq!(services.find_user("not an address").await.unwrap(), None);
    assert_eq!(services.list_users(None).await.unwrap().len(), 1);
}

async fn refusals_change_and_record_nothing(services: &Services, _: &PlayedClock) {
    let admin = person(services, "ada@example.org", &[Role::Admin]).await;
    let board = person(services, "bob@example.org", &[Role::Board, Role::Engineer, Role::Auditor]).await;
    let mut robot = admin.clone();
    let every =
        NewApiToken { name: "ci".into(), scopes: Scope::ALL.iter().copied().collect(), expires_at: None };
    let (_, token) = services.create_api_token(&admin, every).await.unwrap();
    robot.via = services.bearer_actor(token.reveal()).await.unwrap().via;
    let before = dump(services, &[]).await;
    for (actor, why) in [(&board, "needs-role"), (&robot, "session-only")] {
        let actor = Some(actor);
        let eve = new_user("eve@example.org", &[Role::Board]);
        assert_eq!(code(&services.add_user(actor, eve, None).await.unwrap_err()), why);
        assert_eq!(code(&services.reset_user(actor, admin.user, None).await.unwrap_err()), why);
        let all = roles(Role::ALL);
        assert_eq!(code(&services.set_roles(actor, board.user, all).await.unwrap_err()), why);
        assert_eq!(code(&services.deactivate_user(actor, admin.user).await.unwrap_err()), why);
    }
    let nobody = UserId(uuid::Uuid::nil());
    let admin = Some(&admin);
    assert_eq!(code(&services.deactivate_user(admin, nobody).await.unwrap_err()), "account");
    assert_eq!(code(&services.reset_user(admin, nobody, None).await.unwrap_err()), "account");
    assert_eq!(code(&services.set_roles(admin, board.user, roles(&[])).await.unwrap_err()), "roles");
    let wrong = NewUser { email: "eve".into(), name: " ".into(), roles: roles(&[]), person: None };
    let Err(ServiceError::Invalid { faults }) = services.add_user(admin, wrong, None).await else { panic!() };
    assert_eq!(faults.iter().map(|f| f.field).collect::<Vec<_>>(), ["email", "name", "roles"]);
    // The same roles again are no change either.
    services.set_roles(admin, board.user, board.roles.clone()).await.unwrap();
    assert_eq!(dump(services, &[]).await, before);
}

async fn nobody_makes_themselves_a_board_member(services: &Services, _: &PlayedClock) {
    let admin = person(services, "ada@example.org", &[Role::Admin]).await;
    let before = dump(services, &[]).await;
    let both = roles(&[Role::Admin, Role::Board]);
    let own = services.set_roles(Some(&admin), admin.user, both.clone()).await.unwrap_err();
    assert_eq!(code(&own), "own-account");
    let second = NewUser { person: Some(admin.person), ..new_user("ada2@example.org", &[Role::Board]) };
    assert_eq!(
        code(&services.add_user(Some(&admin), second.clone(), None).await.unwrap_err()),
        "own-account"
    );
    assert_eq!(dump(services, &[]).await, before);
    // The operator may give a person a second account; its roles are that person's own, too.
    let second = services.add_user(None, second, None).await.unwrap().user;
    assert_eq!(second.person, admin.person);
    let own = services.set_roles(Some(&admin), second.id, both).await.unwrap_err();
    assert_eq!(code(&own), "own-account");
}

async fn the_last_administrator_stays(services: &Services, _: &PlayedClock) {
    let ada = person(services, "ada@example.org", &[Role::Admin]).await;
    let board = roles(&[Role::Board]);
    assert_eq!(code(&services.deactivate_user(Some(&ada), ada.user).await.unwrap_err()), "last-admin");
    assert_eq!(code(&services.deactivate_user(None, ada.user).await.unwrap_err()), "last-admin");
    assert_eq!(code(&services.set_roles(None, ada.user, board.clone()).await.unwrap_err()), "last-admin");
    let bob = person(services, "bob@example.org", &[Role::Admin]).await;
    services.deactivate_user(Some(&ada), bob.user).await.unwrap();
    // A deactivated one doesn't count.
    assert_eq!(code(&services.deactivate_user(Some(&ada), ada.user).await.unwrap_err()), "last-admin");
    let eve = person(services, "eve@example.org", &[Role::Admin]).await;
    services.set_roles(Some(&eve), ada.user, board).await.unwrap();
    assert_eq!(code(&services.deactivate_user(None, eve.user).await.unwrap_err()), "last-admin");
}

async fn two_administrators_cant_demote_each_other(services: &Services, _: &PlayedClock) {
    for round in 0..5 {
        let ada = person(services, &format!("ada{round}@example.org"), &[Role::Admin]).await;
        let bob = person(services, &format!("bob{round}@example.org"), &[Role::Admin]).await;
        // The one who was left of the last round goes first, so that these two are alone.
        for listed in services.list_users(None).await.unwrap() {
            if listed.user.active && ![ada.user, bob.user].contains(&listed.user.id) {
                services.deactivate_user(None, listed.user.id).await.unwrap();
            }
        }
        let (first, second) = tokio::join!(
            services.deactivate_user(Some(&ada), bob.user),
            services.set_roles(Some(&bob), ada.user, roles(&[Role::Auditor])),
        );
        let listed = services.list_users(None).await.unwrap();
        let left = listed.iter().filter(|l| l.user.active && l.user.roles.contains(&Role::Admin));
        assert_eq!(left.count(), 1, "{first:?} {second:?}");
    }
}

async fn deactivation_ends_everything_at_once(services: &Services, _: &PlayedClock) {
    let admin = person(services, "ada@example.org", &[Role::Admin]).await;
    let bob = person(services, "bob@example.org", &[Role::Engineer]).await;
    let session = sign_in(services, "bob@example.org").await.unwrap();
    let new = NewApiToken { name: "ci".into(), scopes: [Scope::Apply].into(), expires_at: None };
    let (id, token) = services.create_api_token(&bob, new.clone()).await.unwrap();
    let link = services.reset_user(None, bob.user, None).await.unwrap().enrolment;
    let session_2 = sign_in(services, "bob@example.org").await.unwrap();
    assert!(services.session_actor(&session).await.unwrap().is_none(), "the reset ended it");
    assert!(services.session_actor(&session_2).await.unwrap().is_some());
    assert!(services.bearer_actor(token.reveal()).await.is_ok());
    let (before, epoch_before) = (log(services).await.len(), epoch(services).await);

    assert!(!services.deactivate_user(Some(&admin), bob.user).await.unwrap().active);

    assert!(services.session_actor(&session_2).await.unwrap().is_none());
    let refused = services.bearer_actor(token.reveal()).await;
    assert!(matches!(refused, Err(ServiceError::Unauthenticated { .. })), "{refused:?}");
    assert!(services.list_api_tokens(bob.user).await.unwrap()[0].revoked_at.is_some());
    assert_eq!(code(&services.enrolment_of(link.reveal()).await.unwrap_err()), "enrolment link");
    assert!(matches!(sign_in(services, "bob@example.org").await, Err(ServiceError::Unauthenticated { .. })));
    assert_eq!(code(&services.create_api_token(&bob, new).await.unwrap_err()), "deactivated");
    assert_eq!(code(&services.reset_user(None, bob.user, None).await.unwrap_err()), "deactivated");
    let again = services.set_roles(None, bob.user, roles(&[Role::Board])).await.unwrap_err();
    assert_eq!(code(&again), "deactivated");
    assert_eq!(epoch(services).await, epoch_before + 1);
    let events = ["user.deactivated", "session.ended", "api-token.revoked", "sign-in.failed"];
    assert_eq!(log(services).await[before..], events);
    // Again is no act.
    services.deactivate_user(Some(&admin), bob.user).await.unwrap();
    services.revoke_api_token(None, id).await.unwrap();
    assert_eq!((log(services).await.len(), epoch(services).await), (before + 4, epoch_before + 1));
}

/// Deactivating ends sessions and tokens; were one left over, it would still be dead.
async fn a_closed_account_acts_through_nothing(services: &Services, _: &PlayedClock) {
    let bob = person(services, "bob@example.org", &[Role::Engineer]).await;
    let link = services.reset_user(None, bob.user, None).await.unwrap().enrolment;
    let session = sign_in(services, "bob@example.org").await.unwrap();
    let new = NewApiToken { name: "ci".into(), scopes: [Scope::Apply].into(), expires_at: None };
    let (_, token) = services.create_api_token(&bob, new).await.unwrap();
    let mut tx = services.db.write().await.unwrap();
    assert!(users::deactivate(&mut tx, bob.user).await.unwrap());
    tx.commit_unaudited("test").await.unwrap();
    assert!(services.session_actor(&session).await.unwrap().is_none());
    assert!(services.bearer_actor(token.reveal()).await.is_err());
    assert_eq!(code(&services.enrolment_of(link.reveal()).await.unwrap_err()), "enrolment link");
    assert_eq!(code(&services.enrol(link.reveal(), PASSWORD.into()).await.unwrap_err()), "enrolment link");
}

async fn roles_are_read_for_each_request(services: &Services, _: &PlayedClock) {
    let admin = person(services, "ada@example.org", &[Role::Admin]).await;
    let bob = person(services, "bob@example.org", &[Role::Engineer]).await;
    let session = sign_in(services, "bob@example.org").await.unwrap();
    let new = NewApiToken { name: "ci".into(), scopes: [Scope::Apply].into(), expires_at: None };
    let (_, token) = services.create_api_token(&bob, new).await.unwrap();
    let (before, epoch_before) = (log(services).await.len(), epoch(services).await);
    let now = roles(&[Role::Auditor, Role::Board]);
    assert_eq!(services.set_roles(Some(&admin), bob.user, now.clone()).await.unwrap().roles, now);
    assert_eq!(services.session_actor(&session).await.unwrap().unwrap().actor.roles, now);
    assert_eq!(services.bearer_actor(token.reveal()).await.unwrap().roles, now);
    assert_eq!(services.user(bob.user).await.unwrap().roles, now);
    assert_eq!(log(services).await[before..], ["user.roles-changed"]);
    assert_eq!(epoch(services).await, epoch_before + 1);
}

async fn a_reset_ends_sessions_and_keeps_the_password(services: &Services, _: &PlayedClock) {
    let admin = person(services, "ada@example.org", &[Role::Admin]).await;
    let bob = person(services, "bob@example.org", &[Role::Engineer]).await;
    let session = sign_in(services, "bob@example.org").await.unwrap();
    let epoch_before = epoch(services).await;
    let before = log(services).await.len();
    let first = services.reset_user(Some(&admin), bob.user, None).await.unwrap();
    assert_eq!(log(services).await[before..], ["user.reset", "session.ended", "session.ended"]);
    assert_eq!(epoch(services).await, epoch_before + 1);
    assert!(services.session_actor(&session).await.unwrap().is_none());
    let session = sign_in(services, "bob@example.org").await.expect("the old password still holds");
    let second = services.reset_user(None, bob.user, None).await.unwrap();
    let earlier = services.enrolment_of(first.enrolment.reveal()).await.unwrap_err();
    assert_eq!(code(&earlier), "link-expired", "a new link ends earlier ones");
    let renewed = "another ship, another star";
    services.enrol(second.enrolment.reveal(), renewed.to_owned()).await.unwrap();
    assert!(services.session_actor(&session).await.unwrap().is_none());
    assert!(sign_in(services, "bob@example.org").await.is_err(), "the old password is over");
    let renewed = PlainPassword::given(renewed.to_owned());
    assert!(services.sign_in("bob@example.org", renewed, DESK, "").await.is_ok());
}

async fn who_shaped_an_account_is_kept(services: &Services, _: &PlayedClock) {
    let ada = person(services, "ada@example.org", &[Role::Admin]).await;
    let bob = services.add_user(Some(&ada), new_user("bob@example.org", &[Role::Board]), None).await.unwrap();
    let bob = bob.user.id;
    // Roles that are taken away shape nothing; the operator is no person.
    services.set_roles(Some(&ada), bob, roles(&[Role::Board, Role::Auditor])).await.unwrap();
    services.set_roles(Some(&ada), bob, roles(&[Role::Board])).await.unwrap();
    services.reset_user(Some(&ada), bob, None).await.unwrap();
    services.reset_user(None, bob, None).await.unwrap();
    services.set_roles(None, bob, roles(&[Role::Engineer])).await.unwrap();
    let mut read = services.db.read().await.unwrap();
    let acts: Vec<(String, PersonId)> = read
        .sql("SELECT act, by_person FROM account_acts WHERE user_id = $1 ORDER BY act")
        .bind(bob)
        .all()
        .await
        .unwrap();
    let acts: Vec<&str> =
        acts.iter().inspect(|(_, by)| assert_eq!(*by, ada.person)).map(|(act, _)| act.as_str()).collect();
    assert_eq!(acts, ["created", "reset", "role-granted", "role-granted"]);
}

async fn no_secret_is_stored_in_clear(services: &Services, _: &PlayedClock) {
    let ada = person(services, "ada@example.org", &[Role::Admin]).await;
    let created =
        services.add_user(Some(&ada), new_user("bob@example.org", &[Role::Board]), None).await.unwrap();
    let session = sign_in(services, "ada@example.org").await.unwrap();
    let csrf = services.session_actor(&session).await.unwrap().unwrap().csrf;
    let new = NewApiToken { name: "ci".into(), scopes: [Scope::Apply].into(), expires_at: None };
    let (_, api_token) = services.create_api_token(&ada, new).await.unwrap();
    // The most common slip: the password in the field for the address.
    let slip = "hunter2 hunter2 hunter2";
    for (address, typed) in [(slip, PASSWORD), ("ada@example.org", slip)] {
        let typed = PlainPassword::given(typed.to_owned());
        assert!(services.sign_in(address, typed, DESK, "test").await.is_err());
    }
    let dump = dump(services, &[]).await;
    assert!(dump.contains("ada@example.org") && dump.contains("$argon2id$"), "the dump shows what is there");
    let session_body = &session[4..47];
    for secret in [
        PASSWORD,
        slip,
        &session,
        session_body,
        csrf.reveal(),
        api_token.reveal(),
        created.enrolment.reveal(),
        &created.enrolment.reveal()[4..47],
    ] {
        assert!(!dump.contains(secret), "{secret}");
        assert!(!dump.to_lowercase().contains(&hex::encode(secret)), "{secret} in hexadecimal");
    }
}

async fn users_are_listed_by_address(services: &Services, _: &PlayedClock) {
    person(services, "bob@example.org", &[Role::Admin, Role::Engineer]).await;
    let ada = services.add_user(None, new_user("ada@example.org", &[Role::Board]), None).await.unwrap().user;
    let before = services.queries();
    let listed = services.list_users(None).await.unwrap();
    assert_eq!(services.queries() - before, 1);
    assert_eq!(listed[0], Listed { user: ada, enrolled: false });
    assert_eq!((listed[1].user.email.as_str(), listed[1].enrolled), ("bob@example.org", true));
    assert_eq!(listed[1].user.roles, roles(&[Role::Admin, Role::Engineer]));
    assert_eq!(services.list_users(Some("ada@example.org")).await.unwrap(), listed[1..]);
    let refused = services.user(UserId(uuid::Uuid::nil())).await;
    assert!(matches!(refused, Err(ServiceError::NotFound(_))), "{refused:?}");
}
