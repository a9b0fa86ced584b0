//! The console's own files, compressed when it was built, known to browsers by what is in them.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::mark_of;

/// A file as it is sent.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    plain: &'static str,
    gzip: &'static [u8],
}

const ASSETS: [Asset; 3] = [
    Asset {
        name: "console.css",
        content_type: "text/css; charset=utf-8",
        plain: include_str!("pages/console.css"),
        gzip: include_bytes!(concat!(env!("OUT_DIR"), "/console.css.gz")),
    },
    Asset {
        name: "console.js",
        content_type: "text/javascript; charset=utf-8",
        plain: include_str!("pages/console.js"),
        gzip: include_bytes!(concat!(env!("OUT_DIR"), "/console.js.gz")),
    },
    Asset {
        name: "icon.svg",
        content_type: "image/svg+xml",
        plain: include_str!("pages/icon.svg"),
        gzip: include_bytes!(concat!(env!("OUT_DIR"), "/icon.svg.gz")),
    },
];

impl Asset {
    fn etag(&self) -> String {
        format!("\"{}\"", mark_of(&["asset", self.plain]))
    }
}

/// `GET /assets/{name}`
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let has = |name, wanted: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|text| text.contains(wanted))
    };
    let etag = asset.etag();
    let mut response = if has(header::IF_NONE_MATCH, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if has(header::ACCEPT_ENCODING, "gzip") {
        ([(header::CONTENT_ENCODING, "gzip")], asset.gzip).into_response()
    } else {
        asset.plain.into_response()
    };
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    out.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Ok(etag) = etag.parse() {
        out.insert(header::ETAG, etag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_sheet_knows_no_left_and_no_right() {
        let css = ASSETS[0].plain.to_ascii_lowercase();
        for physical in ["left", "right", "-top", "-bottom", "top:", "bottom:", "width:100vw"] {
            assert!(!css.contains(physical), "{physical}");
        }
        let script = ASSETS[1].plain;
        for unsafe_word in
            ["innerHTML", "eval(", "Function(", ".style.", "document.write", "insertAdjacentHTML"]
        {
            assert!(!script.contains(unsafe_word), "{unsafe_word}");
        }
        assert!(script.lines().count() < 200, "a few hundred lines at most");
    }

    #[tokio::test]
    async fn a_browser_that_has_a_file_is_not_sent_it_again() {
        let get = |name: &'static str, value: String| async move {
            let headers = [(header::IF_NONE_MATCH, value.parse().unwrap())].into_iter().collect();
            asset(Path(name.to_owned()), headers).await
        };
        let first = get("console.css", String::new()).await;
        let etag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert_eq!(
            (first.status(), first.headers()[header::CACHE_CONTROL].to_str().unwrap()),
            (StatusCode::OK, "no-cache")
        );
        assert_eq!(get("console.css", etag).await.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(get("../console.css", String::new()).await.status(), StatusCode::NOT_FOUND);
    }
}
