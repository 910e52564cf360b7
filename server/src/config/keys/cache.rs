//! Entries of `caches`.

use super::field::{Entries, Many, Maybe, Nested, One, TextsOrMappings};
use super::key::Key;
use super::lens::lens;
use super::table::{Table, Topic};
use super::tls::CACHE_TLS;
use super::types::{
    BOOL, CACHE_NAME, COUNT, DAYS, PORT, POSITIVE_DURATION, PRIORITY, PUBLIC_KEY, SECRET_FILE, SIZE, Type,
    UPSTREAM as UPSTREAM_TEXT, words,
};
use super::{STORAGE, UPSTREAM, upstream};
use crate::config::{
    Access, CacheConfig, CacheFederation, Closures, CopiesBeforeAnswer, FederationTrust,
    PreferredCompression, SigningMode, Strategy, Upstream, WhenFull,
};

const ACCESS: Type<Access> = words();
const CLOSURES: Type<Closures> = words();
const COPIES_BEFORE_ANSWER: Type<CopiesBeforeAnswer> = words();
const COMPRESSION: Type<PreferredCompression> = words();
const FEDERATION_TRUST: Type<FederationTrust> = words();
const SIGNING: Type<SigningMode> = words();
const STRATEGY: Type<Strategy> = words();
const WHEN_FULL: Type<WhenFull> = words();

/// An entry of `caches`.
pub const CACHE: Table<CacheConfig> =
    Table { title: "an entry of `caches`", path: "caches[]", topics: &[SERVING, TRUST, PLACEMENT] };

const SERVING: Topic<CacheConfig> = Topic {
    title: "Serving",
    keys: &[
        Key::new("name", &One(lens!(CacheConfig, name), CACHE_NAME))
            .required()
            .applied_on_reload()
            .summary("Name of the cache, in URLs and host names")
            .details("It has 1 to 63 letters a-z, digits and hyphens, as a label of a host name.")
            .example("main"),
        Key::new("enabled", &One(lens!(CacheConfig, enabled), BOOL))
            .default("true")
            .applied_on_reload()
            .summary("Whether the cache is served")
            .details("A disabled cache keeps its data."),
        Key::new("access", &One(lens!(CacheConfig, access), ACCESS))
            .default("public")
            .applied_on_reload()
            .summary("Who may read: `public` for everybody, `private` for holders of a token")
            .details(
                "Writing always takes a token. A reload that would open a private cache only because this key is missing \
                 is refused: write `access: public` to open it.",
            )
            .example("private"),
        Key::new("retention", &One(lens!(CacheConfig, retention), DAYS))
            .derived("`server.default-retention`")
            .applied_on_reload()
            .summary("Days that a path is kept after its last use")
            .example("30"),
        Key::new("port", &Maybe(lens!(CacheConfig, port), PORT))
            .derived("`server.default-port` for the first enabled cache that has none")
            .applied_on_reload()
            .summary("A port for this cache alone")
            .details("Every cache is reachable at `server.server-port` too.")
            .example("8081"),
        Key::new("tls", &Nested(lens!(CacheConfig, tls), &CACHE_TLS))
            .applied_on_reload()
            .summary("A certificate for this cache alone"),
        // Before cache.nixos.org, so that Nix does not fetch from far away what is here.
        Key::new("priority", &One(lens!(CacheConfig, priority), PRIORITY))
            .default("30")
            .applied_on_reload()
            .summary("Priority among the substituters of a client: Nix asks caches with lower numbers first")
            .details("cache.nixos.org has 40."),
        Key::new("compression", &One(lens!(CacheConfig, compression), COMPRESSION))
            .default("zstd")
            .applied_on_reload()
            .summary("Compression that clients are asked to push with: `zstd` is fast, `xz` is small")
            .details("Uploads with another compression are accepted too."),
    ],
};

