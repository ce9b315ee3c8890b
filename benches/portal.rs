//! Time and processor time per request of a portal with many tickets, beside a bare page in the same run.
//!
//! `cargo bench --bench portal -- [--tickets N]… [--requests N] [--keep FILE] [--seed-only] [--large-only]`

use std::error::Error;
use std::path::PathBuf;

#[path = "portal/client.rs"]
mod client;
#[path = "portal/cpu.rs"]
mod cpu;
#[path = "portal/large.rs"]
mod large;
#[path = "portal/report.rs"]
mod report;
#[path = "portal/requests.rs"]
mod requests;
#[path = "portal/seed.rs"]
mod seed;
#[path = "portal/serve.rs"]
mod serve;
#[path = "portal/services.rs"]
mod services;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

struct Options {
    /// Sizes of the portals to measure, in tickets.
    tickets: Vec<usize>,
    requests: usize,
    keep: Option<PathBuf>,
    seed_only: bool,
    /// Nothing but the differences of large files.
    large_only: bool,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Fallible<Self> {
        let mut options =
            Self { tickets: Vec::new(), requests: 400, keep: None, seed_only: false, large_only: false };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--tickets" => options.tickets.push(value()?.parse()?),
                "--requests" => options.requests = value()?.parse()?,
                "--keep" => options.keep = Some(value()?.into()),
                "--seed-only" => options.seed_only = true,
                "--large-only" => options.large_only = true,
                "--bench" => {} // cargo adds it
                other => return Err(format!("what is {other}?").into()),
            }
        }
        if options.tickets.is_empty() {
            options.tickets = vec![1_000, 20_000];
        }
        Ok(options)
    }
}

#[tokio::main]
async fn main() -> Fallible<()> {
    let mut words = std::env::args().skip(1);
    match (words.next().as_deref(), words.next()) {
        (Some(serve::PORTAL), Some(file)) => return serve::portal(file.as_ref()).await,
        (Some(serve::BARE), _) => return serve::bare().await,
        _ => {}
    }
    let options = Options::parse(std::env::args().skip(1))?;
    if !options.seed_only {
        let folder = tempfile::tempdir()?;
        let rows = large::measure(folder.path()).await?;
        println!("{}", report::opened("Differences of 50,000 lines and 5 MB, in ms", &rows));
    }
    if options.large_only {
        return Ok(());
    }
    for tickets in &options.tickets {
        let folder = tempfile::tempdir()?;
        let file = options.keep.clone().unwrap_or_else(|| folder.path().join("portal.db"));
        let seeded = seed::fill(&file, *tickets).await?;
        println!(
            "\n{tickets} tickets seeded in {:.1} s, {} MiB.",
            seeded.took.as_secs_f64(),
            seeded.bytes >> 20
        );
        if options.seed_only {
            continue;
        }
        let lines = services::measure(&file, &seeded, options.requests).await?;
        println!("{}", report::table("Calls of services, without HTTP", &lines));
        let lines = requests::measure(&file, &seeded, options.requests).await?;
        println!("{}", report::table("Requests", &lines));
    }
    Ok(())
}
