//! Log lines: as text for people or JSON for machines, to standard error.

use std::io::{self, IsTerminal as _};

use tracing::Subscriber;
use tracing::subscriber::{SetGlobalDefaultError, set_global_default};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogFormat;

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("the log level can't be read")]
    Level(#[from] ParseError),
    #[error("logging was set up before")]
    AlreadyStarted(#[from] SetGlobalDefaultError),
}

/// Sets up logging for the process, once. `level` is a level, or directives such as `info,countersign=debug`.
///
/// # Errors
/// When the level can't be read, or logging was set up before.
pub fn start(format: LogFormat, level: &str) -> Result<(), TelemetryError> {
    set_global_default(subscriber(format, level, io::stderr().is_terminal(), io::stderr)?)?;
    Ok(())
}

fn subscriber<W>(
    format: LogFormat,
    level: &str,
    colours: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(level)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match format {
        LogFormat::Text => Box::new(builder.with_ansi(colours).finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, level: &str) -> String {
        let lines = Lines::default();
        let sink = lines.clone();
        let subscriber = subscriber(format, level, false, move || sink.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(ticket = "CHG-1", "filed\u{1b}[31m");
            tracing::debug!("unseen");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_is_one_object_a_line_with_the_fields_on_top() {
        let text = written(LogFormat::Json, "info");
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["level"], &line["ticket"]), (&"INFO".into(), &"CHG-1".into()));
    }

    #[test]
    fn text_has_no_control_characters_and_follows_the_level() {
        let text = written(LogFormat::Text, "info");
        assert!(text.contains("filed") && text.contains("CHG-1") && !text.contains("unseen"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(written(LogFormat::Text, "debug").contains("unseen"));
        assert_eq!(written(LogFormat::Text, "error"), "");
    }

    #[test]
    fn logging_is_set_up_once() {
        assert!(matches!(start(LogFormat::Text, "a=b=c"), Err(TelemetryError::Level(_))));
        start(LogFormat::Text, "error").unwrap();
        assert!(matches!(start(LogFormat::Text, "error"), Err(TelemetryError::AlreadyStarted(_))));
    }
}
