//! Logging in: a token is presented once, and a cookie stands for it from then on.
//!
//! The cookie is a random secret. The catalog has only a keyed hash of it, the id of the token, and an end. A session permits what its
//! token permits at the moment, and nothing but looking at pages. Its path is left to the browser, which knows what prefix a proxy
//! takes out of URLs.

use std::time::Duration;

use catalog::{UnixTime, WebSession};
use http::header::{CACHE_CONTROL, COOKIE, HOST, LOCATION, ORIGIN, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use warp::reply::Response;
use zeroize::Zeroizing;

use super::layout::Page;
use super::visit::Visit;
use crate::audit::Object;
use crate::auth::{AuthError, Grant};
use crate::counters::TOKEN_REFUSALS;
use crate::http::error::HttpError;
use crate::http::router::{Head, Request, View};
use crate::http::state::State;
use crate::http::{Answer, body};
use crate::limits::attempts::Attempts;

/// The name of the cookie.
const NAME: &str = "cache-server-session";
/// How long a session lasts.
const LENGTH: Duration = Duration::from_secs(12 * 3600);
/// The most bytes of a form.
const FORM_LIMIT: usize = 16 << 10;
/// Bytes of a secret.
const SECRET: usize = 32;
/// The tokens that are refused before a client has to wait.
static ATTEMPTS: Attempts = Attempts::new(10, Duration::from_secs(60));

/// Finds what the session in the cookie of a request permits.
///
/// # Errors
///
/// That of the catalog.
pub async fn find(state: &State, headers: &HeaderMap) -> Result<Option<Grant>, HttpError> {
    let Some(secret) = secret_of(headers) else { return Ok(None) };
    let token = state.catalog.find_web_session(&state.tokens.session_id(&secret)).await?;
    Ok(token.and_then(|token| state.tokens.grant_of(token)))
}

fn secret_of(headers: &HeaderMap) -> Option<Zeroizing<Vec<u8>>> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut values = cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().strip_prefix(NAME)?.strip_prefix('='));
    let text = values.next().filter(|text| text.len() == 2 * SECRET)?;
    let digits = text.as_bytes().chunks(2);
    let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}

/// What the form sends.
#[derive(Deserialize)]
struct Form {
    token: String,
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

/// `GET /login`.
pub async fn show(request: Request<View>) -> Answer {
    let Next { next } = request.head.query()?;
    Ok(request.grant.reply(login_page(&request.grant, local(&next), None)))
}

/// `POST /login`.
pub async fn log_in(request: Request<View>) -> Answer {
    let Request { state, grant: visit, head, body, .. } = request;
    refuse_other_sites(&state, &head.headers)?;
    let form = body::read(body, FORM_LIMIT).await?;
    let Form { token, next } = serde_urlencoded::from_bytes(&form)
        .map_err(|_| HttpError::bad_request("The form is incomplete. Go back and try again."))?;
    let (token, next) = (Zeroizing::new(token), local(&next));
    if let Some(wait) = ATTEMPTS.wait(head.client) {
        let reason = "Too many tokens were refused. Wait a minute and try again.";
        let mut response = visit.reply(login_page(&visit, next, Some(reason)));
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        return Ok(response);
    }
    let token = token.trim();
    let verified = if token.is_empty() { Err(AuthError::Missing) } else { state.tokens.verify(token) };
    let grant = match verified {
        Ok(grant) => grant,
        Err(error) => {
            TOKEN_REFUSALS.count(error.reason());
            ATTEMPTS.failed(head.client);
            let mut response = visit.reply(login_page(&visit, next, Some(reason(&error))));
            *response.status_mut() = StatusCode::FORBIDDEN;
            return Ok(response);
        }
    };
    let cookie = begin(&state, &grant, is_https(&state, &head)).await?;
    let mut response = go_to(&visit.to(next.strip_prefix('/').unwrap_or_default()));
    response.headers_mut().insert(SET_COOKIE, cookie);
    response.extensions_mut().insert(Object(format!("session of token {}", grant.token.id())));
    Ok(response)
}

/// `POST /logout`.
pub async fn log_out(request: Request<View>) -> Answer {
    let Request { state, grant: visit, head, .. } = request;
    refuse_other_sites(&state, &head.headers)?;
    if let Some(secret) = secret_of(&head.headers) {
        state.catalog.remove_web_session(state.tokens.session_id(&secret)).await?;
    }
    let mut response = go_to(&visit.to(""));
    let secure = if is_https(&state, &head) { "; Secure" } else { "" };
    let cookie = format!("{NAME}=; HttpOnly; SameSite=Strict; Max-Age=0{secure}");
    response.headers_mut().insert(SET_COOKIE, header(&cookie)?);
    Ok(response)
}

/// Records a new session and returns its cookie.
async fn begin(state: &State, grant: &Grant, is_https: bool) -> Result<HeaderValue, HttpError> {
    let mut secret = Zeroizing::new([0; SECRET]);
    getrandom::fill(&mut *secret).map_err(|error| HttpError::internal(&error))?;
    let length = i64::try_from(LENGTH.as_secs()).unwrap_or(i64::MAX);
    let session = WebSession {
        id: state.tokens.session_id(&*secret),
        token: grant.token.id(),
        expires_at: UnixTime(UnixTime::now().0.saturating_add(length)),
    };
    state.catalog.add_web_session(session).await?;
    let digits: Zeroizing<String> =
        secret.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
    let secure = if is_https { "; Secure" } else { "" };
    let text = format!("{NAME}={}; HttpOnly; SameSite=Strict; Max-Age={}{secure}", *digits, LENGTH.as_secs());
    let mut cookie = header(&text)?;
    cookie.set_sensitive(true);
    Ok(cookie)
}

fn header(text: &str) -> Result<HeaderValue, HttpError> {
    HeaderValue::try_from(text).map_err(|error| HttpError::internal(&error))
}

/// Whether the client came by https, as far as that is known.
fn is_https(state: &State, head: &Head) -> bool {
    if head.headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https") {
        return true;
    }
    // A browser that sends a form says by itself what it speaks.
    match head.headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()?.split_once("://")) {
        Some((scheme, _)) => scheme == "https",
        None => state.origin.url(head.host().ok().flatten(), "").starts_with("https://"),
    }
}

