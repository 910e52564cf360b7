#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::sync::Arc;

use futures_util::StreamExt;

use super::super::threads::Threads;
use super::*;

fn reader(len: usize, inline: bool) -> (Reader, Vec<u8>) {
    let content: Vec<u8> = (0..len).map(|place| ((place / 251) ^ place) as u8).collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content).unwrap();
    (
        Reader { file: Arc::new(file), pool: Arc::default(), threads: Arc::new(Threads::quick()), inline },
        content,
    )
}

async fn collect(stream: FileStream) -> Vec<u8> {
    let pieces: Vec<_> = stream.map(|piece| piece.unwrap()).collect().await;
    pieces.concat()
}

#[tokio::test]
async fn blocking_threads_read_the_same_bytes() {
    for inline in [true, false] {
        let (reader, content) = reader(3 * CHUNK + 5, inline);
        let len = content.len() as u64;
        assert!(collect(FileStream::new(reader.clone(), 0..len)).await == content);
        assert!(collect(FileStream::new(reader, 11..len - 7)).await == content[11..content.len() - 7]);
    }
}

#[tokio::test]
async fn a_stream_ends_where_the_file_does() {
    for inline in [true, false] {
        let (reader, content) = reader(CHUNK + 5, inline);
        let stream = FileStream::new(reader, 0..10 * CHUNK as u64);
        assert!(collect(stream).await == content);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_an_error() {
    let directory = Arc::new(File::open("/").unwrap());
    for inline in [true, false] {
        let reader = Reader { file: directory.clone(), inline, ..reader(0, inline).0 };
        let mut stream = FileStream::new(reader, 0..CHUNK as u64);
        assert!(stream.next().await.unwrap().is_err());
    }
}

#[test]
fn the_kernel_is_told_ahead_in_halves_of_a_window_and_never_beyond_the_range() {
    let end = 3 * READ_AHEAD;
    let mut stream = FileStream::new(reader(0, false).0, 0..end);
    let mut told = Vec::new();
    while stream.range.start < end {
        if let Some((from, len)) = stream.read_ahead() {
            assert!(from >= stream.range.start);
            told.push((from, from + len.get()));
        }
        stream.range.start += CHUNK as u64;
    }
    assert_eq!(told.first(), Some(&(0, READ_AHEAD)));
    assert_eq!(told.last().map(|(_, to)| *to), Some(end));
    assert!(told.windows(2).all(|pair| pair[0].1 == pair[1].0), "gaps or overlaps: {told:?}");
    assert!(told.len() <= 6, "{told:?}");
}

#[test]
fn many_streams_at_once_get_little_each() {
    assert_eq!(piece_size(1), CHUNK);
    assert!((0..10_000).all(|open| piece_size(open) >= piece_size(open + 1)));
    // Beyond what those hold that began when there were few.
    assert!(4096 * piece_size(4096) <= 64 << 20);
}
