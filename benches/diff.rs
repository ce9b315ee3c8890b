//! The difference of two files beside `git diff --no-index --histogram` and GNU diff, as ratios of one run.
//!
//! `cargo bench --bench diff -- [--rounds N]`. Each tool is a process that reads both files and writes a unified diff to
//! nowhere; ours is this program once more. What is reported is the middle of the rounds, in milliseconds, and what that
//! is of git's.

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use countersign::sql::diff::{TIME_LIMIT, diff};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Lines of the generated files.
const LINES: usize = 50_000;

/// A pair of files and what it is like.
struct Pair {
    name: &'static str,
    old: String,
    new: String,
}

fn main() -> Fallible<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--one", old, new] => one(Path::new(old), Path::new(new)),
        ["--rounds", rounds] => compare(rounds.parse()?),
        [] => compare(7),
        _ => Err("usage: diff [--rounds N]".into()),
    }
}

/// What the portal does to answer with a patch.
fn one(old: &Path, new: &Path) -> Fallible<()> {
    let (old, new) = (std::fs::read(old)?, std::fs::read(new)?);
    let found = diff(&old, &new, TIME_LIMIT)?;
    let text = found.unified((&old, "a/file", "old"), (&new, "b/file", "new"), 3);
    std::io::stdout().write_all(&text)?;
    if found.coarse {
        eprintln!("coarse");
    }
    Ok(())
}

fn compare(rounds: usize) -> Fallible<()> {
    let folder = std::env::temp_dir().join(format!("countersign-bench-diff-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (old, new) = (folder.join("old.sql"), folder.join("new.sql"));
    println!("{:<34} {:>9} {:>9} {:>9}   ratios to git: ours, GNU", "pair", "ours ms", "git ms", "GNU ms");
    for pair in pairs()? {
        std::fs::write(&old, &pair.old)?;
        std::fs::write(&new, &pair.new)?;
        let ours = command(&std::env::current_exe()?, &["--one"], &old, &new);
        let git = command(
            Path::new("git"),
            &["diff", "--no-index", "--histogram", "--no-color", "--no-ext-diff"],
            &old,
            &new,
        );
        let gnu = command(Path::new("diff"), &["-u"], &old, &new);
        let [ours, git, gnu] = middle(rounds, [ours, git, gnu])?;
        let (ours_to_git, gnu_to_git) = (ours / git, gnu / git);
        println!("{:<34} {ours:>9.1} {git:>9.1} {gnu:>9.1}   {ours_to_git:.2}, {gnu_to_git:.2}", pair.name);
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn command(program: &Path, words: &[&str], old: &Path, new: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(words).arg(old).arg(new).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The middle of as many rounds, in milliseconds; the tools take turns, so that a busy machine is busy for all of them.
fn middle(rounds: usize, mut tools: [Command; 3]) -> Fallible<[f64; 3]> {
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..rounds.max(1) {
        for (tool, times) in tools.iter_mut().zip(&mut times) {
            let start = Instant::now();
            let status = tool.status()?;
            // Both tools answer 1 where files differ.
            if !matches!(status.code(), Some(0 | 1)) {
                return Err(format!("{tool:?} failed").into());
            }
            times.push(start.elapsed());
        }
    }
    Ok(times.map(|mut times| {
        times.sort_unstable();
        times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    }))
}

/// The same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % limit.max(1)
    }
}

fn line(n: usize) -> String {
    match n % 5 {
        0 => format!("INSERT INTO positions (id, desk) VALUES ({n}, 'desk {}');\n", n % 97),
        1 => format!("UPDATE positions SET notional = {n} WHERE id = {};\n", n / 2),
        2 => "\n".to_owned(),
        3 => format!("CREATE INDEX ix_{n} ON positions (id);\n"),
        _ => "COMMIT;\n".to_owned(),
    }
}

fn pairs() -> Fallible<Vec<Pair>> {
    let mut dice = Dice(1);
    let lines: Vec<String> = (0..LINES).map(line).collect();
    let old = lines.concat();
    let touched = |dice: &mut Dice, lines: &[String], percent: usize| -> Vec<String> {
        let touch = |dice: &mut Dice, line: &String| match dice.below(100) {
            n if n >= percent => line.clone(),
            n if n % 3 == 0 => String::new(),
            n if n % 3 == 1 => format!("{line}SELECT {};\n", dice.below(LINES)),
            _ => line.replace("positions", "trades"),
        };
        lines.iter().map(|line| touch(dice, line)).collect()
    };
    let edited = touched(&mut dice, &lines, 20).concat();
    let mut blocks: Vec<&[String]> = lines.chunks(500).collect();
    for at in (1..blocks.len()).rev() {
        blocks.swap(at, dice.below(at + 1));
    }
    let shuffled = touched(&mut dice, &blocks.concat(), 2).concat();
    let other = (0..LINES).map(|n| format!("SELECT 'other {n}';\n")).collect::<Vec<_>>().concat();
    let alternating =
        lines.iter().enumerate().map(|(n, line)| format!("{line}-- {n}\n")).collect::<Vec<_>>().concat();
    let coin = |dice: &mut Dice| -> String {
        (0..LINES).map(|_| if dice.below(2) == 0 { "BEGIN;\n" } else { "COMMIT;\n" }).collect()
    };
    let long = "x, ".repeat(10 * 1024 * 1024 / 3);
    let mut pairs = vec![
        Pair { name: "50,000 lines, 20 % touched", old: old.clone(), new: edited },
        Pair { name: "50,000 lines, blocks shuffled", old: old.clone(), new: shuffled },
        Pair { name: "50,000 lines, all different", old: old.clone(), new: other },
        Pair { name: "50,000 lines, every other new", old, new: alternating },
        Pair { name: "50,000 lines of two kinds", old: coin(&mut dice), new: coin(&mut dice) },
        Pair { name: "one line of 10 MB", old: format!("{long}\n"), new: format!("{long};\n") },
    ];
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus/sql");
    for (name, old, new) in [
        (
            "airflow, two spans",
            "airflow/2.10.3-to-3.3.0/upgrade.postgresql.sql",
            "airflow/3.2.0-to-3.3.0/upgrade.postgresql.sql",
        ),
        ("mlflow, two databases", "mlflow/clean/upgrade.postgresql.sql", "mlflow/clean/upgrade.mysql.sql"),
    ] {
        let read = |file: &str| std::fs::read_to_string(corpus.join(file));
        pairs.push(Pair { name, old: read(old)?, new: read(new)? });
    }
    Ok(pairs)
}
