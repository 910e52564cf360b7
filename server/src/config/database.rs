//! The URL of the catalog's database.

use std::fmt;
use std::path::Path;

use url::Url;

use super::keys::Kind;
use super::secret::{MASK, Secret};
use super::values;
use super::wrong::Wrong;

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
        (url.is_some(), url.is_some_and(|url| url.password().is_some()))
    }

    /// The whole URL, password included. To connect with; never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::parse(&self.0) {
            Ok(mut url) if url.password().is_some() => {
                // Fails only for URLs that cannot have a password.
                let masked = url.set_password(Some(MASK));
                f.write_str(masked.map_or(MASK, |()| url.as_str()))
            }
            _ => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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
        "postgres" | "postgresql" => Url::parse(text)
            .map(|url| DatabaseUrl::of_postgres(&url))
            .map_err(|error| wrong(format!("is not a URL: {error}"))),
        _ if rest.starts_with("//") => Err(wrong(format!("`{scheme}` is not a supported database"))),
        _ => of_file(text),
    }
}