/// Refuses a form that a page of another site has sent.
fn refuse_other_sites(state: &State, headers: &HeaderMap) -> Result<(), HttpError> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_own = match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        // Browsers leave it out where they were reached by plain http.
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            let public =
                state.config().server.public_url.as_ref().map(|url| url.origin().ascii_serialization());
            host.is_some() && (host == text(HOST.as_str()) || public.as_deref() == Some(origin))
        }
        (None, None) => true,
    };
    if is_own {
        return Ok(());
    }
    let message = "This form was sent by a page of another site. Open the login page of this server instead.";
    Err(HttpError::new(StatusCode::FORBIDDEN, message))
}

/// Where to go after the login: a path on this server, or else the first page.
fn local(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//");
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path && is_plain && next.len() <= 2000 { next } else { "/" }
}

/// Sends the browser to another page, which it asks for with `GET`.
fn go_to(url: &str) -> Response {
    let mut response = crate::http::status(StatusCode::SEE_OTHER);
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::try_from(url).unwrap_or(HeaderValue::from_static("./")));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Why a token was refused, for a person at the form.
fn reason(error: &AuthError) -> &'static str {
    match error {
        AuthError::Expired => "This token has expired. Ask for a new one.",
        AuthError::Revoked => "This token has been revoked. Ask for a new one.",
        AuthError::Missing => "Paste a token first.",
        _ => "This is not a token of this server.",
    }
}

fn login_page(visit: &Visit, next: &str, refused: Option<&str>) -> Page {
    let form: Markup = html! {
        h1 { "Log in" }
        p.lead { "Paste a token of this server. It decides what you see: private caches, deployments, or the whole server." }
        @if let Some(reason) = refused {
            div.note.bad role="alert" { p { (reason) } }
        }
        form.stack method="post" action=(visit.to("login")) {
            input type="hidden" name="next" value=(next);
            label for="token" { "Token" }
            input #token type="password" name="token" autocomplete="off" spellcheck="false" required autofocus;
            button.button type="submit" { "Log in" }
        }
        p.soft {
            "The session ends after 12 hours, when you log out, or when the token is revoked. "
            "Pages only show things; changing them takes " code { "cachectl" } " or the API."
        }
        h2 { "Where do I get a token?" }
        p { "The operator of the server makes one, for example to read one cache:" }
        div.code { pre { code { "cachectl token create --cache NAME --permission read" } } }
    };
    Page::new("Log in", form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_gone_to() {
        for path in ["/", "/cache/main", "/cache/main/paths?q=a%20b"] {
            assert_eq!(local(path), path);
        }
        for path in
            ["", "//evil.example", "https://evil.example/", "/\\evil.example", "cache", "/a b", "/a\nb"]
        {
            assert_eq!(local(path), "/", "{path}");
        }
    }

    #[test]
    fn the_secret_is_found_among_other_cookies() {
        let with = |cookie: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, HeaderValue::try_from(cookie).expect("visible"));
            secret_of(&headers).map(|secret| secret.to_vec())
        };
        let digits = "0f".repeat(SECRET);
        assert_eq!(with(&format!("a=b; {NAME}={digits}; c=d")), Some(vec![15; SECRET]));
        for bad in ["", "a=b", &format!("{NAME}={digits}0"), &format!("{NAME}={}", "zz".repeat(SECRET))] {
            assert_eq!(with(bad), None, "{bad}");
        }
    }
}