const TRUST: Topic<CacheConfig> = Topic {
    title: "Signatures and upstreams",
    keys: &[
        Key::new("signing", &One(lens!(CacheConfig, signing), SIGNING))
            .default("server")
            .applied_on_reload()
            .summary("Who signs the paths: `server`, `client` or `auto`")
            .details(
                "`auto` is the server until a client registers a key while the cache is empty, as `cachix generate-keypair` \
                 does with an `admin` token. With `client` the server never makes a key. A key that was registered stays in \
                 force with `server` as well.",
            )
            .example("auto"),
        Key::new("signing-key-file", &Many(lens!(CacheConfig, signing_key_files), SECRET_FILE))
            .applied_on_reload()
            .summary("Files with secret keys of Nix to sign with, one or a list")
            .details(
                "`nix key generate-secret` and `nix-store --generate-binary-cache-key` make such files. Several keys sign \
                 side by side, which lets you replace a key. Without a file, the daemon makes a key.",
            )
            .example("/run/secrets/main-signing-key"),
        Key::new("trusted-public-keys", &Many(lens!(CacheConfig, trusted_public_keys), PUBLIC_KEY))
            .applied_on_reload()
            .summary("Public keys that this cache trusts besides its own")
            .details(
                "Their signatures are kept next to ours, even those that arrive later (`nix store sign --store`). Paths that they \
                 signed may come from upstreams and other nodes. With the key of another public cache of this daemon, this cache \
                 also serves what that cache holds, and trusts its writers like its own.",
            )
            .example("[\"cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=\"]"),
        Key::new("upstreams", UPSTREAMS)
            .applied_on_reload()
            .summary("Binary caches to ask, in this order, for paths that this cache does not have")
            .details(
                "Each is a text or, for private caches, a mapping. A path is accepted only with a signature by one of \
                 `trusted-public-keys` or by a key that follows the URL: \
                 `https://cache.example.org cache.example.org-1:BASE64`. `nixos` is https://cache.nixos.org, whose key is built in. \
                 `s3://…` is a bucket, with parameters as for Nix. Redirects are followed to public addresses, and to addresses of \
                 the same kind as that of the upstream (this machine, a private network). Readers of this cache can read everything \
                 from its upstreams, also from private ones: give it `access: private` if not everybody may read that.",
            )
            .example("[nixos, {url: \"https://private.example.org\", token-file: /run/secrets/upstream-token}]"),
        Key::new("skip-upstream", &One(lens!(CacheConfig, skip_upstream), BOOL))
            .default("true")
            .applied_on_reload()
            .summary("Whether clients can skip what one of the `upstreams` has when they push")
            .details(
                "As with hosted Cachix, the cachix client is told that such paths are present. Readers get them from the upstream \
                 through this cache. With `false`, everything is pushed: choose that where an upstream may go away, or forget \
                 paths that are still needed.",
            ),
        Key::new("pin-upstream", &One(lens!(CacheConfig, pin_upstream), BOOL))
            .default("false")
            .applied_on_reload()
            .summary("Whether to fetch and keep what pushes skipped because one of the `upstreams` has it")
            .details(
                "It is fetched in the background, soon after the push, and so stays available when the upstream removes it. With \
                 `false`, the daemon checks now and then whether the upstreams still have it (`server.federation.watch-interval`), \
                 and reports what is missing.",
            ),
        Key::new("closures", &One(lens!(CacheConfig, closures), CLOSURES))
            .default("warn")
            .applied_on_reload()
            .summary("What happens to a path whose references are missing: `warn` or `strict`")
            .details(
                "Nix fails on such a path, even if another substituter has all of its closure. With `strict`, readers do not find it \
                 until every path of its closure is in this cache, at one of its `upstreams`, or in another cache of this daemon that it \
                 trusts. Clients that push are told that it is present. With `warn`, it is served, and `cachectl doctor`, `cachectl path \
                 info` and the metrics report it.",
            )
            .example("strict"),
        Key::new("federation", &Nested(lens!(CacheConfig, federation), &CACHE_FEDERATION))
            .applied_on_reload()
            .summary("What happens to paths that were found on upstreams and other nodes"),
    ],
};

/// `caches[].federation`.
pub const CACHE_FEDERATION: Table<CacheFederation> = Table {
    title: "`federation` of a cache",
    path: "caches[].federation",
    topics: &[Topic {
        title: "Paths from elsewhere",
        keys: &[
            Key::new("keep", &One(lens!(CacheFederation, keep), BOOL))
                .default("false")
                .applied_on_reload()
                .summary("Whether to keep what readers fetch from upstreams and other nodes")
                .details("Such paths are kept like pushed ones, until nothing has used them for the `retention` of the cache."),
            Key::new("keep-max-size", &Maybe(lens!(CacheFederation, keep_max_size), SIZE))
                .applied_on_reload()
                .summary("Size of the cache above which the least recently used paths are removed early")
                .details(
                    "Pinned paths stay. Pushed paths count and may be removed as well, so use a cache of its own to keep \
                     paths from elsewhere. Needs `keep: true`.",
                )
                .example("100GB"),
            Key::new("trust", &One(lens!(CacheFederation, trust), FEDERATION_TRUST))
                .default("network")
                .applied_on_reload()
                .summary("Whose signatures count for paths of other nodes: `network` or `listed`")
                .details(
                    "With `network`, the signature of any cache of any node is enough: anyone who has the key of the network, or \
                     who may write to a public cache of one of its nodes, is trusted like the writers of this cache. With \
                     `listed`, only signatures by keys of this cache and by its `trusted-public-keys` count.",
                )
                .example("listed"),
        ],
    }],
};

