use super::*;
use crate::clock::PlayedClock;
use crate::domain::user::{Role, Scope};
use crate::service::api_tokens::NewApiToken;
use crate::service::testing::{dump, epoch, log, on_both_engines, person, runbook};

on_both_engines! {
    an_incident_is_declared_and_resolved, incidents_are_paged_newest_first, a_freeze_is_declared_and_ended,
    wrong_fields_are_all_told, refusals_change_and_record_nothing, a_freeze_names_what_there_is,
}

fn freeze(services: &Services) -> FreezeInput {
    FreezeInput {
        application: Some("trading-backend".into()),
        environment: Some("production".into()),
        starts_at: services.now() + SignedDuration::from_hours(1),
        ends_at: services.now() + SignedDuration::from_hours(3),
        reason: " Year's end\nclosing ".into(),
    }
}

fn fields(answer: Result<impl std::fmt::Debug, ServiceError>) -> Vec<&'static str> {
    match answer {
        Err(ServiceError::Invalid { faults }) => faults.iter().map(|fault| fault.field).collect(),
        other => panic!("{other:?}"),
    }
}

async fn an_incident_is_declared_and_resolved(services: &Services, clock: &PlayedClock) {
    runbook(services).await;
    let ada = person(services, "ada@example.org", &[Role::Engineer]).await;
    let bob = person(services, "bob@example.org", &[Role::Board]).await;
    let (events, before) = (log(services).await.len(), epoch(services).await);
    let declared = services.declare_incident(&ada, "trading-backend", " Orders are late ").await.unwrap();
    assert_eq!((declared.label().as_str(), declared.title.as_str()), ("INC-1", "Orders are late"));
    assert_eq!((declared.opened_by_name.as_str(), declared.opened_at), ("ada", services.now()));
    assert_eq!(declared.application, "trading-backend");
    assert_eq!(epoch(services).await, before + 1);
    clock.advance(SignedDuration::from_mins(5));
    let resolved = services.resolve_incident(&bob, declared.id).await.unwrap();
    assert_eq!(resolved.resolved_at, Some(services.now()));
    assert_eq!(resolved.resolved_by_name.as_deref(), Some("bob"));
    assert_eq!(services.incident(declared.id).await.unwrap(), resolved);
    assert_eq!(epoch(services).await, before + 2);
    let again = services.resolve_incident(&bob, declared.id).await.unwrap_err();
    assert!(matches!(again, ServiceError::Conflict { code: "already-resolved", .. }), "{again:?}");
    assert_eq!(epoch(services).await, before + 2);
    assert_eq!(log(services).await[events..], ["incident.declared", "incident.resolved"]);
}

