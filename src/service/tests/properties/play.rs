//! Plays one act on the portal and tells the oracle of what it allowed.

use jiff::SignedDuration;

use super::action::{Action, Place, What};
use super::check::findings;
use super::model::{
    Content, EMERGENCY, MENU, Model, OTHER, POLICIES, Run, SMOKE_REPORT, STAGES, Stage, State, Ticket, Token,
    hours,
};
use super::rules::{HALF, ended, item};
use super::world::{World, file, policy_text};
use crate::domain::artifact::ArtifactKind;
use crate::domain::facts::{Choice, Intent};
use crate::domain::rule;
use crate::domain::run::{Health, RunStatus, RunVerdict};
use crate::service::ServiceError;
use crate::service::artifacts::Upload;
use crate::service::incidents::FreezeInput;
use crate::service::review::{Ballot, NewThread, Reauthenticated};
use crate::service::runs::Finish;

type Done = Result<(), ServiceError>;

/// What a file to upload is made of, and its kind.
pub(super) fn made(model: &Model, at: Place, what: What) -> (usize, Content) {
    let all = |kind: usize| &model.stage(at).files[&kind];
    let taken = |age| model.now - hours(age);
    let fresh = |kind, variant, age| {
        let (place, taken) = (at.stage, taken(age));
        match kind {
            0 => Content::Upgrade(variant),
            1 => Content::Downgrade,
            2 => Content::Report { variant, place, taken, passed: true },
            3 => Content::History,
            4 => Content::Manifest,
            _ => Content::Backup { place, taken },
        }
    };
    match what {
        What::Fresh { kind, variant, age } => (kind, fresh(kind, variant, age)),
        What::Again { kind } => (kind, all(kind).last().unwrap().0),
        What::First { kind } => (kind, all(kind)[0].0),
        What::Matching => {
            let variant = match model.newest(at, 0) {
                Some(Content::Upgrade(variant)) => variant,
                _ => 0,
            };
            let (place, taken) = match model.newest(at, 5) {
                Some(Content::Backup { place, taken }) => (place, taken),
                _ => (at.stage, taken(1)),
            };
            (2, Content::Report { variant, place, taken, passed: true })
        }
        What::UpgradeAsDowngrade => (1, Content::WrongDowngrade),
        What::FailedReport => {
            (2, Content::Report { variant: 0, place: at.stage, taken: taken(1), passed: false })
        }
        What::WrongKind => (2, Content::Backup { place: at.stage, taken: taken(1) }),
        What::Other { text } => (OTHER, Content::Other(text)),
        What::Smoke { passed } => (SMOKE_REPORT, Content::Smoke(passed)),
    }
}

pub(super) async fn play(world: &mut World<'_>, model: &mut Model, action: Action) -> Done {
    match action {
        Action::File { .. }
        | Action::Edit { .. }
        | Action::Move { .. }
        | Action::Abandon { .. }
        | Action::Complete { .. } => ticket(world, model, action).await,
        Action::Upload { .. }
        | Action::Tick { .. }
        | Action::Accept { .. }
        | Action::Thread { .. }
        | Action::Settle { .. }
        | Action::Vote { .. } => review(world, model, action).await,
        Action::Release { .. }
        | Action::Revoke { .. }
        | Action::Redeem { .. }
        | Action::Heartbeat { .. }
        | Action::Finish { .. }
        | Action::Verdict { .. }
        | Action::Observe { .. } => run(world, model, action).await,
        _ => around(world, model, action).await,
    }
}

