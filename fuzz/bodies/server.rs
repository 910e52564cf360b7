//! What the fuzz targets of the daemon's own parsers do with their input.

use std::io::Read;
use std::sync::OnceLock;

use cache_server::auth::Tokens;
use cache_server::config::{Config, Environment, load};
use cache_server::decode::decoder;
use nix_formats::Compression;

/// A target: its name, which is that of the folder of its corpus as well, and what it does.
type Body = (&'static str, fn(&[u8]));

/// The targets.
pub const BODIES: &[Body] = &[("config", config), ("tokens", tokens), ("decoders", decoders)];

/// As much as a test has the patience to unpack.
const MOST: u64 = 4 << 20;

/// A configuration file is taken or refused in words.
pub fn config(data: &[u8]) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, data).expect("a file");
    let environment = Environment { home: Some(directory.path().to_owned()), ..Environment::default() };
    if let Err(faults) = load(&file, &environment) {
        assert!(!faults.to_string().is_empty());
    }
}

/// A token that this daemon did not make is refused.
pub fn tokens(data: &[u8]) {
    static TOKENS: OnceLock<Tokens> = OnceLock::new();
    let tokens = TOKENS.get_or_init(|| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            // The file goes at once; what is open of it stays.
            let directory = tempfile::tempdir().expect("a directory");
            let database = format!("sqlite://{}/db.sqlite", directory.path().display());
            let catalog = catalog::Catalog::open(&database).await.expect("a catalog");
            let https = cache_server::tls::trust(&[]).expect("no files");
            let key = b"a key of at least thirty-two characters";
            Tokens::load(catalog, key, &Config::default(), https).await.expect("no tokens")
        })
    });
    assert!(tokens.verify(&String::from_utf8_lossy(data)).is_err());
}

/// Every decoder ends, with an error or with bytes, whatever it is given.
pub fn decoders(data: &[u8]) {
    for compression in [
        Compression::None,
        Compression::Xz,
        Compression::Bzip2,
        Compression::Gzip,
        Compression::Zstd,
        Compression::Brotli,
        Compression::Lz4,
        Compression::Lzip,
    ] {
        let unpacked = decoder(data, compression).map(|decoder| decoder.take(MOST));
        if let Ok(mut unpacked) = unpacked {
            let _ = std::io::copy(&mut unpacked, &mut std::io::sink());
        }
    }
}
