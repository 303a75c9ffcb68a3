//! `GET /`: the status page, one file of HTML with its style and its script. It needs no token; what it shows does.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const PAGE: &str = include_str!("page.html");

pub(super) async fn page() -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (header::CONTENT_SECURITY_POLICY, policy())];
    (headers, PAGE).into_response()
}

/// The content security policy: the style and the script of this very file, and nothing from elsewhere (CSP level 3).
fn policy() -> String {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash_of("script"),
        hash_of("style")
    )
}

/// The hash of the one element of this name.
fn hash_of(element: &str) -> String {
    let text = PAGE.split_once(&format!("<{element}>")).and_then(|(_, rest)| rest.split_once(&format!("</{element}>")));
    let digest = ring::digest::digest(&ring::digest::SHA256, text.unwrap_or_default().0.as_bytes());
    format!("sha256-{}", STANDARD.encode(digest.as_ref()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_has_one_style_and_one_script_and_asks_nobody_else() {
        let page = super::PAGE;
        for element in ["<style>", "<script>"] {
            assert_eq!(page.matches(element).count(), 1, "{element}");
        }
        for foreign in ["http://", "https://", "src=", "@import", " style=", " onclick="] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }
}
