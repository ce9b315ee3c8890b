//! What pages are made of: plain data and the templates that draw it.
//!
//! Handlers fill these structs and render them; nothing here reads a request, a clock or the database.

pub mod code;
pub mod difference;
pub mod format;
pub mod forms;
pub mod pages;
pub mod parts;
pub mod prose;
pub mod review;
pub mod shell;
pub mod state;
pub mod work;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    fn templates(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { templates(&path, found) } else { found.push(path) }
        }
    }

    #[test]
    fn no_template_steps_around_escaping_or_the_content_policy() {
        let mut found = Vec::new();
        templates(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates"), &mut found);
        assert!(found.len() > 30, "{} templates", found.len());
        for path in found {
            let text = fs::read_to_string(&path).unwrap();
            let squeezed = text.replace(' ', "");
            for banned in ["|safe", "|escape(", "{%autoescape", "<style", "javascript:"] {
                assert!(!squeezed.contains(banned), "{}: {banned}", path.display());
            }
            for banned in [" style=", " onclick=", " onload=", " onsubmit=", " onchange="] {
                assert!(!text.contains(banned), "{}: {banned}", path.display());
            }
            let posts = text.matches("method=\"post\"").count();
            assert!(text.matches("csrf }}").count() >= posts, "{}: a form without its token", path.display());
        }
    }
}
