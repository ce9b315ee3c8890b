//! The files under `static/`, inside the binary, each under an address that names its content.
//!
//! `/static/css/app.css` is served as `/static/css/app.<8 hex digits of its SHA-256>.css`, so a browser may
//! keep it for ever: another content is another address.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::domain::digest::Digest;

#[derive(rust_embed::Embed)]
#[folder = "static/"]
struct Files;

/// One file, ready to be sent.
struct Asset {
    bytes: Cow<'static, [u8]>,
    content_type: &'static str,
    etag: String,
}

/// Every file, by its fingerprinted address; and every address, by the file's name.
struct Catalogue {
    by_path: HashMap<String, Asset>,
    by_name: HashMap<String, String>,
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::load);

/// What an unknown name is turned into: an address that answers 404, found by the tests.
const MISSING: &str = "/static/missing";

impl Catalogue {
    fn load() -> Self {
        let mut catalogue = Self { by_path: HashMap::new(), by_name: HashMap::new() };
        // Style sheets name fonts, so they are read last, when the fonts' addresses are known.
        let (sheets, others): (Vec<_>, Vec<_>) = Files::iter().partition(|name| is_sheet(name));
        for name in others.into_iter().chain(sheets) {
            let Some(file) = Files::get(&name) else { continue };
            let bytes = if is_sheet(&name) { catalogue.with_addresses(&file.data) } else { file.data };
            catalogue.add(&name, bytes);
        }
        catalogue
    }

    fn add(&mut self, name: &str, bytes: Cow<'static, [u8]>) {
        let digest = Digest::of(&bytes).to_string();
        let path = fingerprinted(name, &digest[..8]);
        self.by_name.insert(name.to_owned(), path.clone());
        let asset = Asset { bytes, content_type: content_type(name), etag: format!("\"{digest}\"") };
        self.by_path.insert(path, asset);
    }

    /// A style sheet in which `url("../x")` names the fingerprinted address of `x`.
    fn with_addresses(&self, sheet: &[u8]) -> Cow<'static, [u8]> {
        let mut text = String::from_utf8_lossy(sheet).into_owned();
        for (name, path) in &self.by_name {
            text = text.replace(&format!("url(\"../{name}\")"), &format!("url(\"{path}\")"));
        }
        Cow::Owned(text.into_bytes())
    }
}

fn is_sheet(name: &str) -> bool {
    extension(name) == "css"
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

fn fingerprinted(name: &str, hash: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) => format!("/static/{stem}.{hash}.{extension}"),
        None => format!("/static/{name}.{hash}"),
    }
}

fn content_type(name: &str) -> &'static str {
    match extension(name) {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The address of a file of `static/`, such as `css/app.css`.
///
/// A name that is not there gives an address that answers 404.
pub fn asset(name: &str) -> &'static str {
    CATALOGUE.by_name.get(name).map_or(MISSING, String::as_str)
}

/// Answers a request for an address under `/static/`.
///
/// `path` is the whole path of the request; `if_none_match` is the header of that name. Only fingerprinted
/// addresses are known; every other one is 404.
pub fn serve(path: &str, if_none_match: Option<&str>) -> Response {
    let Some(asset) = CATALOGUE.by_path.get(path) else {
        return (StatusCode::NOT_FOUND, "No such file.\n").into_response();
    };
    let unchanged = if_none_match.is_some_and(|tags| {
        tags.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == asset.etag)
    });
    let (status, body) = if unchanged {
        (StatusCode::NOT_MODIFIED, Body::empty())
    } else {
        let body = match &asset.bytes {
            Cow::Borrowed(bytes) => Body::from(*bytes),
            // The few rewritten style sheets live as long as the process, so this lends them out too.
            Cow::Owned(bytes) => Body::from(bytes.as_slice()),
        };
        (StatusCode::OK, body)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(etag) = HeaderValue::from_str(&asset.etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn text_of(name: &str) -> String {
        let bytes = &CATALOGUE.by_path[asset(name)].bytes;
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn an_address_names_the_content() {
        let path = asset("css/app.css");
        let hash = &Digest::of(text_of("css/app.css").as_bytes()).to_string()[..8];
        assert_eq!(path, format!("/static/css/app.{hash}.css"));
    }

    #[test]
    fn fonts_in_the_style_sheet_are_files_that_exist() {
        let sheet = text_of("css/tokens.css");
        let fonts: Vec<_> =
            sheet.split("url(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(fonts.len(), 4);
        for font in fonts {
            assert_eq!(serve(font, None).status(), StatusCode::OK, "{font}");
        }
    }

    #[tokio::test]
    async fn a_file_is_served_for_ever_and_only_once() {
        let path = asset("js/app.js");
        let first = serve(path, None);
        let etag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert_eq!(first.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!(first.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(first.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert_eq!(first.into_body().collect().await.unwrap().to_bytes(), text_of("js/app.js").as_bytes());

        let again = serve(path, Some(&format!("\"other\", W/{etag}")));
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(again.into_body().collect().await.unwrap().to_bytes().is_empty());
    }

    #[test]
    fn nothing_else_is_there() {
        for path in ["/static/css/app.css", "/static/css/../css/app.css", "/static/", MISSING] {
            assert_eq!(serve(path, None).status(), StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(asset("css/none.css"), MISSING);
    }

    #[test]
    fn the_licences_of_fonts_and_icons_are_shipped() {
        assert!(text_of("fonts/OFL.txt").contains("SIL OPEN FONT LICENSE"));
        assert!(text_of("icons/LICENSE.txt").contains("Lucide"));
    }
}
