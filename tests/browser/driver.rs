//! A person at a browser: finds things as people do, by label and by the name of a button.

use std::env;
use std::path::PathBuf;

use playwright_rs::LaunchOptions;
use playwright_rs::protocol::{
    AriaRole, Browser, BrowserContextOptions, FilePayload, GetByRoleOptions, Page, Playwright, Viewport,
};
use serde_json::Value;

const AXE: &str = include_str!("node_modules/axe-core/axe.min.js");

/// A browser with its driver.
pub struct Driver {
    playwright: Playwright,
    browser: Browser,
}

/// What a window is like.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub width: u32,
    pub height: u32,
    pub javascript: bool,
}

/// A desk.
pub const DESK: Window = Window { width: 1440, height: 1000, javascript: true };
/// A phone.
pub const PHONE: Window = Window { width: 390, height: 844, javascript: true };
/// A desk where scripts don't run.
pub const PLAIN: Window = Window { javascript: false, ..DESK };

impl Driver {
    pub async fn start() -> Self {
        let chromium = env::var("TEST_CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
        // Without the last three, Chromium asks hosts of its own for things at every start.
        let quiet = [
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ];
        let options = LaunchOptions::new()
            .executable_path(chromium)
            .headless(true)
            .chromium_sandbox(false)
            .args(quiet.map(str::to_owned).to_vec());
        let playwright = Playwright::launch().await.expect("the driver; tests/run installs it");
        let browser = playwright.chromium().launch_with_options(options).await.expect("Chromium");
        Self { playwright, browser }
    }

    /// A window of its own, with cookies of its own.
    pub async fn open(&self, base: &str, window: Window) -> Tab {
        let options = BrowserContextOptions::builder()
            .viewport(Viewport { width: window.width, height: window.height })
            .javascript_enabled(window.javascript)
            .build();
        let context = self.browser.new_context_with_options(options).await.expect("a window");
        let page = context.new_page().await.expect("a page");
        Tab { page, base: base.to_owned() }
    }

    pub async fn stop(self) {
        self.browser.close().await.expect("the browser closes");
        // What is left of the driver ends with this process.
        self.playwright.shutdown().await.ok();
    }
}

/// A page that somebody looks at.
pub struct Tab {
    pub page: Page,
    base: String,
}

impl Tab {
    /// Goes to a path and says with which status it was answered.
    pub async fn goto(&self, path: &str) -> u16 {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let response = self.page.goto(&url, None).await.expect(path);
        response.map_or(0, |r| r.status())
    }

    /// The path of the page.
    pub fn path(&self) -> String {
        self.page.url().trim_start_matches(&self.base).to_owned()
    }

    /// Types into the field with this label.
    pub async fn fill(&self, label: &str, text: &str) {
        self.page.get_by_label(label, true).first().fill(text, None).await.expect(label);
    }

    /// Ticks the box or picks the choice with this label.
    pub async fn check(&self, label: &str) {
        self.page.get_by_label(label, false).first().check(None).await.expect(label);
    }

    /// Presses the first button whose name begins so.
    pub async fn press(&self, name: &str) {
        let options = GetByRoleOptions::default().name(name);
        self.page.get_by_role(AriaRole::Button, Some(options)).first().click(None).await.expect(name);
    }

    /// Presses the button with this name inside the part of the page that a selector names.
    pub async fn press_in(&self, part: &str, name: &str) {
        let options = GetByRoleOptions::default().name(name);
        let button = self.page.locator(part).first().get_by_role(AriaRole::Button, Some(options));
        button.first().click(None).await.expect(name);
    }

    /// Whether a button with this name is there and can be pressed.
    pub async fn can_press(&self, name: &str) -> bool {
        let options = GetByRoleOptions::default().name(name).disabled(false);
        self.page.get_by_role(AriaRole::Button, Some(options)).count().await.expect(name) > 0
    }

    /// Chooses a file from memory for the file field that a selector names.
    pub async fn choose(&self, selector: &str, name: &str, kind: &str, bytes: Vec<u8>) {
        let payload = FilePayload::new(name, kind, bytes);
        self.page.locator(selector).first().set_input_files_payload(payload, None).await.expect(selector);
    }

    /// The visible text of the first match.
    pub async fn text(&self, selector: &str) -> String {
        self.page.locator(selector).first().inner_text().await.expect(selector)
    }

    /// The visible text of the whole page.
    pub async fn body(&self) -> String {
        self.text("body").await
    }

    pub async fn count(&self, selector: &str) -> usize {
        self.page.locator(selector).count().await.expect(selector)
    }

    /// The addresses of all links that a selector names.
    pub async fn links(&self, selector: &str) -> Vec<String> {
        let mut found = Vec::new();
        for link in self.page.locator(selector).all().await.expect(selector) {
            found.extend(link.get_attribute("href").await.expect("an attribute"));
        }
        found
    }

    /// Signs in on the page that is open, or on the sign-in page.
    pub async fn sign_in(&self, email: &str, password: &str) {
        if !self.page.url().contains("/sign-in") {
            self.goto("/sign-in").await;
        }
        self.fill("Work email", email).await;
        self.fill("Password", password).await;
        self.press("Sign in").await;
        assert!(!self.page.url().contains("/sign-in"), "{} is not signed in: {}", email, self.body().await);
    }

    /// Keeps a picture of the page in the folder that `TEST_SCREENS` names, if it names one.
    pub async fn screenshot(&self, name: &str) {
        let Some(folder) = env::var_os("TEST_SCREENS").map(PathBuf::from) else { return };
        let options = playwright_rs::protocol::ScreenshotOptions::builder().full_page(true).build();
        let png = self.page.screenshot(Some(options)).await.expect("a picture");
        std::fs::create_dir_all(&folder).expect("a folder for pictures");
        std::fs::write(folder.join(format!("{name}.png")), png).expect("a picture is written");
    }

    /// What axe finds wrong with the page, by the rules of WCAG A and AA.
    pub async fn axe(&self) -> Vec<String> {
        self.page.evaluate_expression(AXE).await.expect("axe");
        // Colours on their way from one theme to the other are nobody's to read.
        let found: Value = self
            .page
            .evaluate::<(), _>(
                "async () => {await Promise.all(document.getAnimations().map(a => a.finished.catch(() => {})));\
                 return (await axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']})).violations\
                 .map(v => v.id + ': ' + v.nodes.map(n => n.target.join(' ')).slice(0, 3).join(', '))}",
                None,
            )
            .await
            .expect("axe's answer");
        found.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    }
}
