#![allow(clippy::unwrap_used)]

use futures_util::stream;

use super::*;

fn pieces(pieces: Vec<io::Result<&'static str>>) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    stream::iter(pieces).map(|piece| piece.map(Bytes::from))
}

async fn read(len: u64, from: Vec<io::Result<&'static str>>) -> Vec<Result<Bytes, io::ErrorKind>> {
    BlobStream::new(len, pieces(from)).map(|piece| piece.map_err(|error| error.kind())).collect().await
}

#[tokio::test]
async fn a_stream_that_ends_early_ends_with_an_error() {
    let got = read(5, vec![Ok("ab")]).await;
    assert_eq!(got, [Ok(Bytes::from("ab")), Err(io::ErrorKind::UnexpectedEof)]);
}

#[tokio::test]
async fn a_stream_with_too_many_bytes_never_hands_out_the_surplus() {
    let got = read(3, vec![Ok("ab"), Ok("cd")]).await;
    assert_eq!(got, [Ok(Bytes::from("ab")), Err(io::ErrorKind::InvalidData)]);
    assert_eq!(read(2, vec![Ok("ab"), Ok("cd")]).await, [Ok(Bytes::from("ab"))]);
}

#[tokio::test]
async fn nothing_follows_an_error() {
    let got = read(4, vec![Err(io::ErrorKind::BrokenPipe.into()), Ok("abcd")]).await;
    assert_eq!(got, [Err(io::ErrorKind::BrokenPipe)]);
}

#[tokio::test]
async fn collecting_a_blob_fails_where_its_stream_fails() {
    let whole = Blob::from_stream(4, 0..4, pieces(vec![Ok("ab"), Ok("cd")]));
    assert_eq!(whole.len(), 4);
    assert_eq!(whole.into_bytes().await.unwrap(), "abcd");
    let short = Blob::from_stream(9, 2..7, pieces(vec![Ok("ab"), Ok("cd")]));
    assert_eq!(short.into_bytes().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}
