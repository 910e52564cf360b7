#![allow(clippy::unwrap_used)]

use std::convert::Infallible;

use futures_util::{FutureExt, StreamExt};
use http_body::Frame;

use super::*;

/// A body of these frames, which then stands still.
struct Stalling(Vec<&'static str>);

impl Body for Stalling {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.pop() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(Bytes::from(data))))),
            None => Poll::Pending,
        }
    }
}

fn stalling(frames: &[&'static str], patience: Duration) -> BodyStream {
    let frames = frames.iter().rev().copied().collect();
    BodyStream::new(SdkBody::from_body_1_x(Stalling(frames)), patience)
}

#[tokio::test]
async fn a_body_that_stands_still_ends_in_an_error() {
    let mut body = stalling(&["ab", "", "cd"], Duration::from_millis(5));
    assert_eq!(body.next().await.unwrap().unwrap(), "ab");
    assert_eq!(body.next().await.unwrap().unwrap(), "cd");
    assert_eq!(body.next().await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_slow_reader_is_not_held_against_the_service() {
    let patience = Duration::from_millis(5);
    let mut body = stalling(&["ab"], patience);
    let asleep = Instant::now() + 2 * patience;
    tokio::time::sleep_until(asleep).await;
    assert_eq!(body.next().await.unwrap().unwrap(), "ab");
    tokio::time::sleep_until(asleep + 2 * patience).await;
    // The service is given its time from when it is asked.
    assert!(body.next().now_or_never().is_none());
}

#[tokio::test]
async fn a_body_ends_where_the_service_ends_it() {
    let mut body = BodyStream::new(SdkBody::from("ab"), Duration::from_secs(1));
    assert_eq!(body.next().await.unwrap().unwrap(), "ab");
    assert!(body.next().await.is_none());
}
