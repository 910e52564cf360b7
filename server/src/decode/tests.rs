use std::io::Write as _;

use liblzma::stream::{Check, Filters, LzmaOptions};

use super::*;

fn unpack(file: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    decoder(file, compression)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text() -> Vec<u8> {
    (0..200_000u32).flat_map(|number| number.to_string().into_bytes()).collect()
}

fn zstd(bytes: &[u8], window_log: u32) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(window_log).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8], dictionary: u32) -> Vec<u8> {
    let mut options = LzmaOptions::new_preset(0).unwrap();
    options.dict_size(dictionary);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let stream = Stream::new_stream_encoder(&filters, Check::Crc32).unwrap();
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn brotli(bytes: &[u8], window_log: i32, large_window: bool) -> Vec<u8> {
    let params = brotli::enc::BrotliEncoderParams {
        quality: 1,
        lgwin: window_log,
        large_window,
        ..Default::default()
    };
    let mut file = Vec::new();
    brotli::BrotliCompress(&mut &bytes[..], &mut file, &params).unwrap();
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A member of lzip: a raw LZMA stream, which the `.lzma` format has behind 13 bytes, between a header and a trailer.
fn lzip(bytes: &[u8], window_log: u8) -> Vec<u8> {
    let mut options = LzmaOptions::new_preset(0).unwrap();
    options.dict_size(1 << window_log);
    let stream = Stream::new_lzma_encoder(&options).unwrap();
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes).unwrap();
    let raw = encoder.finish().unwrap().split_off(13);
    let mut checksum = flate2::Crc::new();
    checksum.update(bytes);
    let size = (raw.len() + 26) as u64;
    let trailer = (checksum.sum().to_le_bytes(), (bytes.len() as u64).to_le_bytes(), size.to_le_bytes());
    [b"LZIP\x01", &[window_log][..], &raw, &trailer.0, &trailer.1, &trailer.2].concat()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_format_is_unpacked() {
    let text = text();
    let files = [
        (Compression::None, text.clone()),
        (Compression::Xz, xz(&text, 8 << 20)),
        (Compression::Xz, xz(&text, 64 << 20)),
        (Compression::Xz, [xz(&text[..1000], 1 << 16), xz(&text[1000..], 16 << 20)].concat()),
        (Compression::Zstd, zstd(&text, 21)),
        (Compression::Zstd, zstd(&text, 27)),
        (Compression::Zstd, zstd::encode_all(&text[..], 3).unwrap()),
        (Compression::Zstd, zstd::bulk::compress(&text, 3).unwrap()),
        (Compression::Zstd, [zstd(&text[..1000], 10), zstd(&text[1000..], 23)].concat()),
        (Compression::Brotli, brotli(&text, 24, false)),
        (Compression::Brotli, brotli(&text, 10, false)),
        (Compression::Gzip, gzip(&text)),
        (Compression::Gzip, [gzip(&text[..1000]), gzip(&text[1000..])].concat()),
        (Compression::Bzip2, bzip2(&text)),
        (Compression::Lz4, lz4(&text)),
        (Compression::Lz4, [lz4(&text[..1000]), lz4(&text[1000..])].concat()),
        (Compression::Lzip, lzip(&text, 20)),
        (Compression::Lzip, lzip(&text, 26)),
        (Compression::Lzip, [lzip(&text[..1000], 16), lzip(&text[1000..], 20)].concat()),
    ];
    for (number, (compression, file)) in files.into_iter().enumerate() {
        assert!(unpack(&file, compression).unwrap() == text, "file {number}, {compression:?}");
        if compression != Compression::None {
            unpack(&file[..file.len() - 5], compression).unwrap_err();
        }
    }
}

#[test]
fn a_stream_that_asks_for_much_memory_is_refused() {
    let text = text();
    let files = [
        (Compression::Xz, xz(&text, 192 << 20)),
        (Compression::Xz, [xz(b"begin", 1 << 16), xz(&text, 192 << 20)].concat()),
        (Compression::Zstd, zstd(&text, 28)),
        (Compression::Zstd, [zstd(b"begin", 20), zstd(&text, 27)].concat()),
        (Compression::Brotli, brotli(&text, 30, true)),
        (Compression::Brotli, brotli(&text, 25, true)),
        (Compression::Lzip, lzip(&text, 29)),
    ];
    for (number, (compression, file)) in files.into_iter().enumerate() {
        let error = unpack(&file, compression).unwrap_err();
        assert_ne!(error.kind(), io::ErrorKind::ResourceBusy, "file {number}, {compression:?}: {error}");
    }
}

#[test]
fn damaged_and_empty_files_are_refused() {
    for compression in [
        Compression::Xz,
        Compression::Zstd,
        Compression::Brotli,
        Compression::Gzip,
        Compression::Bzip2,
        Compression::Lz4,
        Compression::Lzip,
    ] {
        unpack(b"this is nothing of the kind, and quite long", compression).unwrap_err();
    }
    unpack(b"", Compression::Xz).unwrap_err();
}

#[test]
fn a_window_is_read_from_the_head_of_a_zstd_stream() {
    assert_eq!(ZstdHead::window_log(&zstd(&text(), 20)), 20);
    assert_eq!(ZstdHead::window_log(&zstd(&text(), 27)), 27);
    // One segment of 1,000,000 bytes.
    assert_eq!(ZstdHead::window_log(&zstd::bulk::compress(&vec![7; 1_000_000], 3).unwrap()), 20);
    assert_eq!(ZstdHead::window_log(b""), 0);
    assert_eq!(ZstdHead::window_log(b"\x50\x2a\x4d\x18\x00\x00\x00\x00"), 0);
    let immense = [&ZstdHead::MAGIC[..], &[0xe0], &[0xff; 8]].concat();
    assert_eq!(ZstdHead::window_log(&immense), 64);
}
