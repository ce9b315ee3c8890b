//! What dry runs of three projects left behind, as it was recorded.

/// One project's recorded dry run.
#[derive(Debug)]
pub struct Sample {
    pub upgrade: &'static str,
    pub downgrade: &'static str,
    pub report: &'static str,
    pub history: &'static str,
    pub manifest: &'static str,
    pub backup: &'static str,
    /// What the way back doesn't bring back: text of the upgrade, and what is lost with it.
    pub lost_for_good: &'static [(&'static str, &'static str)],
    /// Smoke tests after a run.
    pub smoke: &'static [&'static str],
}

macro_rules! recorded {
    ($folder:literal, $file:literal) => {
        include_str!(concat!("data/", $folder, $file))
    };
}

macro_rules! sample {
    ($folder:literal, lost_for_good: $lost:expr, smoke: $smoke:expr) => {
        Sample {
            upgrade: recorded!($folder, "upgrade.sql"),
            downgrade: recorded!($folder, "downgrade.sql"),
            report: recorded!($folder, "dry-run-report.json"),
            history: recorded!($folder, "migration-history.json"),
            manifest: recorded!($folder, "migration-manifest.json"),
            backup: recorded!($folder, "backup-manifest.json"),
            lost_for_good: $lost,
            smoke: $smoke,
        }
    };
}

/// Trades, positions and risk limits.
pub static TRADING: Sample = sample!(
    "",
    lost_for_good: &[
        ("DROP COLUMN legacy_ref", "values of trades.legacy_ref"),
        ("UPDATE risk_limits SET threshold", "empty thresholds of risk_limits"),
    ],
    smoke: &[
        "test_schema_has_every_table_and_column",
        "test_trade_is_booked_with_its_audit_entry",
        "test_every_trade_has_its_notional",
        "test_negative_risk_limit_is_refused",
    ]
);

/// Instruments and counterparties.
pub static REFERENCE: Sample = sample!(
    "reference-data/",
    lost_for_good: &[("DELETE FROM counterparties", "merged rows of counterparties")],
    smoke: &["test_lookup_by_isin", "test_lookup_by_short_code"]
);

/// Quotes and sessions.
pub static MARKET: Sample = sample!(
    "market-data/",
    lost_for_good: &[],
    smoke: &["test_feed_writes_quotes", "test_quotes_are_found_by_symbol", "test_gap_detection"]
);