const UPSTREAMS: &TextsOrMappings<CacheConfig, Upstream> = &TextsOrMappings {
    lens: lens!(CacheConfig, upstreams),
    text: UPSTREAM_TEXT,
    table: &UPSTREAM,
    check: upstream::check,
    is_text: upstream::is_text,
};

const PLACEMENT: Topic<CacheConfig> = Topic {
    title: "Storages",
    keys: &[
        Key::new("max-size", &Maybe(lens!(CacheConfig, max_size), SIZE))
            .applied_on_reload()
            .summary("Largest size of the cache on all its storages together")
            .details("NARs, listings, logs and everything else on them count, and so does the trash, which is emptied first.")
            .example("1TB"),
        Key::new("when-full", &One(lens!(CacheConfig, when_full), WHEN_FULL))
            .default("refuse")
            .applied_on_reload()
            .summary("What happens to a push if the cache or its storages have no room for it: `refuse` or `collect`")
            .details(
                "With `collect`, the least recently used paths are removed, with everything that refers to them, until there is \
                 room: a tenth of the cache, or as much as the push needs. Pinned paths and those of agents stay. `retention` and \
                 `server.gc-grace` do not protect the others. Pushes wait for the collection, and are refused if it does not free \
                 enough.",
            )
            .example("collect"),
        Key::new("storage-strategy", &One(lens!(CacheConfig, storage_strategy), STRATEGY))
            .derived("`server.default-storage-strategy`")
            .applied_on_reload()
            .summary("How the storage for a new file is chosen")
            .details(
                "A storage that is full or does not work is never chosen.\n\n\
                 - `round-robin`: the next one in turn\n\
                 - `in-order`: the first one with room, in the order of `storages`\n\
                 - `split`: the one furthest below its share, see `split`\n\
                 - `least-used`: the one with the least used bytes",
            )
            .example("in-order"),
        Key::new("copies", &One(lens!(CacheConfig, copies), COUNT))
            .default("1")
            .applied_on_reload()
            .summary("On how many storages each NAR is kept")
            .details(
                "A push is answered once the first copy is durable, see `copies-before-answer`; the others are made in the \
                 background, those of the files most at risk first. Each copy is placed by `storage-strategy` on a storage that \
                 has none yet. If the number changes, existing files follow in the background. If fewer storages work than there \
                 should be copies, pushes continue, and `cachectl status` shows how many copies are missing.",
            )
            .example("2"),
        Key::new("copies-before-answer", &One(lens!(CacheConfig, copies_before_answer), COPIES_BEFORE_ANSWER))
            .default("1")
            .applied_on_reload()
            .summary("How many copies are durable before a push is answered: `1` or `all`")
            .details(
                "With `all`, everything that was acknowledged stays available even if a storage dies a moment later. Pushes do not \
                 wait for storages that are full or do not work.",
            )
            .example("all"),
        Key::new("re-copy-after", &One(lens!(CacheConfig, re_copy_after), POSITIVE_DURATION))
            .default("1h")
            .applied_on_reload()
            .summary("How long a storage may be unavailable before its files are copied to others, with `copies` of 2 or more")
            .details("When the storage is back, surplus copies are removed."),
        Key::new("storages", &Entries(lens!(CacheConfig, storages), &STORAGE))
            .derived("one local storage `default` in `storage` below `server.state-dir`")
            .applied_on_reload()
            .summary("Where the files of the cache are kept")
            .details(
                "Each storage is a Nix binary cache of its own, below `root/NAME` with the name of the cache. Before you \
                 remove a storage that holds files, empty it with `cachectl storage drain`.",
            )
            .example("[{name: ssd, type: local, root: /mnt/ssd}]"),
    ],
};
