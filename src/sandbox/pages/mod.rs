//! The web pages: plain HTML and JavaScript, embedded in the binary, without a build step.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use super::shared::Shared;

/// The content security policy of the pages: nothing from elsewhere, and no inline code.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Path, content type and text of every file.
const FILES: [(&str, &str, &str); 5] = [
    ("/", "text/html; charset=utf-8", include_str!("phone.html")),
    ("/phone.js", "text/javascript; charset=utf-8", include_str!("phone.js")),
    ("/station", "text/html; charset=utf-8", include_str!("panel.html")),
    ("/panel.js", "text/javascript; charset=utf-8", include_str!("panel.js")),
    ("/style.css", "text/css; charset=utf-8", include_str!("style.css")),
];

pub(super) fn routes() -> Router<Shared> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        let page = move || async move {
            let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)];
            (headers, text).into_response()
        };
        router.route(path, get(page))
    })
}
