//! Compressed files that ask for much memory.

use std::io::Read as _;
use std::sync::Barrier;
use std::thread;

use super::{MIB, assert_serves_all, peak_memory, warm_up};
use crate::harness::path::random_hash;
use crate::harness::{Permission, Site};

/// What decoders may take together, and a little for everything else.
const BOUND: u64 = 340 * MIB;

/// Many equal bytes, in a brotli stream with this window.
fn brotli_bomb(window_log: i32, size: u64) -> Vec<u8> {
    let params = brotli::enc::BrotliEncoderParams {
        quality: 1,
        lgwin: window_log,
        large_window: window_log > 24,
        ..Default::default()
    };
    let mut file = Vec::new();
    brotli::BrotliCompress(&mut std::io::repeat(0).take(size), &mut file, &params).unwrap();
    file
}

fn zstd_bomb(window_log: u32, size: u64) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(window_log).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(size), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

fn put_log(site: &Site, encoding: &str, file: &[u8]) -> u16 {
    let token = site.token("pub", Permission::Write);
    let target = format!("/log/{}-hello-1.0.drv", random_hash());
    let request = site.cache("pub").put(&target).bearer(&token).header("Content-Encoding", encoding);
    request.body(file).send().status
}

#[test]
fn a_brotli_stream_with_a_large_window_is_refused() {
    let site = Site::start();
    let before = warm_up(&site);
    let bomb = brotli_bomb(28, 400 * MIB);
    for _ in 0..3 {
        assert_eq!(put_log(&site, "br", &bomb), 400);
    }
    let more = peak_memory(&site) - before;
    assert!(more < 32 * MIB, "{} MiB more", more / MIB);
    assert_eq!(put_log(&site, "br", &brotli_bomb(24, MIB)), 200);
}

#[test]
fn decoders_share_their_memory() {
    let site = Site::start();
    let before = warm_up(&site);
    let bombs = [("zstd", zstd_bomb(27, 200 * MIB)), ("br", brotli_bomb(24, 200 * MIB))];
    let barrier = Barrier::new(12);
    thread::scope(|scope| {
        for number in 0..12 {
            let (encoding, bomb) = &bombs[number % 2];
            let (site, barrier) = (&site, &barrier);
            scope.spawn(move || {
                barrier.wait();
                assert_eq!(put_log(site, encoding, bomb), 200, "{encoding}");
            });
        }
        assert_serves_all(&site);
    });
    let more = peak_memory(&site) - before;
    assert!(more < BOUND, "{} MiB more", more / MIB);
}
