//! What values look like: for messages about wrong ones, and for documentation.

use super::table::AnyTable;
use crate::config::wrong::quoted;

/// What a key takes, or one entry of its list.
#[derive(Clone, Copy)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A TCP or UDP port.
    Port,
    /// A number of days.
    Days,
    /// A number of things, at least one.
    Count,
    /// The priority of a cache among substituters.
    Priority,
    /// A share in percent.
    Percentage,
    /// The tier of a storage.
    Tier,
    /// A number of bytes.
    Size,
    /// A length of time.
    Duration,
    /// A length of time that is not zero.
    PositiveDuration,
    /// The pause between two runs of a job, or `off`.
    Interval,
    /// Permission bits of a file.
    Mode,
    /// A group of this machine.
    Group,
    /// Any text but an empty one.
    Text,
    /// A path.
    Path,
    /// A secret itself.
    Secret,
    /// The path of a file that holds a secret.
    SecretFile,
    /// An IP address or a host name.
    Host,
    /// An IPv4 address.
    Ipv4,
    /// An IP address with a port.
    SocketAddress,
    /// The URL of an HTTP service.
    HttpUrl,
    /// The URL of an HTTP server, without a path.
    ServerUrl,
    /// The URL by which one daemon reaches another.
    NodeUrl,
    /// Where the catalog is.
    Database,
    /// Directives that choose what is logged.
    LogFilter,
    /// A public key of Nix.
    PublicKey,
    /// The URL of a binary cache with the keys that it signs with.
    Upstream,
    /// The URL of a binary cache.
    UpstreamUrl,
    /// The name of a cache.
    CacheName,
    /// Another name.
    Name,
    /// Claims with patterns for their values.
    Claims,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A mapping with the keys of this table.
    Mapping(&'static dyn AnyTable),
    /// A list of such mappings.
    Entries(&'static dyn AnyTable),
    /// The text of an upstream, or a mapping with the keys of this table.
    UpstreamOrMapping(&'static dyn AnyTable),
}

impl Kind {
    /// What is right, as a phrase behind "expected".
    pub fn expected(self) -> String {
        let phrase = match self {
            Self::Bool => "`true` or `false`",
            Self::Port => "a port from 1 to 65535",
            Self::Days => "a number of days, at least 1",
            Self::Count => "a number, at least 1",
            Self::Priority => "a number; Nix asks lower ones first",
            Self::Percentage => "a percentage from 1 to 100",
            Self::Tier => "a number from 0 for the fastest storages to 9",
            Self::Size => "a size such as `500M`, `10 GiB` or a number of bytes",
            Self::Duration => "a time such as `30s`, `90min` or `2h`",
            Self::PositiveDuration => "a time longer than zero, such as `24h`",
            Self::Interval => "a time such as `12h`, or `off`",
            Self::Mode => "permissions in octal digits, such as `\"0660\"`",
            Self::Group => "the name or number of a group",
            Self::Text => "a text",
            Self::Path => "a path",
            Self::Secret => "a secret",
            Self::SecretFile => "the path of a file with a secret",
            Self::Host => "an IP address or a host name",
            Self::Ipv4 => "an IPv4 address; the DHT does not support IPv6",
            Self::SocketAddress => "an IP address and a port such as `127.0.0.1:9105`, or `[::]:9105`",
            Self::HttpUrl => "a URL such as `https://cache.example.org`",
            Self::ServerUrl => "only a scheme and a host, because clients reach caches as `NAME.HOST`",
            Self::NodeUrl => "a URL such as `http://node-1.example.org:5000`",
            Self::Database => "the name of a SQLite file, `sqlite://FILE` or `postgres://USER@HOST/DATABASE`",
            Self::LogFilter => "a filter such as `info` or `info,cache_server=debug`",
            Self::PublicKey => {
                "a public key such as `cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=`"
            }
            Self::Upstream => "the URL of a binary cache, and behind it the public keys that it signs with",
            Self::UpstreamUrl => {
                "`nixos`, or a URL such as `https://cache.example.org` or `s3://bucket?region=eu-west-1`"
            }
            Self::CacheName => {
                "1 to 63 characters of `a-z`, `0-9` and `-`, as in a host name, because clients reach the cache as `NAME.HOST`"
            }
            Self::Name => "1 to 100 characters without slashes",
            Self::Claims => "a mapping of claims such as `repository: acme/*`",
            Self::Words(words) => return quoted(words),
            Self::Mapping(table) => return format!("a mapping of keys such as `{}`", first(table)),
            Self::Entries(table) => return format!("a list of mappings of keys such as `{}`", first(table)),
            Self::UpstreamOrMapping(table) => {
                let text = Self::Upstream.expected();
                return format!("{text}; or a mapping of keys such as `{}`", first(table));
            }
        };
        phrase.to_owned()
    }

    /// Whether the value is a secret or leads to one.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::SecretFile)
    }

    /// The mapping that the value is, or a list of.
    pub fn table(self) -> Option<&'static dyn AnyTable> {
        match self {
            Self::Mapping(table) | Self::Entries(table) => Some(table),
            _ => None,
        }
    }
}

/// A key to name as an example of those of a mapping.
fn first(table: &'static dyn AnyTable) -> &'static str {
    table.names().next().unwrap_or_default()
}
