//! Tests in a real browser, one binary of their own: they need Chromium and its driver (`tests/run` installs both).

#[cfg(test)]
mod driver;

#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;

#[cfg(test)]
mod smoke {
    use crate::driver::{DESK, Driver};

    #[tokio::test(flavor = "multi_thread")]
    async fn the_driver_works() {
        let driver = Driver::start().await;
        let tab = driver.open("", DESK).await;
        tab.goto("data:text/html,<button>Go</button>").await;
        assert!(tab.can_press("Go").await);
        driver.stop().await;
    }
}
