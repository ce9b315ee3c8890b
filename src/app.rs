//! The running portal: its parts put together, the router with everything around it, and the accept loop.
//!
//! Knows of no rule. Order and reason of what stands around the handlers are in [`router`].

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;

use crate::api::{self, ApiState};
use crate::clock::Env;
use crate::config::Config;
use crate::domain::digest::Digest;
use crate::secret::Secret;
use crate::secret::grant::GrantKey;
use crate::secret::hasher::{Cost, PasswordHasher};
use crate::secret::key_file::KeyFileError;
use crate::service::{Limits, Services};
use crate::store::{Db, OpenOptions, StoreError, migrate};
use crate::web::{self, Site, WebState, assets};

mod health;
mod layers;
mod metrics;
mod server;
mod stall;

pub use metrics::Metrics;
pub use server::{serve, stop_signal};

/// What belongs to the first migration: where it is still to be applied, there is no portal yet.
const FIRST_MIGRATION: &str = "0001_init";

/// The portal's parts. Cloning shares them.
#[derive(Clone)]
pub struct AppState {
    pub services: Services,
    pub site: WebState,
    pub env: Env,
    pub metrics: Metrics,
    db: Db,
    header_read_timeout: Duration,
}

/// What may be done to a database whose schema is older than this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Bring it up to date.
    Migrate,
    /// Leave it alone, unless it is empty: another server may be at work on it.
    MustBeCurrent,
}

/// Why the portal can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the database can't be used")]
    Store(#[from] StoreError),
    #[error("the database lacks {}: run countersign migrate", .0.join(", "))]
    Outdated(Vec<&'static str>),
    #[error("the key that signs grants can't be used")]
    Key(#[from] KeyFileError),
    #[error("the threads that hash passwords can't be started")]
    Hasher(#[source] std::io::Error),
}

impl AppState {
    /// Opens the database and the key, and puts the parts together.
    ///
    /// # Errors
    /// When the database, the key or the system refuse.
    pub async fn open(config: &Config, schema: Schema, env: Env, cost: Cost) -> Result<Self, StartError> {
        let db = Db::open(config.database.reveal(), OpenOptions::default()).await?;
        let pending = migrate::pending(&db).await?;
        if schema == Schema::Migrate || pending.contains(&FIRST_MIGRATION) {
            migrate::migrate(&db, env.now()).await?;
        } else if !pending.is_empty() {
            return Err(StartError::Outdated(pending));
        }
        let grant = GrantKey::open_or_create(&config.grant_key_path(), &env)?;
        let visitor_key = visitor_key(&grant);
        let hasher = PasswordHasher::with_cost(cost, env.clone()).map_err(StartError::Hasher)?;
        let limits = Limits {
            upload: config.max_upload_bytes,
            log: config.max_log_bytes,
            session_idle: config.session_idle,
            session_max: config.session_max,
        };
        let services = Services::new(db.clone(), env.clone(), hasher, grant, limits);
        let site = Arc::new(Site::new(services.clone(), env.clone(), config, visitor_key));
        let metrics = Metrics::new();
        Ok(Self { services, site, env, metrics, db, header_read_timeout: config.header_read_timeout })
    }

    /// Waits for what is running and closes the database.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

/// The key of visitors' forms, the same on every server that has the grant key. Ed25519 signs without randomness, and
/// nobody else ever sees this signature.
fn visitor_key(grant: &GrantKey) -> Secret<[u8; 32]> {
    let signed = grant.sign("application/vnd.countersign.visitor-key", b"1");
    let text: String = signed.signatures.into_iter().map(|signature| signature.sig).collect();
    Secret::new(Digest::of(text.as_bytes()).0)
}

/// Everything that answers. `layer` wraps what stands above it, so the last one sees a request first:
///
/// 1. `identified`: the operation's id, its log line and its metrics; nothing goes by unseen.
/// 2. `secured`: the headers that every answer carries, errors too.
/// 3. `drawn`: what failed below becomes a page (or, under `/api/`, problem details).
/// 4. `caught`: a panic becomes a failure, after the log has been told.
/// 5. `addressed`: only requests for our own host go on.
/// 6. `bounded`: no compressed and no boundless bodies; each extractor has its own, lower limit.
/// 7. `timed`: thirty seconds for a request with its body.
///
/// No answer is compressed: pages hold secrets beside text of other people.
pub fn router(state: &AppState) -> Router {
    Router::new()
        .merge(web::router(Arc::clone(&state.site)))
        .nest(api::PREFIX, api::router(ApiState { services: state.services.clone() }))
        .route("/static/{*file}", get(file))
        .layer(from_fn(layers::timed))
        .layer(from_fn_with_state(state.clone(), layers::bounded))
        .layer(from_fn_with_state(Arc::clone(&state.site), layers::addressed))
        // Probes come by address, not by name, so they stand outside of `addressed`.
        .merge(health::routes(state.clone()))
        .layer(from_fn(layers::caught))
        .layer(from_fn_with_state(Arc::clone(&state.site), layers::drawn))
        .layer(from_fn_with_state(Arc::clone(&state.site), layers::secured))
        .layer(from_fn_with_state(state.clone(), layers::identified))
}

async fn file(uri: Uri, headers: HeaderMap) -> axum::response::Response {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    assets::serve(uri.path(), known)
}
