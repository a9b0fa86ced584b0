//! The console's room: for now a page that says where the API is.

use axum::response::Html;

/// No script and no inline style: the content security policy allows neither.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>redeemd</title>
</head>
<body>
<h1>redeemd</h1>
<p>This gateway keeps a store's redemptions until the provider has answered about each.</p>
<ul>
<li><a href="/api/v1/status">Status</a>: the books, the storage, every lane with its cause and what to do</li>
<li><a href="/api/v1/redemptions">Redemptions</a>: <code>?state=</code>, <code>lane=</code>, <code>after=</code>, <code>limit=</code></li>
<li><a href="/metrics">Metrics</a> for Prometheus</li>
</ul>
<p>On the gateway itself: <code>redeemd status</code>, <code>redeemd list</code>, <code>redeemd report</code>.</p>
</body>
</html>
"#;

/// `/`
pub(super) async fn page() -> Html<&'static str> {
    Html(PAGE)
}