async fn ticket(world: &mut World<'_>, model: &mut Model, action: Action) -> Done {
    let services = world.services;
    match action {
        Action::File { who, kind, incident } => {
            let content = world.content(kind, incident, None);
            let number = services.file_ticket(&world.actor(model, who), "trading-backend", content).await?;
            world.tickets.push(number);
            model.tickets.push(Ticket {
                kind,
                incident: incident.filter(|_| kind == EMERGENCY),
                author: None,
                policy: model.policies.len() - 1,
                open: true,
                contributors: [model.person(who)].into(),
                stages: [Stage { epoch: 1, ..Stage::default() }, Stage { epoch: 1, ..Stage::default() }],
            });
        }
        Action::Edit { who, ticket, kind, incident, author, stale } => {
            let actor = world.actor(model, who);
            let number = world.tickets[ticket];
            let version = services.dossier(&actor, number).await?.ticket.version - i64::from(stale);
            let content = world.content(kind, incident, author);
            services.edit_ticket(&actor, number, version, content).await?;
            let person = model.person(who);
            let authors: Vec<usize> = [model.tickets[ticket].author, author]
                .into_iter()
                .flatten()
                .map(|account| model.accounts[account].person)
                .collect();
            let known = &mut model.tickets[ticket];
            known.contributors.insert(person);
            // Who was named once stays a contributor.
            known.contributors.extend(authors);
            (known.kind, known.author) = (kind, author);
            known.incident = incident.filter(|_| kind == EMERGENCY);
            changed(model, ticket);
        }
        Action::Move { who, ticket } => {
            services.move_policy(&world.actor(model, who), world.tickets[ticket]).await?;
            model.tickets[ticket].policy = model.policies.len() - 1;
            changed(model, ticket);
        }
        Action::Abandon { who, ticket } => {
            services.abandon_ticket(&world.actor(model, who), world.tickets[ticket], "given up").await?;
            close(model, ticket);
        }
        Action::Complete { who, ticket, retrospective } => {
            let more = retrospective.then_some("We look at lateness sooner.");
            services.complete_ticket(&world.actor(model, who), world.tickets[ticket], "Done.", more).await?;
            close(model, ticket);
        }
        _ => {}
    }
    Ok(())
}

/// All evidence of a ticket is new.
fn changed(model: &mut Model, ticket: usize) {
    for at in model.places(ticket) {
        model.tickets[ticket].stages[at.stage].epoch += 1;
        revoke(model, at);
    }
}

fn close(model: &mut Model, ticket: usize) {
    model.tickets[ticket].open = false;
    model.places(ticket).for_each(|at| revoke(model, at));
}

fn revoke(model: &mut Model, at: Place) {
    for token in model.tokens.iter_mut().filter(|t| t.at == at && t.state == State::Issued) {
        token.state = State::Revoked;
    }
}

