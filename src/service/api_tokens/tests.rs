use jiff::SignedDuration;

use super::*;
use crate::clock::PlayedClock;
use crate::service::testing::{dump, log, on_both_engines, person};

on_both_engines! {
    a_token_acts_as_its_owner_within_its_scopes, a_token_expires, a_revoked_token_is_dead,
    only_the_owner_or_an_administrator_revokes, wrong_fields_are_all_told, the_operator_makes_tokens_for_others,
    last_use_is_noted_once_a_minute,
}

fn new(scopes: &[Scope]) -> NewApiToken {
    NewApiToken { name: " ci ".into(), scopes: scopes.iter().copied().collect(), expires_at: None }
}

fn is_unauthenticated(answer: &Result<Actor, ServiceError>) -> bool {
    matches!(answer, Err(ServiceError::Unauthenticated { code: "bad-token", .. }))
}

async fn a_token_acts_as_its_owner_within_its_scopes(services: &Services, _: &PlayedClock) {
    let ada = person(services, "ada@example.org", &[Role::Engineer, Role::Board]).await;
    let before = log(services).await.len();
    let (id, token) =
        services.create_api_token(&ada, new(&[Scope::Apply, Scope::TicketsRead])).await.unwrap();
    assert_eq!(log(services).await[before..], ["api-token.created"]);
    let actor = services.bearer_actor(token.reveal()).await.unwrap();
    assert_eq!((actor.user, actor.person, &actor.roles), (ada.user, ada.person, &ada.roles));
    assert_eq!(
        actor.via,
        Via::Token { id, name: "ci".into(), scopes: [Scope::Apply, Scope::TicketsRead].into() }
    );
    assert!(actor.may(Scope::Apply) && !actor.may(Scope::TicketsWrite));
    let refused = services.create_api_token(&actor, new(&[Scope::Apply])).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Refused(_)), "a token makes no token: {refused:?}");
    let text = token.reveal();
    for wrong in ["", "csp_", &text[..53], &text.replace("csp_", "css_"), &text.to_uppercase()] {
        assert!(is_unauthenticated(&services.bearer_actor(wrong).await), "{wrong}");
    }
}

async fn a_token_expires(services: &Services, clock: &PlayedClock) {
    let ada = person(services, "ada@example.org", &[Role::Engineer]).await;
    let end = services.now() + SignedDuration::from_hours(1);
    let (_, token) = services
        .create_api_token(&ada, NewApiToken { expires_at: Some(end), ..new(&[Scope::Apply]) })
        .await
        .unwrap();
    clock.set(end - SignedDuration::from_micros(1));
    assert!(services.bearer_actor(token.reveal()).await.is_ok());
    clock.set(end);
    assert!(is_unauthenticated(&services.bearer_actor(token.reveal()).await));
}

async fn a_revoked_token_is_dead(services: &Services, _: &PlayedClock) {
    let ada = person(services, "ada@example.org", &[Role::Engineer]).await;
    let (id, token) = services.create_api_token(&ada, new(&[Scope::Apply])).await.unwrap();
    let (kept, other) = services.create_api_token(&ada, new(&[Scope::Apply])).await.unwrap();
    let before = log(services).await.len();
    services.revoke_api_token(Some(&ada), id).await.unwrap();
    services.revoke_api_token(Some(&ada), id).await.unwrap();
    assert_eq!(log(services).await[before..], ["api-token.revoked"]);
    assert!(is_unauthenticated(&services.bearer_actor(token.reveal()).await));
    assert!(services.bearer_actor(other.reveal()).await.is_ok());
    let listed = services.list_api_tokens(ada.user).await.unwrap();
    assert_eq!(listed.iter().map(|t| t.id).collect::<Vec<_>>(), [kept, id], "live ones first");
    assert!(listed[0].revoked_at.is_none() && listed[1].revoked_at.is_some());
}

async fn only_the_owner_or_an_administrator_revokes(services: &Services, _: &PlayedClock) {
    let ada = person(services, "ada@example.org", &[Role::Engineer]).await;
    let bob = person(services, "bob@example.org", &[Role::Engineer, Role::Board]).await;
    let (id, token) = services.create_api_token(&ada, new(&[Scope::Apply])).await.unwrap();
    let robot = services.bearer_actor(token.reveal()).await.unwrap();
    let before = dump(services, &[]).await;
    let hidden = services.revoke_api_token(Some(&bob), id).await.unwrap_err();
    assert!(matches!(hidden, ServiceError::NotFound(_)), "{hidden:?}");
    let unknown = services.revoke_api_token(None, ApiTokenId(uuid::Uuid::nil())).await.unwrap_err();
    assert!(matches!(unknown, ServiceError::NotFound(_)), "{unknown:?}");
    let refused = services.revoke_api_token(Some(&robot), id).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Refused(_)), "{refused:?}");
    assert_eq!(dump(services, &[]).await, before);
    let admin = person(services, "eve@example.org", &[Role::Admin]).await;
    services.revoke_api_token(Some(&admin), id).await.unwrap();
    assert!(is_unauthenticated(&services.bearer_actor(token.reveal()).await));
}

async fn wrong_fields_are_all_told(services: &Services, _: &PlayedClock) {
    let ada = person(services, "ada@example.org", &[Role::Engineer]).await;
    let before = dump(services, &[]).await;
    let wrong = NewApiToken { name: " ".into(), scopes: [].into(), expires_at: Some(services.now()) };
    let Err(ServiceError::Invalid { faults }) = services.create_api_token(&ada, wrong).await else {
        panic!()
    };
    assert_eq!(faults.iter().map(|f| f.field).collect::<Vec<_>>(), ["name", "scopes", "expires_at"]);
    assert_eq!(dump(services, &[]).await, before);
}

async fn the_operator_makes_tokens_for_others(services: &Services, _: &PlayedClock) {
    let ada = person(services, "ada@example.org", &[Role::Engineer]).await;
    let (_, token) =
        services.create_api_token_for(" ADA@example.org", new(&[Scope::AuditRead])).await.unwrap();
    assert_eq!(services.bearer_actor(token.reveal()).await.unwrap().user, ada.user);
    let unknown = services.create_api_token_for("bob@example.org", new(&[Scope::Apply])).await.unwrap_err();
    assert!(matches!(unknown, ServiceError::NotFound(_)), "{unknown:?}");
}

async fn last_use_is_noted_once_a_minute(services: &Services, clock: &PlayedClock) {
    let ada = person(services, "ada@example.org", &[Role::Engineer]).await;
    let (_, token) = services.create_api_token(&ada, new(&[Scope::Apply])).await.unwrap();
    let used = async || services.list_api_tokens(ada.user).await.unwrap()[0].used_at;
    assert_eq!(used().await, None);
    let first = services.now();
    services.bearer_actor(token.reveal()).await.unwrap();
    assert_eq!(used().await, Some(first));
    clock.advance(SignedDuration::from_secs(59));
    let before = services.queries();
    services.bearer_actor(token.reveal()).await.unwrap();
    assert_eq!(services.queries() - before, 1);
    assert_eq!(used().await, Some(first));
    let second = clock.advance(SignedDuration::from_secs(1));
    services.bearer_actor(token.reveal()).await.unwrap();
    assert_eq!(used().await, Some(second));
}
