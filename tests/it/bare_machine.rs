//! RULES 30: what `tests/run` says on a machine that lacks the programs it needs.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A search path with the shell's usual companions and Rust, but no compiler, browser or PostgreSQL.
struct Bare(TempDir);

impl Bare {
    fn new() -> Self {
        let folder = TempDir::with_prefix("countersign-test-").expect("a temporary folder");
        for program in ["bash", "env", "sed", "dirname", "readlink", "cat", "ls", "sort", "tail", "head"] {
            let found = std::env::split_paths(&std::env::var_os("PATH").expect("a PATH"))
                .map(|folder| folder.join(program))
                .find(|path| path.is_file());
            symlink(found.unwrap_or_else(|| panic!("no {program} here")), folder.path().join(program))
                .expect("a link");
        }
        let bare = Self(folder);
        bare.script("cargo", "exit 0");
        bare.script("apt-get", "echo apt-get was called >&2; exit 1");
        bare
    }

    fn script(&self, name: &str, what: &str) {
        let path = self.0.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{what}\n")).expect("a script");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("its mode");
    }

    /// Somebody who is not root and has no `sudo`.
    fn nobody() -> Self {
        let bare = Self::new();
        bare.script("id", "echo 1000");
        bare
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run");
        let mut command = Command::new(script);
        command.args(arguments).env_clear().env("PATH", self.0.path());
        command.output().expect("the script runs")
    }
}

#[test]
fn rule_30_without_rights_the_packages_are_named_and_nothing_is_tried() {
    let output = Bare::nobody().run(&["--prepare-only"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let line = said.lines().find(|line| line.contains("apt-get install")).unwrap_or_else(|| panic!("{said}"));
    for package in ["gcc", "libc6-dev", "chromium", "postgresql"] {
        assert!(line.split_whitespace().any(|word| word == package), "{package} in {line}");
    }
    assert!(!said.contains("apt-get was called"), "{said}");
}

#[test]
fn rule_30_a_sudo_that_asks_for_a_password_is_not_used() {
    let bare = Bare::nobody();
    bare.script(
        "sudo",
        "echo sudo was asked for more than leave >&2; [ \"$*\" = '-n true' ] && exit 1; exit 99",
    );
    let output = bare.run(&["--prepare-only"]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn rule_30_check_says_what_is_missing_and_installs_nothing() {
    let output = Bare::nobody().run(&["--check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("missing: gcc libc6-dev chromium"), "{said}");
    assert!(!said.contains("apt-get was called"), "{said}");
}