async fn review(world: &mut World<'_>, model: &mut Model, action: Action) -> Done {
    let Some(at) = action.place() else { return Ok(()) };
    let (services, number, stage) = (world.services, world.number(at), STAGES[at.stage]);
    match action {
        Action::Upload { who, what, .. } => {
            let (kind, content) = made(model, at, what);
            let file = file(content);
            let kept_as = if what == What::WrongKind { ArtifactKind::DryRunReport } else { file.kind };
            let upload = Upload { kind: kept_as, filename: file.name, bytes: file.bytes.into() };
            let uploaded = services.upload(&world.actor(model, who), number, stage, upload).await?;
            let run = if kind == SMOKE_REPORT { model.last_upgrade(at) } else { None };
            let versions = model.tickets[at.ticket].stages[at.stage].files.entry(kind).or_default();
            let same = versions.last() == Some(&(content, run));
            assert_eq!(uploaded.created, !same, "only other bytes than the newest are a new version");
            if same {
                return Ok(());
            }
            versions.push((content, run));
            assert_eq!(uploaded.version, i64::try_from(versions.len()).unwrap());
            if kind != SMOKE_REPORT {
                let person = model.person(who);
                model.tickets[at.ticket].contributors.insert(person);
                let found = findings(world, at, kept_as).await;
                // What compared the other direction with the file before this one is out of date.
                let other = (kind <= 1)
                    .then_some(1 - kind.min(1))
                    .filter(|other| model.stage(at).files.contains_key(other));
                let standing = match rule::counterpart(kept_as).filter(|_| other.is_some()) {
                    Some(direction) => findings(world, at, direction).await,
                    None => Vec::new(),
                };
                let stage = &mut model.tickets[at.ticket].stages[at.stage];
                stage.epoch += 1;
                stage.findings.insert(kind, found);
                if let Some(list) = other.and_then(|other| stage.findings.get_mut(&other)) {
                    list.retain(|(id, ..)| standing.iter().any(|(stands, ..)| stands == id));
                }
                revoke(model, at);
            }
        }
        Action::Tick { who, item: number_of, done, .. } => {
            let (key, _, smoke) = item(at.stage, number_of);
            services.tick(&world.actor(model, who), number, stage, key, done, "seen").await?;
            let run = model.last_upgrade(at);
            let stage = &mut model.tickets[at.ticket].stages[at.stage];
            match run.filter(|_| smoke) {
                Some(run) => drop(stage.smoke_ticks.insert((key, run), done)),
                None => drop(stage.ticks.insert(key, (stage.epoch, done))),
            }
        }
        Action::Accept { who, pick, .. } => {
            let id = model.stage(at).findings.values().flatten().nth(pick).unwrap().0;
            services.accept_finding(&world.actor(model, who), number, stage, id, "agreed").await?;
            let stage = &mut model.tickets[at.ticket].stages[at.stage];
            stage.findings.values_mut().flatten().nth(pick).unwrap().2 = Some(Model::account(who));
            stage.epoch += 1;
            revoke(model, at);
        }
        Action::Thread { who, blocking, .. } => {
            let versions = model.stage(at).files[&0].len();
            let new = NewThread {
                kind: ArtifactKind::UpgradeSql,
                version: i64::try_from(versions).unwrap(),
                line: 3,
                blocking,
                body: "Why?".to_owned(),
            };
            let id = services.open_thread(&world.actor(model, who), number, stage, new).await?;
            let thread = (id, blocking, false, Model::account(who));
            model.tickets[at.ticket].stages[at.stage].threads.push(thread);
        }
        Action::Settle { who, pick, resolve, .. } => {
            let id = model.stage(at).threads[pick].0;
            services.settle_thread(&world.actor(model, who), number, stage, id, resolve, "Seen.").await?;
            model.tickets[at.ticket].stages[at.stage].threads[pick].2 = resolve;
        }
        Action::Vote { who, choice, seen, acknowledged, .. } => {
            let shown = &world.shown[&(at.ticket, at.stage)];
            let (evidence, seen) = shown[shown.len() - 1 - seen];
            let actor = world.actor(model, who);
            let proof = Reauthenticated::as_user(actor.user);
            let ballot = Ballot { choice, seen, comment: "read in full".to_owned(), acknowledged };
            services.vote(&actor, proof, number, stage, ballot).await?;
            // Two tabs, two clicks, one vote.
            let account = Model::account(who);
            let same = |v: &&super::model::Vote| {
                v.account == account && v.choice == choice && v.evidence == evidence
            };
            if model.standing_votes(at).get(&model.person(who)).is_some_and(same) {
                return Ok(());
            }
            let vote = super::model::Vote { account, choice, evidence };
            model.tickets[at.ticket].stages[at.stage].votes.push(vote);
            if choice != Choice::Approve {
                revoke(model, at);
            }
        }
        _ => {}
    }
    Ok(())
}

