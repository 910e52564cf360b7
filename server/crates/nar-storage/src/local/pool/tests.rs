#![allow(clippy::unwrap_used)]

use super::*;

fn idle(pool: &Pool) -> usize {
    pool.idle.lock().len()
}

#[test]
fn a_large_buffer_comes_back_when_its_last_reader_is_done() {
    let pool = Arc::new(Pool::default());
    let mut buffer = pool.take(FRESH + 1);
    buffer.as_mut().fill(7);
    let bytes = buffer.into_bytes(1000);
    assert_eq!(bytes, vec![7; 1000]);
    let part = bytes.slice(10..20);
    drop(bytes);
    assert_eq!(idle(&pool), 0);
    drop(part);
    assert_eq!(idle(&pool), 1);
    let again = pool.take(CHUNK);
    assert_eq!((idle(&pool), again.as_ref().len()), (0, CHUNK));
}

#[test]
fn an_unused_buffer_comes_back_too() {
    let pool = Arc::new(Pool::default());
    drop(pool.take(CHUNK));
    assert_eq!(idle(&pool), 1);
}

#[test]
fn a_small_buffer_takes_no_more_than_its_bytes() {
    let pool = Arc::new(Pool::default());
    for len in [0, 1, FRESH] {
        let mut buffer = pool.take(len);
        assert_eq!(buffer.bytes.len(), len);
        buffer.as_mut().fill(7);
        assert_eq!(buffer.into_bytes(len / 2), vec![7; len / 2]);
    }
    assert_eq!(idle(&pool), 0);
}

#[test]
fn a_burst_of_readers_leaves_a_bounded_pool() {
    let pool = Arc::new(Pool::default());
    let burst: Vec<_> = (0..MAX_IDLE * 2).map(|_| pool.take(CHUNK)).collect();
    drop(burst);
    assert_eq!(idle(&pool), MAX_IDLE);
}
