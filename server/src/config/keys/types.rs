//! The types of values: how each is read from the text in the file, and printed again.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use admin_api::units::format_size;
use nix_formats::PublicKey;
use serde_yaml::Value;
use url::Url;

use super::kind::Kind;
use crate::config::decode::Context;
use crate::config::values::{self, Word};
use crate::config::wrong::Wrong;
use crate::config::{CacheName, DatabaseUrl, Name, Upstream, database};
use crate::limits::client_address::Network;

/// A type of values.
#[derive(Clone, Copy)]
pub struct Type<T: 'static> {
    /// What its values look like.
    pub kind: Kind,
    /// Reads a value from its text.
    pub parse: fn(&str, &Context<'_>) -> Result<T, Wrong>,
    /// The value as the file would have it.
    pub print: fn(&T) -> Value,
}

macro_rules! types {
    ($($name:ident: $value:ty = $kind:ident, $parse:expr, $print:expr;)+) => {
        $(pub const $name: Type<$value> =
            Type { kind: Kind::$kind, parse: |text, _| $parse(text), print: $print };)+
    };
}

types! {
    BOOL: bool = Bool, values::truth, |value| Value::from(*value);
    PORT: u16 = Port, values::port, |value| Value::from(*value);
    DAYS: u32 = Days, values::days, |value| Value::from(*value);
    COUNT: u32 = Count, values::count, |value| Value::from(*value);
    PRIORITY: u32 = Priority, values::priority, |value| Value::from(*value);
    PERCENTAGE: u8 = Percentage, values::percentage, |value| Value::from(*value);
    TIER: u8 = Tier, values::tier, |value| Value::from(*value);
    SIZE: u64 = Size, values::size, |bytes| text(&format_size(*bytes));
    DURATION: Duration = Duration, values::duration, |time| text(&humantime::format_duration(*time));
    POSITIVE_DURATION: Duration = PositiveDuration, values::positive_duration, DURATION.print;
    INTERVAL: Option<Duration> = Interval, values::interval,
        |pause| pause.as_ref().map_or_else(|| text("off"), DURATION.print);
    MODE: u32 = Mode, values::mode, |bits| text(&format!("{bits:04o}"));
    GROUP: String = Group, values::group, text;
    TEXT: String = Text, values::text, text;
    HOST: String = Host, values::host, text;
    IPV4: Ipv4Addr = Ipv4, values::ipv4, text;
    SOCKET_ADDRESS: SocketAddr = SocketAddress, values::socket_address, text;
    NETWORK: Network = Text, values::ip_network, text;
    HTTP_URL: Url = HttpUrl, values::http_url, text;
    SERVER_URL: Url = ServerUrl, values::server_url, text;
    NODE_URL: Url = NodeUrl, values::node_url, text;
    LOG_FILTER: String = LogFilter, values::log_filter, text;
    PUBLIC_KEY: PublicKey = PublicKey, values::public_key, text;
    UPSTREAM: Upstream = Upstream, values::upstream, text;
    UPSTREAM_URL: Url = UpstreamUrl, values::upstream_url, text;
    CACHE_NAME: CacheName = CacheName, values::cache_name, text;
    NAME: Name = Name, values::name, text;
}

/// A path that begins in the state directory if it is relative.
pub const PATH: Type<PathBuf> = Type {
    kind: Kind::Path,
    parse: |text, context| Ok(values::resolve(&context.state_dir, &values::path(text)?)),
    print: |path| text(&path.display()),
};

/// The path of a secret's file; see [`Context::secret_file`] for where it begins.
pub const SECRET_FILE: Type<PathBuf> =
    Type { kind: Kind::SecretFile, parse: |text, context| context.secret_file(text), print: PATH.print };

/// The path of a file that a service manager may hand over as a credential, though it is no secret. It begins where those of
/// secrets do.
pub const CREDENTIAL_FILE: Type<PathBuf> = Type { kind: Kind::Path, ..SECRET_FILE };

/// Where the catalog is. Passwords are masked.
pub const DATABASE: Type<DatabaseUrl> = Type {
    kind: Kind::Database,
    parse: |text, context| database::parse(text, &context.state_dir),
    print: text,
};

/// One of the words of an enum.
pub const fn words<T: Word>() -> Type<T> {
    Type {
        kind: Kind::Words(T::WORDS),
        parse: |text, _| values::word(text),
        print: |value| text(value.word()),
    }
}

fn text<T: ToString + ?Sized>(value: &T) -> Value {
    Value::String(value.to_string())
}