#[expect(clippy::too_many_lines, reason = "one arm for each act")]
async fn run(world: &mut World<'_>, model: &mut Model, action: Action) -> Done {
    let services = world.services;
    match action {
        Action::Release { who, at, intent } => {
            let actor = world.actor(model, who);
            let released = services.release(&actor, world.number(at), STAGES[at.stage], intent).await?;
            let policy = model.policy(at.ticket);
            let longest = model.now + SignedDuration::from_mins(30);
            let (_, window) = super::gates::window(at.stage, policy.window, model.now);
            let bound = intent == Intent::Upgrade && model.tickets[at.ticket].kind != EMERGENCY;
            let expires = if bound { longest.min(window) } else { longest };
            assert_eq!(released.expires_at, expires, "a token's end");
            let evidence = model.evidence(at);
            let (state, used, run) = (State::Issued, None, None);
            model.tokens.push(Token {
                at,
                intent,
                evidence,
                expires,
                database: policy.database,
                state,
                used,
                run,
            });
            world.released.push(released);
            world.grants.push(None);
        }
        Action::Revoke { who, at } => {
            services.revoke_token(&world.actor(model, who), world.number(at), STAGES[at.stage], None).await?;
            revoke(model, at);
        }
        Action::Redeem { who, token, key, presents } => {
            let token = model.token(token).unwrap();
            let (secret, presented) = world.presented(token, presents);
            let key_text = (key > 0).then(|| format!("key-{key}"));
            let actor = world.actor(model, who);
            let redeemed = services.redeem(&actor, &secret, presented, key_text.as_deref()).await?;
            let known = model.tokens[token].clone();
            if let Some(run) = known.run {
                assert!(redeemed.replayed, "a second run from one token");
                assert_eq!(redeemed.run, world.runs[run]);
                assert_eq!(Some(redeemed.grant), world.grants[token], "the grant is the same bytes");
                return Ok(());
            }
            assert!(!redeemed.replayed);
            let variant = match model.newest(known.at, 0) {
                Some(Content::Upgrade(variant)) => variant,
                _ => u8::MAX,
            };
            let run = model.runs.len();
            model.runs.push(Run {
                at: known.at,
                intent: known.intent,
                started: model.now,
                via: Model::bearer(who).unwrap(),
                undoes: model.standing(known.at).filter(|_| known.intent != Intent::Upgrade),
                variant,
                lease: model.now + SignedDuration::from_secs(60),
                heard: false,
                status: RunStatus::Running,
                finished: None,
                after: None,
                verdict: false,
            });
            let known = &mut model.tokens[token];
            (known.state, known.run) = (State::Used, Some(run));
            known.used = Some((model.runs[run].via, key, presents));
            world.runs.push(redeemed.run);
            world.grants[token] = Some(redeemed.grant);
        }
        Action::Heartbeat { who, run } => {
            let run = model.run(run).unwrap();
            services.heartbeat(&world.actor(model, who), world.runs[run]).await?;
            model.runs[run].lease = model.now + SignedDuration::from_secs(60);
            model.runs[run].heard = true;
        }
        Action::Finish { who, run, end } => {
            let run = model.run(run).unwrap();
            let (start, to) = model.range(run);
            let after = model.revision_after(run, end.after);
            let finish = Finish {
                outcome: end.outcome,
                exit_code: None,
                revision_before: Some(start.clone()),
                revision_after: after.clone(),
                backup_restored: end.restored,
                prior_tag_redeployed: end.restored,
            };
            let told = services.finish(&world.actor(model, who), world.runs[run], finish).await?;
            let known = &model.runs[run];
            let status = ended(end, known.intent, &start, &to, after.as_deref()).unwrap();
            match model.status(run) {
                RunStatus::Running => {
                    model.runs[run].after = after;
                    end_run(model, run, status);
                }
                // Too late: what it says is kept, and that it was silent is written down.
                RunStatus::Unknown => model.runs[run].status = RunStatus::Unknown,
                _ => {}
            }
            assert_eq!(told.status, model.runs[run].status);
        }
        Action::Verdict { who, run, verdict } => {
            let run = model.run(run).unwrap();
            let (start, to) = model.range(run);
            let half = HALF;
            let id = world.runs[run];
            services.settle_run(&world.actor(model, who), id, verdict, Some(half), "looked").await?;
            let after = match verdict {
                RunVerdict::Applied => to,
                RunVerdict::NotApplied => start,
                RunVerdict::Partly => half.to_owned(),
            };
            model.runs[run].after = Some(after);
            model.runs[run].verdict = true;
            end_run(model, run, Model::settled(verdict));
        }
        Action::Observe { who, at, healthy } => {
            let verdict = if healthy { Health::Healthy } else { Health::Unhealthy };
            let actor = world.actor(model, who);
            services.observe(&actor, world.number(at), STAGES[at.stage], verdict, "watched").await?;
            let run = model.last_upgrade(at).unwrap();
            model.tickets[at.ticket].stages[at.stage].health.insert(run, healthy);
        }
        _ => {}
    }
    Ok(())
}

