//! Those who speak to a running portal over HTTP: a stranger, a person with a browser's cookies, a program with a token.

use std::sync::{Arc, Once};

use reqwest::cookie::{CookieStore as _, Jar};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Url, redirect};

/// Everybody's password.
pub const PASSWORD: &str = "a tall ship and a star";

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.expect("a body of text") }
    }

    /// A header's text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub fn location(&self) -> &str {
        self.header("location")
    }

    /// What `Set-Cookie` sets under this name, with its attributes.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let set = self.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("text"));
        set.into_iter().find(|cookie| cookie.split('=').next() == Some(name))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The token of the form with this action.
    pub fn csrf_of(&self, action: &str) -> String {
        let form = format!("action=\"{action}\"");
        let after = self.text.split(&form).nth(1).unwrap_or_else(|| panic!("no {form} in {}", self.text));
        let token = after.split("name=\"_csrf\" value=\"").nth(1).expect("a token in the form");
        token.split('"').next().expect("its end").to_owned()
    }
}

/// A browser without a session: it keeps cookies and follows no redirect.
#[derive(Clone)]
pub struct Anonymous {
    pub http: Client,
    pub base: String,
    pub jar: Arc<Jar>,
}

impl Anonymous {
    pub fn new(base: &str) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // The client wants one even where it only speaks plain HTTP.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let jar = Arc::new(Jar::default());
        let http = Client::builder()
            // The server ends a connection whose body it would not read; a request must not go out on such a one.
            .pool_max_idle_per_host(0)
            .cookie_provider(Arc::clone(&jar))
            .redirect(redirect::Policy::none());
        Self { http: http.build().expect("a client"), base: base.to_owned(), jar }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// A form as it is: the token is among the fields, or it isn't sent.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = serde_urlencoded::to_string(fields).expect("fields");
        let request = self.request(Method::POST, path).body(body);
        Answer::of(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    /// Opens a page, fills in its form with this action and sends it.
    pub async fn submit(&self, page: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.get(page).await.csrf_of(action);
        let mut all = vec![("_csrf", token.as_str())];
        all.extend_from_slice(fields);
        self.post(action, &all).await
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Answer {
        self.submit("/sign-in", "/sign-in", &[("email", email), ("password", password), ("next", "/")]).await
    }

    /// The cookies that the browser would send.
    pub fn cookies(&self) -> String {
        let url: Url = self.base.parse().expect("an address");
        self.jar.cookies(&url).map_or_else(String::new, |all| all.to_str().expect("text").to_owned())
    }
}

/// Somebody who is signed in.
#[derive(Clone)]
pub struct Person {
    pub browser: Anonymous,
    pub email: String,
    /// What their forms carry; the same for the whole session.
    pub csrf: String,
}

impl Person {
    /// The person behind a browser that has just signed in.
    pub async fn of(browser: Anonymous, email: &str) -> Self {
        let page = browser.get("/account").await;
        assert_eq!(page.status, 200, "{}", page.text);
        let csrf = page.csrf_of("/sign-out");
        Self { browser, email: email.to_owned(), csrf }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.browser.get(path).await
    }

    /// Sends a form with this person's token.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = vec![("_csrf", self.csrf.as_str())];
        all.extend_from_slice(fields);
        self.browser.post(path, &all).await
    }

    /// Sends a form with a file, as a browser does: the token first.
    pub async fn upload(&self, path: &str, fields: &[(&str, &str)], filename: &str, bytes: &[u8]) -> Answer {
        let boundary = "----tests-of-countersign";
        let mut body = Vec::new();
        for (name, value) in [("_csrf", self.csrf.as_str())].iter().chain(fields) {
            let part =
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        let part = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(part.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={boundary}");
        let request = self.browser.request(Method::POST, path).header("content-type", kind);
        Answer::of(request.body(body)).await
    }
}

/// A program with an API token.
#[derive(Clone)]
pub struct ApiClient {
    pub http: Client,
    pub base: String,
}

impl ApiClient {
    pub fn new(base: &str, token: &str) -> Self {
        let mut bearer: HeaderValue = format!("Bearer {token}").parse().expect("a header");
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([(reqwest::header::AUTHORIZATION, bearer)]);
        let _ = Anonymous::new(base);
        let http = Client::builder()
            // The server ends a connection whose body it would not read; a request must not go out on such a one.
            .pool_max_idle_per_host(0)
            .default_headers(headers)
            .redirect(redirect::Policy::none());
        Self { http: http.build().expect("a client"), base: base.to_owned() }
    }

    /// A call below `/api/v1`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/api/v1{path}", self.base))
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &serde_json::Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }
}
