//! What to do with a token: through the command line, or with any program that speaks HTTP.

use std::fmt::Write as _;

use crate::domain::facts::Intent;
use crate::domain::run::Method;
use crate::service::tokens::Released;
use crate::web::present::Judged;
use crate::web::view::pages::token::Step;

/// The steps, in order.
pub(super) fn steps(stage: &Judged, released: &Released) -> Vec<Step> {
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
        let _ = write!(fields, ",\"manifest_sha256\":\"{manifest}\"");
    }
    if let Some(database) = &expected.database {
        let _ = write!(fields, ",\"database\":{}", serde_json::Value::from(database.as_str()));
    }
    // printf reads them first, and must see no escape of its own; the shell has them in single quotes.
    let fields = fields.replace('\\', "\\\\").replace('%', "%%").replace('\'', "'\\''");
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
