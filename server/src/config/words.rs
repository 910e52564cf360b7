//! Settings that are one of several words.

use super::values::Word;

/// Declares an enum whose variants are words in the configuration file.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident {
        $(#[$first_doc:meta])* $first:ident = $first_word:literal,
        $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub enum $name { $(#[$first_doc])* #[default] $first, $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// The word for it in the configuration file.
            pub fn as_str(self) -> &'static str {
                match self { Self::$first => $first_word, $(Self::$variant => $word,)* }
            }
        }

        impl Word for $name {
            const ALL: &'static [Self] = &[Self::$first, $(Self::$variant),*];
            const WORDS: &'static [&'static str] = &[$first_word, $($word),*];

            fn word(self) -> &'static str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Who may read a cache. Writing always takes a token.
    Access {
        /// Everyone.
        Public = "public",
        /// Holders of a token.
        Private = "private",
    }
}

words! {
    /// Compression that a cache asks pushing clients for. Uploads with another one are accepted too.
    PreferredCompression {
        /// Fast.
        Zstd = "zstd",
        /// Small.
        Xz = "xz",
    }
}

words! {
    /// Who signs the paths of a cache.
    SigningMode {
        /// The server, always.
        Server = "server",
        /// The server, until a client registers its key while the cache is empty.
        Auto = "auto",
        /// The clients; the server never makes a key.
        Client = "client",
    }
}

words! {
    /// Whose signatures count for paths of other nodes, besides those of the cache and of its `trusted-public-keys`.
    FederationTrust {
        /// Those of the caches of all nodes of the network.
        Network = "network",
        /// Nobody's.
        Listed = "listed",
    }
}

words! {
    /// What happens to a push for which a cache has no room.
    WhenFull {
        /// It is refused.
        Refuse = "refuse",
        /// What was not used for the longest time is removed.
        Collect = "collect",
    }
}

words! {
    /// How many copies of a NAR are durable before a push is answered.
    CopiesBeforeAnswer {
        /// One. The others follow.
        One = "1",
        /// All that the storages can take.
        All = "all",
    }
}

words! {
    /// What happens to a path whose closure is incomplete.
    Closures {
        /// It is served, and reported.
        Warn = "warn",
        /// It is hidden until its closure is complete.
        Strict = "strict",
    }
}

words! {
    /// How a storage is chosen for a new file.
    Strategy {
        /// The next one in turn.
        RoundRobin = "round-robin",
        /// The first in listed order with room.
        InOrder = "in-order",
        /// The one furthest below its share of bytes.
        Split = "split",
        /// The one with the least used bytes.
        LeastUsed = "least-used",
    }
}

words! {
    /// Type of a storage.
    StorageType {
        /// A directory.
        Local = "local",
        /// A bucket of an S3-compatible service.
        S3 = "s3",
    }
}

words! {
    /// Format of a log line.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

words! {
    /// What a rule permits on its caches.
    RulePermission {
        /// Reading and pushing.
        Write = "write",
        /// Reading.
        Read = "read",
    }
}

words! {
    /// An asymmetric signature algorithm of JSON Web Tokens (RFC 7518, section 3.1; RFC 8037).
    OidcAlgorithm {
        /// RSA with PKCS #1 padding and SHA-256.
        Rs256 = "RS256",
        /// The same with SHA-384.
        Rs384 = "RS384",
        /// The same with SHA-512.
        Rs512 = "RS512",
        /// RSA with PSS padding and SHA-256.
        Ps256 = "PS256",
        /// The same with SHA-384.
        Ps384 = "PS384",
        /// The same with SHA-512.
        Ps512 = "PS512",
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
        /// ECDSA on P-384 with SHA-384.
        Es384 = "ES384",
        /// Ed25519.
        EdDsa = "EdDSA",
    }
}