async fn incidents_are_paged_newest_first(services: &Services, _: &PlayedClock) {
    runbook(services).await;
    let ada = person(services, "ada@example.org", &[Role::Admin]).await;
    let mut ids = Vec::new();
    for number in 1..=5 {
        let title = format!("Incident {number}");
        ids.push(services.declare_incident(&ada, "trading-backend", &title).await.unwrap().id);
    }
    services.resolve_incident(&ada, ids[3]).await.unwrap();
    let page = async |open_only, cursor, limit| {
        let before = services.queries();
        let page = services.list_incidents(open_only, cursor, limit).await.unwrap();
        assert_eq!(services.queries() - before, 1);
        (page.incidents.iter().map(|i| i.number).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(page(false, None, 2).await, (vec![5, 4], Some(4)));
    assert_eq!(page(false, Some(4), 2).await, (vec![3, 2], Some(2)));
    assert_eq!(page(false, Some(2), 2).await, (vec![1], None));
    assert_eq!(page(true, None, 4).await, (vec![5, 3, 2, 1], None));
    assert_eq!(page(true, None, 0).await, (vec![5], Some(5)));
    assert_eq!(page(false, None, i64::MAX).await.0.len(), 5);
}

async fn a_freeze_is_declared_and_ended(services: &Services, clock: &PlayedClock) {
    runbook(services).await;
    let bob = person(services, "bob@example.org", &[Role::Board]).await;
    let (events, before) = (log(services).await.len(), epoch(services).await);
    let input = freeze(services);
    let declared = services.declare_freeze(&bob, input.clone()).await.unwrap();
    assert_eq!(declared.application.as_deref(), Some("trading-backend"));
    assert_eq!(declared.environment.as_deref(), Some("production"));
    assert_eq!((declared.starts_at, declared.ends_at), (input.starts_at, input.ends_at));
    assert_eq!(declared.reason, "Year's end\nclosing");
    assert_eq!((declared.declared_by_name.as_str(), declared.ended_by_name.as_deref()), ("bob", None));
    clock.set(input.starts_at + SignedDuration::from_mins(10));
    let ended = services.end_freeze(&bob, declared.id).await.unwrap();
    assert_eq!((ended.ends_at, ended.ended_by_name.as_deref()), (services.now(), Some("bob")));
    assert_eq!(epoch(services).await, before + 2);
    let again = services.end_freeze(&bob, declared.id).await.unwrap_err();
    assert!(matches!(again, ServiceError::Conflict { code: "already-ended", .. }), "{again:?}");
    assert_eq!(epoch(services).await, before + 2);
    assert_eq!(log(services).await[events..], ["freeze.declared", "freeze.ended"]);
    // What is to come stands before what is over.
    let whole = FreezeInput { application: None, environment: None, ..freeze(services) };
    let next = services.declare_freeze(&bob, whole).await.unwrap();
    let before = services.queries();
    assert_eq!(services.list_freezes().await.unwrap(), [next, ended]);
    assert_eq!(services.queries() - before, 1);
}

async fn wrong_fields_are_all_told(services: &Services, _: &PlayedClock) {
    runbook(services).await;
    let ada = person(services, "ada@example.org", &[Role::Admin]).await;
    let before = dump(services, &[]).await;
    for unknown in ["nothing", "", "a\0b", "Trading-Backend"] {
        let refused = services.declare_incident(&ada, unknown, " x").await;
        assert_eq!(fields(refused), ["application", "title"], "{unknown:?}");
        let input = FreezeInput { application: Some(unknown.to_owned()), ..freeze(services) };
        assert_eq!(fields(services.declare_freeze(&ada, input).await), ["application"], "{unknown:?}");
    }
    let refused = services.declare_incident(&ada, "trading-backend", "Late\u{202E}orders").await;
    assert_eq!(fields(refused), ["title"]);
    let (start, end) = (freeze(services).starts_at, freeze(services).ends_at);
    let now = services.now();
    for (starts_at, ends_at) in
        [(start, start), (end, start), (now - SignedDuration::from_hours(1), now), (start, Timestamp::MAX)]
    {
        let input = FreezeInput { starts_at, ends_at, reason: "x\0y".into(), ..freeze(services) };
        assert_eq!(fields(services.declare_freeze(&ada, input).await), ["ends_at", "reason"]);
    }
    assert_eq!(dump(services, &[]).await, before);
}

async fn refusals_change_and_record_nothing(services: &Services, _: &PlayedClock) {
    runbook(services).await;
    let admin = person(services, "ada@example.org", &[Role::Admin]).await;
    let auditor = person(services, "eve@example.org", &[Role::Auditor]).await;
    let engineer = person(services, "bob@example.org", &[Role::Engineer]).await;
    let (incident, standing) = (
        services.declare_incident(&engineer, "trading-backend", "Orders are late").await.unwrap().id,
        services.declare_freeze(&admin, freeze(services)).await.unwrap().id,
    );
    let token = |scope: Scope| NewApiToken { name: "ci".into(), scopes: [scope].into(), expires_at: None };
    let (_, reading) = services.create_api_token(&admin, token(Scope::TicketsRead)).await.unwrap();
    let (_, writing) = services.create_api_token(&admin, token(Scope::TicketsWrite)).await.unwrap();
    let only_reads = services.bearer_actor(reading.reveal()).await.unwrap();
    let ci = services.bearer_actor(writing.reveal()).await.unwrap();
    let before = dump(services, &[]).await;
    for actor in [&auditor, &only_reads] {
        let refused = services.declare_incident(actor, "trading-backend", "Orders are late").await;
        assert!(matches!(refused, Err(ServiceError::Refused(_))), "{refused:?}");
        let refused = services.resolve_incident(actor, incident).await;
        assert!(matches!(refused, Err(ServiceError::Refused(_))), "{refused:?}");
    }
    for actor in [&auditor, &only_reads, &engineer] {
        let refused = services.declare_freeze(actor, freeze(services)).await;
        assert!(matches!(refused, Err(ServiceError::Refused(_))), "{refused:?}");
        let refused = services.end_freeze(actor, standing).await;
        assert!(matches!(refused, Err(ServiceError::Refused(_))), "{refused:?}");
    }
    let nothing = uuid::Uuid::nil();
    let refused = services.resolve_incident(&admin, IncidentId(nothing)).await;
    assert!(matches!(refused, Err(ServiceError::NotFound("incident"))), "{refused:?}");
    let refused = services.end_freeze(&admin, FreezeId(nothing)).await;
    assert!(matches!(refused, Err(ServiceError::NotFound("freeze"))), "{refused:?}");
    assert_eq!(dump(services, &[]).await, before);
    services.resolve_incident(&admin, incident).await.unwrap();
    services.end_freeze(&ci, standing).await.unwrap();
}

async fn a_freeze_names_what_there_is(services: &Services, _: &PlayedClock) {
    runbook(services).await;
    let ada = person(services, "ada@example.org", &[Role::Admin]).await;
    for application in [None, Some("trading-backend".to_owned())] {
        let input = FreezeInput { application, ..freeze(services) };
        services.declare_freeze(&ada, input.clone()).await.unwrap();
        for unknown in ["", "qa", "a\0b"] {
            let input = FreezeInput { environment: Some(unknown.to_owned()), ..input.clone() };
            assert_eq!(fields(services.declare_freeze(&ada, input).await), ["environment"], "{unknown:?}");
        }
    }
}
