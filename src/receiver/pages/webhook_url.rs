//! The URL of the webhook, as a server is to call it: by what is known of how the browser calls this one.

use actix_web::HttpRequest;
use actix_web::http::header::{ORIGIN, REFERER};
use secrecy::SecretString;
use url::Url;

use crate::receiver::api::keys::path;
use crate::receiver::http::cross_site::authority;
use crate::receiver::ingest;
use crate::receiver::keys::WebhookKey;

/// The whole URL. `depth` is the number of parts of the path of the request after the first.
pub(super) fn webhook_url(request: &HttpRequest, depth: usize, key: &WebhookKey) -> SecretString {
    (origin(request) + &external_path(request, depth, key)).into()
}

/// Scheme, host and port by which the browser called the server: it says so with a form.
fn origin(request: &HttpRequest) -> String {
    let host = authority(request.head()).unwrap_or("localhost");
    let said = request.headers().get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let is_own = |origin: &&str| {
        origin
            .split_once("://")
            .is_some_and(|(scheme, said)| matches!(scheme, "http" | "https") && said == host)
    };
    match said.filter(is_own) {
        Some(origin) => origin.to_owned(),
        None => format!("http{}://{host}", if request.app_config().secure() { "s" } else { "" }),
    }
}

/// The path of the webhook, as the browser would have to ask for it: a proxy may have taken a part of it away.
fn external_path(request: &HttpRequest, depth: usize, key: &WebhookKey) -> String {
    let base = directory(request.path(), depth);
    let here = match request.url_for(ingest::WEBHOOK, [key.expose()]) {
        Ok(url) => url.path().to_owned(),
        Err(_) => format!("{base}{}", path(key)),
    };
    let from = request.headers().get(REFERER).and_then(|from| Url::parse(from.to_str().ok()?).ok());
    let outside = from.as_ref().map(|from| mount(from.path())).unwrap_or_default();
    format!("{}{here}", outside.strip_suffix(base).unwrap_or_default())
}

/// The path that the fleet is mounted at, by that of the page that the form was on: beside the fleet's, or that of a key.
fn mount(page: &str) -> &str {
    let before = page.rsplit_once('/').and_then(|(before, _key)| before.strip_suffix("/server/keys"));
    before.map_or_else(|| directory(page, 0), |before| &page[..=before.len()])
}

/// A path up to and with the slash before its last `depth` + 1 parts.
fn directory(path: &str, depth: usize) -> &str {
    let slash = path.rmatch_indices('/').nth(depth);
    slash.map_or("/", |(at, _)| &path[..=at])
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::web::{self, post, resource, scope};
    use secrecy::ExposeSecret;

    use super::*;

    /// The address that is shown for a request, where the fleet is mounted at `/ops` and the webhooks are as well, or not.
    async fn shown(has_webhooks: bool, headers: &[(&'static str, &'static str)]) -> String {
        let key = WebhookKey::generate();
        let text = key.expose().to_owned();
        let show = move |request: HttpRequest| {
            let shown = webhook_url(&request, 0, &key).expose_secret().to_owned();
            async move { shown }
        };
        let webhooks = move |config: &mut web::ServiceConfig| {
            if has_webhooks {
                config.service(resource("/webhooks/{key}").name(ingest::WEBHOOK));
            }
        };
        let app = App::new().configure(webhooks).service(scope("/ops").route("/first", post().to(show)));
        let app = init_service(app).await;
        let request = headers
            .iter()
            .fold(TestRequest::post().uri("/ops/first"), |request, header| request.insert_header(*header));
        let body = read_body(call_service(&app, request.to_request()).await).await;
        String::from_utf8(body.to_vec()).unwrap().replace(&text, "KEY")
    }

    #[actix_web::test]
    async fn the_address_is_the_one_by_which_the_browser_came() {
        let host = ("host", "fleet.example:8443");
        assert_eq!(shown(true, &[host]).await, "http://fleet.example:8443/webhooks/KEY");
        let origin = ("origin", "https://fleet.example:8443");
        assert_eq!(shown(true, &[host, origin]).await, "https://fleet.example:8443/webhooks/KEY");
        let behind = ("referer", "https://fleet.example:8443/behind/a/proxy/ops/?state=up");
        assert_eq!(
            shown(true, &[host, origin, behind]).await,
            "https://fleet.example:8443/behind/a/proxy/webhooks/KEY"
        );
        for foreign in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "javascript://fleet.example:8443"),
        ] {
            assert_eq!(shown(true, &[host, foreign]).await, "http://fleet.example:8443/webhooks/KEY");
        }
        let elsewhere = ("referer", "https://fleet.example:8443/other/");
        assert_eq!(shown(true, &[host, elsewhere]).await, "http://fleet.example:8443/webhooks/KEY");
    }

    #[actix_web::test]
    async fn webhooks_of_another_server_are_taken_to_be_beside_the_pages() {
        assert_eq!(shown(false, &[("host", "localhost")]).await, "http://localhost/ops/webhooks/KEY");
    }

    #[test]
    fn what_is_mounted_is_above_the_page_of_the_form() {
        let pages = ["/", "/server", "/x/server", "/server/keys/7", "/x/y/server/keys/7", "/x/server/keys/"];
        assert_eq!(pages.map(mount), ["/", "/", "/x/", "/", "/x/y/", "/x/"]);
        assert_eq!(
            (directory("/a/b/c", 0), directory("/a/b/c", 1), directory("/c", 1)),
            ("/a/b/", "/a/", "/")
        );
    }
}
