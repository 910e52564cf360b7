//! Sources behind a web server, in every form in which such a server sends a path.

use serde_json::Value;

use super::{run, summary};
use crate::federation::encodings::{brotli, gzip, narinfo};
use crate::federation::upstream::{Act, Upstream};
use crate::harness::{Compression, Path, Site};

fn source() -> Upstream {
    let source = Upstream::start();
    source.on("/nix-cache-info", Act::Send(b"StoreDir: /nix/store\n".to_vec()));
    source
}

fn import(site: &Site, source: &Upstream, paths: &[Path]) -> (Value, i32) {
    let list: String = paths.iter().map(|path| path.store_path() + "\n").collect();
    summary(&run(site, &["import", &source.url(), "--cache", "pub", "-"], &list))
}

type Pack = fn(&[u8]) -> Vec<u8>;

const ENCODINGS: [(&str, Pack); 6] = [
    ("zstd", |bytes| Compression::Zstd.compress(bytes)),
    ("xz", |bytes| Compression::Xz.compress(bytes)),
    ("gzip", gzip),
    ("x-gzip", gzip),
    ("br", brotli),
    ("identity", <[u8]>::to_vec),
];

#[test]
fn what_a_source_sends_with_a_content_encoding_is_imported_without_it() {
    let (site, source) = (Site::start(), source());
    source.on("/nix-cache-info", Act::Encoded("gzip", gzip(b"StoreDir: /nix/store\n")));
    let mut paths = Vec::new();
    for (encoding, pack) in ENCODINGS {
        // The NAR as harmonia and nix-serve-ng send it, without and with a narinfo that describes what is sent.
        for is_described in [false, true] {
            let path = Path::incompressible("encoded", 300_000);
            let (name, encoded) = (format!("nar/{}.nar", path.hash), pack(&path.nar));
            let text = narinfo(&source, &path, "none", &name, is_described.then_some(&encoded[..]));
            // The narinfo as `nix copy --to 's3://…?narinfo-compression=…'` stores it.
            source.on_narinfo(&path, Act::Encoded(encoding, pack(text.as_bytes())));
            source.on(&format!("/{name}"), Act::Encoded(encoding, encoded));
            paths.push(path);
        }
        // A compressed file may be encoded as well.
        let path = Path::incompressible("twice", 300_000);
        source.has(&path);
        source.on_nar(&path, Act::Encoded(encoding, pack(&path.file)));
        paths.push(path);
    }
    let (done, code) = import(&site, &source, &paths);
    assert_eq!((code, &done["imported"]), (0, &paths.len().into()), "{done}");
    for path in &paths {
        let text = site.reader("pub").get(&format!("{}.narinfo", path.hash)).expect(200).text().to_owned();
        let url = text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap();
        let file = site.cache("pub").get(&format!("/{url}")).send().expect(200).body;
        assert!(file == path.file || file == path.nar, "{text}");
    }
    site.wait_for_empty_spool("pub");
}

#[test]
fn what_a_source_encodes_otherwise_than_it_says_is_skipped_and_no_bomb_fills_the_spool() {
    let (site, source) = (Site::start(), source());
    type Served = fn(&Path) -> Act;
    let acts: [(Served, &str); 6] = [
        (|path| Act::Encoded("rot13", path.nar.clone()), "encoded in an unknown way"),
        (|path| Act::Encoded("gzip, br", path.nar.clone()), "encoded in an unknown way"),
        (|path| Act::Encoded("gzip", path.nar.clone()), "Content-Encoding cannot be unpacked"),
        (|path| Act::Encoded("zstd", Compression::Zstd.compress(&path.nar[..path.nar.len() - 1])), ""),
        // Bombs: some sixty kilobytes that unpack to 60 MB, and a file without an end.
        (|_| Act::Encoded("gzip", gzip(&vec![0; 60_000_000])), "longer than any that unpacks to its NAR"),
        (|_| Act::Chunked(vec![0; 30_000_000]), "longer than any that unpacks to its NAR"),
    ];
    let mut paths = Vec::new();
    for (act, _) in &acts {
        let path = Path::incompressible("wrong", 300_000);
        let name = format!("nar/{}.nar", path.hash);
        source.on_narinfo(&path, Act::Send(narinfo(&source, &path, "none", &name, None).into_bytes()));
        source.on(&format!("/{name}"), act(&path));
        paths.push(path);
    }
    // Narinfos: unknown, broken, and a bomb.
    for (act, _) in [
        (Act::Encoded("rot13", b"StorePath: /nix/store/x\n".to_vec()), ""),
        (Act::Encoded("gzip", b"StorePath: /nix/store/x\n".to_vec()), ""),
        (Act::Encoded("zstd", Compression::Zstd.compress(&vec![b'x'; 20_000_000])), ""),
    ] {
        let path = Path::small("wrong");
        source.on_narinfo(&path, act);
        paths.push(path);
    }
    let good = Path::small("good");
    source.has(&good);
    let wrong = paths.len();
    paths.push(good.clone());
    let (done, code) = import(&site, &source, &paths);
    assert_eq!((code, &done["imported"]), (8, &1.into()), "{done}");
    let skipped = done["skipped"].as_array().unwrap();
    let count = skipped.iter().map(|group| group["paths"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(count as usize, wrong, "{done}");
    let text = done["skipped"].to_string();
    for reason in acts.iter().map(|(_, reason)| reason).chain([&"more than 1048576 bytes"]) {
        assert!(text.contains(reason), "{reason}: {text}");
    }
    site.reader("pub").assert_has(&good);
    for path in &paths[..wrong] {
        site.reader("pub").assert_lacks(path);
    }
    site.wait_for_empty_spool("pub");
    // Of a bomb no more was ever unpacked than its NAR may have: the peak of the daemon's memory shows that nothing was collected.
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.daemon_pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap();
    assert!(peak < 350_000, "{peak} kB");
}
