//! Figures for Prometheus. The recorder belongs to one portal, so several can run in one process, as tests do.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Key, Label, Level, Metadata, Recorder as _, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

/// Upper bounds of the request durations that are counted together, in seconds.
const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

const DURATIONS: &str = "countersign_http_request_duration_seconds";

const METADATA: Metadata<'static> = Metadata::new("countersign", Level::INFO, None);

/// One portal's figures. Cloning shares them.
#[derive(Clone)]
pub struct Metrics(Arc<PrometheusRecorder>);

impl Metrics {
    pub(super) fn new() -> Self {
        let builder = PrometheusBuilder::new();
        let durations = Matcher::Full(DURATIONS.to_owned());
        // Refused only for no bounds at all; the durations would be summaries then.
        let builder =
            builder.set_buckets_for_metric(durations, &BOUNDS).unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let describe = |name: &'static str, words: &'static str| {
            recorder.describe_counter(name.into(), None, SharedString::const_str(words));
        };
        describe("countersign_http_requests_total", "Requests answered, by route and status.");
        describe("countersign_db_queries_total", "Statements run on the database.");
        describe("countersign_runs_lost_total", "Runs that stopped reporting.");
        recorder.describe_histogram(
            DURATIONS.into(),
            None,
            SharedString::const_str("Time to answer a request."),
        );
        Self(Arc::new(recorder))
    }

    /// Counts an answered request. `route` is a template, never a path: figures must not grow with the data.
    pub(super) fn answered(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let labels = vec![
            Label::new("method", known(method)),
            Label::new("route", if route.is_empty() { "none".to_owned() } else { route.to_owned() }),
        ];
        let durations = Key::from_parts(DURATIONS, labels.clone());
        self.0.register_histogram(&durations, &METADATA).record(took.as_secs_f64());
        let mut labels = labels;
        labels.push(Label::new("status", status.as_u16().to_string()));
        let requests = Key::from_parts("countersign_http_requests_total", labels);
        self.0.register_counter(&requests, &METADATA).increment(1);
    }

    /// Notes how many statements have run since the start.
    pub(super) fn queries(&self, count: u64) {
        let key = Key::from_static_name("countersign_db_queries_total");
        self.0.register_counter(&key, &METADATA).absolute(count);
    }

    /// Counts runs that were given up as lost.
    pub fn lost_runs(&self, count: u64) {
        let key = Key::from_static_name("countersign_runs_lost_total");
        self.0.register_counter(&key, &METADATA).increment(count);
    }

    /// Folds recorded durations together, so that they take no more room. To be called every few seconds.
    pub fn upkeep(&self) {
        self.0.handle().run_upkeep();
    }

    pub(super) fn render(&self) -> String {
        self.0.handle().render()
    }
}

/// A stranger may invent methods, but not labels.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    }
}
