//! After every act: does the portal stand where the oracle says?

use super::action::Place;
use super::model::{Model, STAGES};
use super::world::World;
use crate::domain::artifact::{ArtifactKind, Severity};
use crate::domain::evidence;
use crate::domain::facts::{Intent, Purpose, StageRecord};
use crate::domain::gate;
use crate::domain::id::FindingId;
use crate::domain::run::Method;
use crate::store::Conn as _;

/// The findings of a kind's newest version; what they weigh is the analysis' word, not the oracle's.
pub(super) async fn findings(
    world: &World<'_>,
    at: Place,
    kind: ArtifactKind,
) -> Vec<(FindingId, bool, Option<usize>)> {
    let nobody = super::world::nobody();
    let dossier = world.services.dossier(&nobody, world.number(at)).await.unwrap();
    let record = dossier.stage(STAGES[at.stage]).unwrap();
    let artifact = record.newest(kind).unwrap().id;
    let of = record.findings.iter().filter(|f| f.artifact == artifact);
    of.map(|f| (f.id, f.severity == Severity::Block, None)).collect()
}

/// Compares all that can be seen.
pub(super) async fn check(world: &mut World<'_>, model: &Model) -> Result<(), String> {
    let nobody = super::world::nobody();
    for ticket in 0..model.tickets.len() {
        let dossier =
            world.services.dossier(&nobody, world.tickets[ticket]).await.map_err(|e| e.to_string())?;
        for at in model.places(ticket) {
            let name = STAGES[at.stage];
            let intents =
                [Intent::Upgrade, Intent::Rollback(Method::Downgrade), Intent::Rollback(Method::Restore)];
            for intent in intents {
                let facts = dossier.facts_for(name, Purpose::Release, intent).unwrap();
                let report = gate::evaluate(&facts).map_err(|e| e.to_string())?;
                let found: Vec<_> =
                    report.gates.iter().map(|gate| (gate.key.as_str(), gate.status)).collect();
                let wanted = model.gates(at, intent, None);
                if found.iter().map(|gate| gate.1).ne(wanted) {
                    let why: Vec<_> = report.blocked().map(|gate| &gate.reason).collect();
                    return Err(format!("{at:?} {intent:?}: {found:?} {why:?}, the oracle says {wanted:?}"));
                }
                let (approvals, rejected) = model.tally(at);
                if (report.tally.approvals.len(), !report.tally.rejections.is_empty())
                    != (approvals, rejected)
                {
                    return Err(format!(
                        "{at:?}: {:?}, the oracle says {approvals} {rejected}",
                        report.tally
                    ));
                }
            }
            let facts = dossier.facts(name).unwrap();
            same_evidence(world, model, at, evidence::of(&facts).map_err(|e| e.to_string())?.digest)?;
            same_record(world, model, at, &facts.this)?;
        }
    }
    counts(world, model).await
}

/// One digest for one state of the evidence, and another for another.
fn same_evidence(
    world: &mut World<'_>,
    model: &Model,
    at: Place,
    digest: crate::domain::digest::Digest,
) -> Result<(), String> {
    let now = model.evidence(at);
    let shown = world.shown.entry((at.ticket, at.stage)).or_default();
    match shown.last() {
        Some((last, known)) if *last == now && *known == digest => return Ok(()),
        Some((last, _)) if *last == now => {
            return Err(format!("{at:?}: the digest changed, the evidence did not"));
        }
        _ => {}
    }
    shown.push((now, digest));
    let same = world.shown.values().flatten().filter(|(_, known)| *known == digest).count();
    if same == 1 { Ok(()) } else { Err(format!("{at:?}: the evidence changed, the digest is an old one")) }
}

fn same_record(world: &World<'_>, model: &Model, at: Place, record: &StageRecord) -> Result<(), String> {
    for (index, token) in model.tokens.iter().enumerate().filter(|(_, token)| token.at == at) {
        let id = world.released[index].id;
        let found = record.tokens.iter().find(|t| t.id == id).ok_or("a token is gone")?;
        if found.outstanding(model.now) != model.outstanding(index) {
            return Err(format!("{at:?}: {found:?}, the oracle says {token:?}"));
        }
    }
    for index in model.runs_at(at) {
        let found = record.runs.iter().find(|r| r.id == world.runs[index]).ok_or("a run is gone")?;
        let run = &model.runs[index];
        let here = (found.status_at(model.now), found.finished_at, &found.revision_after);
        if here != (model.status(index), run.finished, &run.after) {
            return Err(format!("{at:?}: {found:?}, the oracle says {run:?}"));
        }
    }
    for (id, _, accepted) in model.stage(at).findings.values().flatten() {
        let found = record.findings.iter().find(|f| f.id == *id).ok_or("a finding is gone")?;
        let accepted = model.counts(at, *accepted);
        if found.is_accepted() != accepted {
            return Err(format!("{at:?}: {found:?}, the oracle says accepted: {accepted}"));
        }
    }
    Ok(())
}

/// Nothing is there that the oracle does not know of, and never two where one may be.
async fn counts(world: &World<'_>, model: &Model) -> Result<(), String> {
    let mut read = world.services.db.read().await.map_err(|e| e.to_string())?;
    let count = async |read: &mut crate::store::Read, sql| read.sql(sql).one::<i64>().await.unwrap();
    let runs = count(&mut read, "SELECT count(*) FROM runs").await;
    let tokens = count(&mut read, "SELECT count(*) FROM apply_tokens").await;
    let votes = count(&mut read, "SELECT count(*) FROM votes").await;
    let known = model.tickets.iter().flat_map(|t| &t.stages).map(|stage| stage.votes.len()).sum::<usize>();
    let wanted = [model.runs.len(), model.tokens.len(), known].map(|n| i64::try_from(n).unwrap_or(-1));
    if [runs, tokens, votes] != wanted {
        return Err(format!("{runs} runs, {tokens} tokens, {votes} votes; the oracle says {wanted:?}"));
    }
    for crowded in [
        "SELECT count(*) FROM (SELECT environment_id FROM runs WHERE status IN ('running', 'unknown') \
         GROUP BY environment_id HAVING count(*) > 1) crowded",
        "SELECT count(*) FROM (SELECT token_id FROM runs GROUP BY token_id HAVING count(*) > 1) crowded",
    ] {
        if count(&mut read, crowded).await > 0 {
            return Err(format!("one of each, but: {crowded}"));
        }
    }
    Ok(())
}
