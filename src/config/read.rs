//! Gathers raw settings from the file and the environment, and the faults on the way.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Config, ConfigFault, ConfigFaults, KEYS, Source};

const PREFIX: &str = "COUNTERSIGN_";

/// What the command line's clients read, and the name of the file itself: ours, but no settings of the server.
const CLIENT_VARIABLES: [&str; 9] = [
    "URL",
    "API_TOKEN",
    "API_TOKEN_FILE",
    "CA_FILE",
    "ALLOW_HTTP",
    "APPLY_TOKEN",
    "STATE_DIR",
    "GRANT_KEY_FILE",
    "CONFIG",
];

/// Raw settings, each a list of texts (of one, mostly) with its source.
pub(super) struct Reader {
    raw: BTreeMap<&'static str, (Source, Vec<String>)>,
    faults: Vec<ConfigFault>,
}

impl Reader {
    pub(super) fn new(file: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Self {
        let mut reader = Self { raw: BTreeMap::new(), faults: Vec::new() };
        if let Some(path) = file {
            reader.read_file(path);
        }
        let mut variables: Vec<_> = env.collect();
        variables.sort();
        for (name, value) in variables {
            reader.read_variable(name, &value);
        }
        reader
    }

    /// The setting, or its default if there is none or it is faulty.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl FnOnce(&[String]) -> Result<T, String>,
    ) -> T {
        match self.raw.get(key).map(|(_, raw)| parse(raw)) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(message)) => {
                self.fault(key, message);
                default
            }
        }
    }

    /// Notes a fault of a setting, wherever that came from.
    pub(super) fn fault(&mut self, key: &str, message: impl Into<String>) {
        let source = self.raw.get(key).map_or(Source::Default, |(source, _)| source.clone());
        self.fault_in(source, key, message);
    }

    pub(super) fn is_faulty(&self, keys: &[&str]) -> bool {
        self.faults.iter().any(|fault| keys.contains(&fault.key.as_str()))
    }

    pub(super) fn finish(self, config: Config) -> Result<Config, ConfigFaults> {
        if self.faults.is_empty() { Ok(config) } else { Err(ConfigFaults { faults: self.faults }) }
    }

    fn fault_in(&mut self, source: Source, key: &str, message: impl Into<String>) {
        self.faults.push(ConfigFault { key: key.to_owned(), source, message: message.into() });
    }

    fn read_file(&mut self, path: &Path) {
        let source = Source::File(path.to_owned());
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.fault_in(source, "", format!("can’t be read: {error}")),
        };
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                // The error's own display quotes the line, which may hold a password.
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                return self.fault_in(source, "", format!("is not TOML: line {line}: {}", error.message()));
            }
        };
        for (key, value) in table {
            let Some(known) = KEYS.into_iter().find(|known| *known == key) else {
                self.fault_in(source.clone(), &key, unknown(&key, str::to_owned));
                continue;
            };
            match texts(value) {
                Some(raw) => {
                    self.raw.insert(known, (source.clone(), raw));
                }
                None => {
                    self.fault_in(source.clone(), known, "must be text, a whole number, or a list of texts");
                }
            }
        }
    }

    fn read_variable(&mut self, name: String, value: &str) {
        let Some(rest) = name.strip_prefix(PREFIX) else { return };
        // Kubernetes gives every container the address of a service named `countersign` in such variables.
        let injected = rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_");
        if injected || CLIENT_VARIABLES.contains(&rest) {
            return;
        }
        let key = rest.to_ascii_lowercase();
        let Some(known) = KEYS.into_iter().find(|known| variable(known) == name) else {
            let message = unknown(&key, variable);
            return self.fault_in(Source::Environment(name), &key, message);
        };
        let raw = match (value.is_empty(), known) {
            (true, _) => return,
            (false, "trusted_proxy") => value.split(',').map(|part| part.trim().to_owned()).collect(),
            (false, _) => vec![value.to_owned()],
        };
        self.raw.insert(known, (Source::Environment(name), raw));
    }
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase())
}

/// Names the nearest setting if there is one within a few keystrokes, spelled as its source spells it.
fn unknown(key: &str, spelled: impl Fn(&str) -> String) -> String {
    KEYS.into_iter()
        .map(|known| (strsim::damerau_levenshtein(known, &key.to_ascii_lowercase()), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .map_or_else(
            || "is not a setting".to_owned(),
            |(_, known)| format!("is not a setting; did you mean {}?", spelled(known)),
        )
}

fn texts(value: toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Array(list) => list.into_iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// The only text of a setting that is not a list.
pub(super) fn one(raw: &[String]) -> Result<&str, String> {
    match raw {
        [text] if !text.trim().is_empty() => Ok(text),
        [_] => Err("is empty".to_owned()),
        _ => Err("takes one value, not a list".to_owned()),
    }
}

/// A whole number between two bounds, themselves allowed.
pub(super) fn number_between(raw: &[String], least: u64, most: u64) -> Result<u64, String> {
    match one(raw)?.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from {least} to {most}")),
    }
}

/// A length such as `10s`, `30m`, `12h` or `7d`, in seconds between two bounds.
pub(super) fn seconds(raw: &[String], least: u64, most: u64) -> Result<u64, String> {
    let text = one(raw)?;
    let unit = match text.bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3600,
        Some(b'd') => 86_400,
        _ => return Err("must be a number with a unit, such as 10s, 30m, 12h or 7d".to_owned()),
    };
    match text[..text.len() - 1].parse::<u64>().ok().and_then(|count| count.checked_mul(unit)) {
        Some(length) if (least..=most).contains(&length) => Ok(length),
        Some(_) => Err(format!("must be from {least} to {most} seconds")),
        None => Err("must be a number with a unit, such as 10s, 30m, 12h or 7d".to_owned()),
    }
}
