//! JUnit XML: how a smoke test ended.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use super::formats::{self, FormatError, field, plain};

const WHAT: &str = "smoke report";

/// The largest report that is read, in bytes.
pub const LIMIT: usize = 10 * 1024 * 1024;

/// How deep elements may nest.
const DEPTH: usize = 32;

/// The names of failed tests that are kept.
pub const NAMES: usize = 20;

/// What the report says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmokeReport {
    pub tests: u64,
    pub failures: u64,
    pub errors: u64,
    pub skipped: u64,
    /// `class.name` of tests that failed, the first [`NAMES`] of them.
    pub failed: Vec<String>,
}

impl SmokeReport {
    /// Whether the tests passed: none failed, and at least one ran.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.failures == 0 && self.errors == 0 && self.tests > self.skipped
    }
}

/// A test case being read.
#[derive(Default)]
struct Case {
    name: String,
    failed: bool,
    error: bool,
    skipped: bool,
}

/// Reads a report. Test cases are counted, not the sums that suites state; but a suite that states more failures or
/// errors is believed.
///
/// # Errors
/// When it is no well-formed JUnit XML, or has a document type or entities of its own.
pub fn read(bytes: &[u8]) -> Result<SmokeReport, FormatError> {
    let text = formats::text(WHAT, bytes, LIMIT)?;
    let mut reading = Reading::default();
    let mut reader = Reader::from_str(text.strip_prefix('\u{FEFF}').unwrap_or(text));
    loop {
        let event = reader.read_event().map_err(|e| syntax(&e.to_string()))?;
        match event {
            Event::Start(element) => reading.open(&element)?,
            Event::Empty(element) => {
                reading.open(&element)?;
                reading.close();
            }
            Event::End(_) => reading.close(),
            Event::DocType(_) => return Err(syntax("it has a document type, which is never read")),
            Event::GeneralRef(reference) => {
                let char_ref = reference.is_char_ref();
                let name = reference.into_inner();
                if !char_ref && !["lt", "gt", "amp", "apos", "quot"].contains(&&*name) {
                    return Err(syntax("it uses an entity of its own, which is never expanded"));
                }
            }
            Event::Eof => break,
            Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    reading.end()
}

fn syntax(problem: &str) -> FormatError {
    FormatError::Syntax { what: WHAT, problem: plain(problem) }
}

#[derive(Default)]
struct Reading {
    open: Vec<Element>,
    case: Option<Case>,
    report: SmokeReport,
    root: bool,
    stated_failures: u64,
    stated_errors: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    Suites,
    Suite,
    Case,
    Other,
}

impl Reading {
    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), FormatError> {
        let parent = self.open.last().copied();
        let element = match tag.name().into_inner() {
            "testsuites" => Element::Suites,
            "testsuite" => Element::Suite,
            "testcase" => Element::Case,
            _ => Element::Other,
        };
        if parent.is_none() {
            if self.root || !matches!(element, Element::Suites | Element::Suite) {
                return Err(field(WHAT, "root element", "must be one `testsuites` or `testsuite`"));
            }
            self.root = true;
        }
        if self.open.len() >= DEPTH {
            return Err(syntax("its elements nest too deeply"));
        }
        match element {
            Element::Case if !matches!(parent, Some(Element::Suite | Element::Suites)) => {
                return Err(field(WHAT, "testcase", "must be directly in a `testsuite`"));
            }
            Element::Case => self.case = Some(Case { name: name(tag)?, ..Case::default() }),
            Element::Suites | Element::Suite => {
                self.stated_failures = self.stated_failures.max(number(tag, "failures")?);
                self.stated_errors = self.stated_errors.max(number(tag, "errors")?);
            }
            Element::Other => {
                if let Some(case) = self.case.as_mut().filter(|_| parent == Some(Element::Case)) {
                    match tag.name().into_inner() {
                        "failure" => case.failed = true,
                        "error" => case.error = true,
                        "skipped" => case.skipped = true,
                        _ => {}
                    }
                }
            }
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) {
        if self.open.pop() != Some(Element::Case) {
            return;
        }
        let Some(case) = self.case.take() else { return };
        self.report.tests += 1;
        self.report.failures += u64::from(case.failed);
        self.report.errors += u64::from(case.error);
        self.report.skipped += u64::from(case.skipped && !case.failed && !case.error);
        if (case.failed || case.error) && self.report.failed.len() < NAMES {
            self.report.failed.push(case.name);
        }
    }

    fn end(mut self) -> Result<SmokeReport, FormatError> {
        if !self.open.is_empty() {
            return Err(syntax("it ends before its last element is closed"));
        }
        if !self.root {
            return Err(field(WHAT, "root element", "must be one `testsuites` or `testsuite`"));
        }
        self.report.failures = self.report.failures.max(self.stated_failures);
        self.report.errors = self.report.errors.max(self.stated_errors);
        Ok(self.report)
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<Option<String>, FormatError> {
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|e| syntax(&e.to_string()))?;
        if attribute.key.into_inner() == name {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|e| syntax(&e.to_string()))?;
            return Ok(Some(value.into_owned()));
        }
    }
    Ok(None)
}

fn number(tag: &BytesStart<'_>, name: &str) -> Result<u64, FormatError> {
    match attribute(tag, name)? {
        None => Ok(0),
        Some(text) => text.trim().parse().map_err(|_| field(WHAT, name, "must be a whole number")),
    }
}

fn name(tag: &BytesStart<'_>) -> Result<String, FormatError> {
    let name = attribute(tag, "name")?.unwrap_or_default();
    let full = match attribute(tag, "classname")? {
        Some(class) if !class.is_empty() => format!("{class}.{name}"),
        _ => name,
    };
    Ok(plain(&full.chars().take(200).collect::<String>()))
}
