//! `…/token`: releasing an apply token, showing it once, revoking it; and the same for a rollback.
//!
//! The secret is in the answer to the form that released it and nowhere else: not in a cookie, not behind a redirect.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;

use super::Scene;
use crate::domain::digest::Digest;
use crate::domain::facts::{Facts, Intent, Purpose};
use crate::domain::id::{RunId, TicketNumber};
use crate::domain::presented::{self, Expected};
use crate::domain::refusal::Refusal;
use crate::domain::run::{ApplyToken, Direction, Method, TokenState};
use crate::domain::transition::{self, Action as Act};
use crate::service::ServiceError;
use crate::service::tokens::Released;
use crate::web::extract::{Path, StageName};
use crate::web::forms::{Form, Nothing};
use crate::web::present::{self, Judged, actions::words, gates};
use crate::web::session::Reader;
use crate::web::view::format::{Dig, Time, and};
use crate::web::view::forms::{ErrorSummary, Fault};
use crate::web::view::pages::token::{Offer, Shown, ShownToken, Step, TokenPage, TokenView};
use crate::web::view::parts::{Fact, Facts as FactList, LogRow, Mark, Reading, Timeline, Verdict, gate_name};
use crate::web::view::prose::Prose;
use crate::web::view::state::State as Lamp;
use crate::web::{Failure, Page, Site, WebState, paths, respond};

pub(super) async fn show(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
) -> Page {
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    let page = standing(&site, &reader, &scene).await?;
    uncached(respond::page(&page)?)
}

#[derive(Deserialize)]
pub(super) struct Sent {
    direction: Option<Direction>,
    evidence_digest: Option<Digest>,
}

