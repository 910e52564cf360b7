//! The URL of the catalog's database.

use std::fmt;
use std::path::Path;

use url::Url;

use super::keys::Kind;
use super::secret::{MASK, Secret};
use super::values;
use super::wrong::Wrong;

/// The parameters of a PostgreSQL URL that the driver knows. It would log the value of any other.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    PASSWORD,
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];
/// The parameter that holds a password.
const PASSWORD: &str = "password";

/// `sqlite://<absolute path>` or a `postgres://` URL. The latter may hold a password, so `Debug` and `Display` mask it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL of a SQLite file at an absolute path, in the encoding that sqlx decodes.
    pub(super) fn of_sqlite_file(path: &Path) -> Self {
        let path = path.to_string_lossy();
        let path = path.replace('%', "%25").replace('?', "%3F");
        Self(format!("sqlite://{path}"))
    }

    /// A PostgreSQL URL, as it is.
    pub(super) fn of_postgres(url: &Url) -> Self {
        Self(url.to_string())
    }

    /// The same with this password. A database that takes none is left as it is.
    pub(super) fn with_password(&self, password: &Secret) -> Self {
        let Ok(mut url) = Url::parse(&self.0) else { return self.clone() };
        match url.set_password(Some(password.expose())) {
            Ok(()) => Self(url.into()),
            Err(()) => self.clone(),
        }
    }

    /// Whether the database is asked for a password, and whether the URL has one.
    pub(super) fn password(&self) -> (bool, bool) {
        let url = Url::parse(&self.0).ok().filter(|url| url.scheme() != "sqlite");
        (url.is_some(), url.as_ref().is_some_and(has_password))
    }

    /// The whole URL, password included. To connect with; never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::parse(&self.0) {
            Ok(url) if has_password(&url) => f.write_str(&masked(url)),
            _ => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn has_password(url: &Url) -> bool {
    url.password().is_some() || url.query_pairs().any(|(name, _)| name == PASSWORD)
}

/// The URL with all its passwords masked.
fn masked(mut url: Url) -> String {
    // Fails only for URLs that cannot have a password.
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    if let Some(query) = url.query() {
        let mask = |pair: &str| match pair.split_once('=') {
            Some((name, _)) if decodes_to_password(name) => format!("{name}={MASK}"),
            _ => pair.to_owned(),
        };
        let query: Vec<String> = query.split('&').map(mask).collect();
        url.set_query(Some(&query.join("&")));
    }
    url.into()
}

fn decodes_to_password(name: &str) -> bool {
    url::form_urlencoded::parse(name.as_bytes()).any(|(name, _)| name == PASSWORD)
}

/// A PostgreSQL URL that the driver understands wholly.
fn postgres(text: &str) -> Result<DatabaseUrl, Wrong> {
    let wrong = |message: String| Wrong::because(message, Kind::Database.expected());
    let url = Url::parse(text).map_err(|error| wrong(format!("is not a URL: {error}")))?;
    let is_known = |name: &str| PARAMETERS.contains(&name) || name.starts_with("options[");
    match url.query_pairs().find(|(name, _)| !is_known(name)) {
        Some((name, _)) => Err(wrong(format!("has the unknown parameter `{name}`"))),
        None => Ok(DatabaseUrl::of_postgres(&url)),
    }
}

/// A file name, `sqlite:…`, `sqlite://…` or a PostgreSQL URL. Messages do not show the text, which may hold a password.
pub(super) fn parse(text: &str, state_dir: &Path) -> Result<DatabaseUrl, Wrong> {
    let wrong = |message: String| Wrong::because(message, Kind::Database.expected());
    let of_file = |file: &str| {
        let path = values::resolve(state_dir, &values::path(file)?);
        Ok(DatabaseUrl::of_sqlite_file(&path))
    };
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    let file = rest.strip_prefix("//").unwrap_or(rest);
    match scheme {
        _ if file == ":memory:" => Err(wrong("would lose everything when the daemon stops".to_owned())),
        "sqlite" if file.contains('?') => {
            Err(wrong("has options, which the daemon chooses itself".to_owned()))
        }
        "sqlite" => of_file(file),
        "postgres" | "postgresql" => postgres(text),
        _ if rest.starts_with("//") => Err(wrong(format!("`{scheme}` is not a supported database"))),
        _ => of_file(text),
    }
}