fn end_run(model: &mut Model, run: usize, status: RunStatus) {
    let now = model.now;
    let known = &mut model.runs[run];
    known.status = status;
    known.finished = Some(now);
    let at = known.at;
    let stages = &mut model.tickets[at.ticket].stages;
    stages[at.stage].epoch += 1;
    // What the next stage builds on is another run now, or none.
    if status == RunStatus::Succeeded && at.stage == 0 {
        stages[1].epoch += 1;
        revoke(model, Place { stage: 1, ..at });
    }
}

async fn around(world: &mut World<'_>, model: &mut Model, action: Action) -> Done {
    let services = world.services;
    match action {
        Action::Incident { who } => {
            let actor = world.actor(model, who);
            let row = services.declare_incident(&actor, "trading-backend", "Orders are late").await?;
            world.incidents.push(row.id);
            model.incidents.push(true);
            model.declared_by.push(Model::account(who));
        }
        Action::Resolve { who, pick } => {
            services.resolve_incident(&world.actor(model, who), world.incidents[pick]).await?;
            model.incidents[pick] = false;
        }
        Action::Freeze { who, stage, start, hours: length } => {
            let starts_at = model.now + hours(start);
            let ends_at = starts_at + hours(length);
            let input = FreezeInput {
                application: None,
                environment: stage.map(|stage| STAGES[stage].to_owned()),
                starts_at,
                ends_at,
                reason: "Year end".to_owned(),
            };
            let row = services.declare_freeze(&world.actor(model, who), input).await?;
            world.freezes.push(row.id);
            model.freezes.push((stage, starts_at, ends_at));
        }
        Action::Thaw { who, pick } => {
            services.end_freeze(&world.actor(model, who), world.freezes[pick]).await?;
            model.freezes[pick].2 = model.now;
        }
        Action::Policy { who, variant } => {
            let actor = who.map(|who| world.actor(model, who));
            let applied = services.apply_policy(actor.as_ref(), &policy_text(POLICIES[variant])).await?;
            assert_eq!(applied.changed, model.policies.last() != Some(&variant));
            if applied.changed {
                model.policies.push(variant);
            }
        }
        Action::Roles { who, account, menu } => {
            let actor = who.map(|who| world.actor(model, who));
            let roles = MENU[menu].iter().copied().collect();
            services.set_roles(actor.as_ref(), world.users[account], roles).await?;
            let by = who.map(|who| model.person(who));
            let known = &mut model.accounts[account];
            let roles = MENU[menu].iter().copied().collect();
            if !known.roles.is_superset(&roles) {
                known.shaped.extend(by);
            }
            known.ever.extend(&roles);
            known.roles = roles;
        }
        Action::Deactivate { who, account } => {
            let actor = who.map(|who| world.actor(model, who));
            services.deactivate_user(actor.as_ref(), world.users[account]).await?;
            model.accounts[account].active = false;
        }
        Action::Sweep => {
            services.sweep().await?;
            for run in 0..model.runs.len() {
                model.runs[run].status = model.status(run);
            }
        }
        Action::Wait(length) => model.now = world.clock.advance(length),
        Action::Window { stage, offset } => {
            let (opens, _) = super::gates::window(stage, 2, model.now);
            model.now = model.now.max(opens + SignedDuration::from_secs(offset));
            world.clock.set(model.now);
        }
        _ => {}
    }
    Ok(())
}