/// Releases a token for the upgrade.
pub(super) async fn release(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Form(sent): Form<Sent>,
) -> Page {
    if sent.direction == Some(Direction::Rollback) {
        return Err(Failure::unprocessable(
            "Nothing has been released. A rollback is released on the run’s page.",
        ));
    }
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    if sent.evidence_digest.is_some_and(|seen| seen != scene.stage.evidence()) {
        let why = "The evidence changed after you opened the page. Look at it again before you release.";
        return closed(&site, &reader, &scene, why).await;
    }
    match site.services.release(reader.actor(), number, &stage, Intent::Upgrade).await {
        Ok(released) => shown(&site, &reader, &scene, &released).await,
        Err(ServiceError::Refused(Refusal::GatesClosed(_))) => {
            let now = Scene::load(&site, &reader, number, &stage).await?;
            closed(&site, &reader, &now, "A gate is closed. No token was released.").await
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
pub(super) struct Back {
    run: RunId,
    method: Option<Method>,
}

/// Releases a token for undoing the run that the form was made for.
pub(super) async fn release_rollback(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Form(sent): Form<Back>,
) -> Page {
    let method = sent.method.ok_or_else(|| {
        Failure::unprocessable("Nothing has been released. Choose how the run is to be undone.")
    })?;
    let scene = Scene::load(&site, &reader, number, &stage).await?;
    if scene.stage.facts.undone().is_none_or(|run| run.id != sent.run) {
        return Err(ServiceError::conflict(
            "other-run",
            "The run that would be undone is another than the one you looked at. Nothing was released.",
        )
        .into());
    }
    let intent = Intent::Rollback(method);
    let facts = scene.dossier.facts_for(&stage, Purpose::Release, intent);
    let facts = facts.ok_or(ServiceError::NotFound("stage"))?;
    let judged = Judged::new(facts).map_err(ServiceError::from)?;
    let released = site.services.release(reader.actor(), number, &stage, intent).await?;
    shown(&site, &reader, &Scene { dossier: scene.dossier, stage: judged }, &released).await
}

/// Revokes the token that is out.
pub(super) async fn revoke(
    State(site): State<WebState>,
    reader: Reader,
    Path((number, stage)): Path<(TicketNumber, StageName)>,
    Form(Nothing {}): Form<Nothing>,
) -> Page {
    site.services.revoke_token(reader.actor(), number, &stage).await?;
    let place = format!("{}/token", paths::stage(number, &stage));
    Ok(respond::see_other_saying(
        &site,
        &place,
        Lamp::Open,
        "The token is revoked. It can’t be used any more.",
    ))
}

fn uncached(mut response: Response) -> Page {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The page again, with what closed meanwhile.
async fn closed(site: &Site, reader: &Reader, scene: &Scene, why: &str) -> Page {
    let mut page = standing(site, reader, scene).await?;
    page.shell.title = format!("Error: {}", page.shell.title);
    let blocked = scene.stage.report.blocked();
    page.errors = Some(ErrorSummary {
        title: "No token was released".into(),
        faults: blocked
            .map(|gate| Fault {
                field: format!("gate-{}", gate.key),
                text: format!("{}: {}", gate_name(gate.key.as_str()), gate.reason),
            })
            .collect(),
        kept: why.to_owned(),
    });
    uncached(respond::page_with(StatusCode::CONFLICT, &page)?)
}

/// The one page that holds the secret.
async fn shown(site: &Site, reader: &Reader, scene: &Scene, released: &Released) -> Page {
    let stage = &scene.stage;
    let rollback = matches!(released.intent, Intent::Rollback(_));
    let what = if rollback { "rollback" } else { "apply" };
    let title = format!("Your {what} token");
    let now = stage.now();
    let with_window = stage.report.window.is_some_and(|window| window.end == released.expires_at);
    let token = ShownToken {
        secret: Shown(released.secret.reveal().to_owned()),
        expires: Reading {
            label: if with_window { "Expires with the window" } else { "Expires" }.to_owned(),
            value: Prose::new().until(Time::until(released.expires_at, now)),
            note: Time::long_utc(released.expires_at, now).into(),
        },
        steps: steps(stage, released),
    };
    let mut page = TokenPage {
        lede: "Shown once, on this page only. Countersign keeps only its hash and can’t show it again."
            .into(),
        token: TokenView::Shown(Box::new(token)),
        released: true,
        bound: bound(
            stage,
            &reader.actor().name,
            Some(&released.expected),
            Some(Time::long_utc(released.expires_at, now)),
        ),
        ..standing(site, reader, scene).await?
    };
    page.shell.title = format!("{title} for {} {}", stage.facts.ticket.number, stage.name());
    page.title = title;
    uncached(respond::page(&page)?)
}

/// What to do with a token: through the command line, or with any program that speaks HTTP.
fn steps(stage: &Judged, released: &Released) -> Vec<Step> {
    let (number, name) = (stage.facts.ticket.number, stage.name());
    let content = &stage.facts.ticket.content;
    let file = format!("~/.countersign-{number}-{name}");
    let (verb, command) = match released.intent {
        Intent::Upgrade => ("apply", format!("alembic upgrade {}", content.to_revision)),
        Intent::Rollback(Method::Downgrade) => {
            ("rollback", format!("alembic downgrade {}", content.from_revision))
        }
        Intent::Rollback(Method::Restore) => ("rollback", "./restore-backup".to_owned()),
    };
    let expected = &released.expected;
    let mut fields = format!("\"sql_digest\":\"{}\"", expected.sql_digest);
    if let Some(manifest) = expected.manifest {
        fields.push_str(&format!(",\"manifest_sha256\":\"{manifest}\""));
    }
    if let Some(database) = &expected.database {
        fields.push_str(&format!(",\"database\":{}", serde_json::Value::from(database.as_str())));
    }
    // In single quotes for the shell; printf must not read a % of ours.
    let fields = fields.replace('\'', "'\\''").replace('\\', "\\\\").replace('%', "%%");
    let restore = matches!(released.intent, Intent::Rollback(Method::Restore));
    vec![
        Step {
            title: "Put it in a file only you can read".into(),
            hint: "Not on the command line: shell history and process lists would keep it. Paste it, then press Enter and Ctrl-D."
                .into(),
            command: format!("umask 077 && cat > {file}"),
        },
        Step {
            title: format!("{} from the release host", if verb == "apply" { "Apply" } else { "Roll back" }),
            hint: if restore {
                format!(
                    "Put the backup back and redeploy {}, in a script of yours; the run then states both.",
                    content.prior_release_tag
                )
            } else {
                "It renders the SQL again, compares digests, redeems the token, runs the command and reports here.".into()
            },
            command: format!(
                "countersign {verb} {number} --stage {name} --project . \\\n  --token-file {file} -- {command}"
            ),
        },
        Step {
            title: "Or redeem it yourself".into(),
            hint: "Without the command line. The header file holds “Authorization: Bearer ” and an API token with the scope apply. The answer names the run; report its log, heartbeat and end there."
                .into(),
            command: format!(
                "printf '{{\"token\":\"%s\",{fields}}}' \"$(cat {file})\" \\\n  | curl --fail-with-body --header @$HOME/.countersign-header \\\n    --header 'Content-Type: application/json' --data @- \\\n    \"$COUNTERSIGN_URL/api/v1/apply-tokens/redeem\""
            ),
        },
    ]
}

/// The page without a secret: what there is to say of this stage's tokens now.
async fn standing(site: &Site, reader: &Reader, scene: &Scene) -> Result<TokenPage, Failure> {
    let stage = &scene.stage;
    let token = newest(&stage.facts);
    let out = token.filter(|token| token.outstanding(stage.now()));
    let title = if out.is_some() { "An apply token is out" } else { "Release an apply token" };
    let view = view(stage, reader, token);
    let expected = presented::expected(&stage.facts);
    let holder = out.map_or("whoever releases it", |token| token.released_by_name.as_str());
    let expiry = out.map(|token| Time::long_utc(token.expires_at, stage.now()));
    Ok(TokenPage {
        head: present::about::head(&scene.dossier.ticket, Some(stage), stage.now()),
        stage: stage.stage_ref(),
        title: title.to_owned(),
        lede: "A token authorises one run of exactly the SQL that was approved, once, and only while every gate is open."
            .into(),
        errors: None,
        token: view,
        gates: gates::board(stage, reader.actor()),
        released: false,
        bound: bound(stage, holder, expected.as_ref(), expiry),
        earlier: earlier(stage),
        shell: scene
            .shell(site, reader, format!("Apply token for {} {}", stage.facts.ticket.number, stage.name()))
            .await?,
    })
}

fn newest(facts: &Facts) -> Option<&ApplyToken> {
    facts.this.tokens.iter().max_by_key(|token| (token.released_at, token.id))
}

fn view(stage: &Judged, reader: &Reader, token: Option<&ApplyToken>) -> TokenView {
    let now = stage.now();
    let question = format!("Can a token for {} be released?", stage.name());
    let say = |state, answer: &str, reason: Prose| Verdict {
        state,
        question: question.clone(),
        answer: answer.to_owned(),
        reason,
        reading: None,
        id: "answer",
    };
    let last = token.map(|token| told(token, stage));
    if let Some(token) = token.filter(|token| token.outstanding(now)) {
        let what = if token.direction == Direction::Rollback { "A rollback token" } else { "A token" };
        let mut verdict = say(
            Lamp::Time,
            "One is out",
            Prose::from(format!("{what} was released by {} on ", token.released_by_name))
                .time(Time::long(token.released_at, now))
                .text(". Only one is out at a time."),
        );
        verdict.reading = Some(Reading {
            label: "Expires".into(),
            value: Prose::new().until(Time::until(token.expires_at, now)),
            note: Time::long_utc(token.expires_at, now).into(),
        });
        return TokenView::Outstanding(verdict);
    }
    let facts = Facts { purpose: Purpose::Release, ..stage.facts.clone() };
    match transition::decide(&facts, reader.actor(), &Act::Authorise) {
        Ok(decision) => {
            let waived: Vec<String> = decision
                .clearance
                .iter()
                .flat_map(|clearance| clearance.waived())
                .map(|key| gate_name(key.as_str()).to_owned())
                .collect();
            let open = if waived.is_empty() {
                "All nine gates are open.".to_owned()
            } else {
                format!("Every gate is open or waived; waived: {}.", and(&waived))
            };
            let reason = match last {
                Some(last) => Prose::from(format!("{open} The last token ")).text(last),
                None => open.into(),
            };
            let longest = now + stage.facts.this.policy.token_ttl;
            let window = decision.clearance.and_then(|clearance| clearance.window_ends());
            let until = window.map_or(longest, |end| end.min(longest));
            TokenView::Offer(Box::new(Offer {
                verdict: say(Lamp::Open, "Ready", reason),
                direction: Direction::Upgrade.as_str(),
                consequence: Prose::from("The token is shown once, works once, and expires ")
                    .time(Time::long_utc(until, now))
                    .text(". Releasing it is written to the audit log with your name."),
            }))
        }
        Err(refusal) => {
            let used = token.filter(|token| token.state == TokenState::Used);
            if let Some(used) = used.filter(|_| !stage.facts.this.runs.is_empty()) {
                let why = Prose::from("The last token ").text(told(used, stage)).text(" ");
                let why = why.link("Open the run", format!("{}/run", stage.href())).text(". ");
                return TokenView::Past(say(Lamp::Idle, "Not again", why.text(words(&refusal))));
            }
            let reason = match last {
                Some(last) => Prose::from(words(&refusal)).text(" The last token ").text(last),
                None => words(&refusal).into(),
            };
            TokenView::Closed(say(Lamp::Who, "Not yet", reason))
        }
    }
}

/// What became of a token: "was revoked on Thu 20 Nov, 14:10 UTC: the evidence changed."
fn told(token: &ApplyToken, stage: &Judged) -> String {
    let now = stage.now();
    let on = |at| Time::long_utc(at, now).words;
    match token.state {
        TokenState::Used => format!("was used on {}.", on(token.ended_at.unwrap_or(token.released_at))),
        TokenState::Revoked => format!(
            "was revoked on {}: {}.",
            on(token.ended_at.unwrap_or(token.released_at)),
            token.ended_why.as_deref().unwrap_or("no reason given")
        ),
        TokenState::Expired => format!("expired on {}.", on(token.expires_at)),
        TokenState::Issued if now >= token.expires_at => format!("expired on {}.", on(token.expires_at)),
        TokenState::Issued => format!("is out until {}.", on(token.expires_at)),
    }
}

fn earlier(stage: &Judged) -> Timeline {
    let mut tokens: Vec<&ApplyToken> = stage.facts.this.tokens.iter().collect();
    tokens.sort_by_key(|token| std::cmp::Reverse((token.released_at, token.id)));
    let row = |token: &ApplyToken| {
        let what = if token.direction == Direction::Rollback { "Rollback token of " } else { "Token of " };
        LogRow {
            time: Time::short(token.released_at, stage.now()),
            mark: Mark::Icon("key-round"),
            text: Prose::from(what)
                .strong(token.released_by_name.clone())
                .text(format!(" {}", told(token, stage))),
            aside: Prose::new(),
            digest: Some(Dig::brief(token.evidence)),
        }
    };
    Timeline { rows: tokens.into_iter().map(row).collect() }
}

fn bound(stage: &Judged, holder: &str, expected: Option<&Expected>, expires: Option<Time>) -> FactList {
    let mut rows = vec![Fact::new("Holder", holder), Fact::digest("Evidence", Dig::full(stage.evidence()))];
    if let Some(expected) = expected {
        rows.push(Fact::new("File", format!("{} v{}", expected.kind.label(), expected.version)));
        rows.push(Fact::digest("File SHA-256", Dig::full(expected.raw)));
        rows.push(Fact::new("Presented as", Prose::new().code(expected.sql_digest.to_string())));
        if let Some(manifest) = expected.manifest {
            rows.push(Fact::digest("Manifest", Dig::full(manifest)));
        }
        if let Some(database) = &expected.database {
            rows.push(Fact::new("Database", Prose::new().code(database.clone())));
        }
    }
    rows.push(Fact::new("Uses", "one"));
    if let Some(expires) = expires {
        rows.push(Fact::new("Expires", expires));
    }
    FactList { rows, ruled: false }
}
