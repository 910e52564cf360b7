//! The body of a reply.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use futures_util::Stream;
use http_body::Body;
use tokio::time::{Instant, Sleep, sleep};

/// A body as a stream that fails when the service sends nothing for too long.
///
/// Only time in which a reader waits counts. The stream may end early; [`BlobStream`](crate::BlobStream) turns that into an error.
pub(super) struct BodyStream {
    body: SdkBody,
    patience: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer runs, because a reader waits.
    waiting: bool,
}

impl BodyStream {
    pub(super) fn new(body: SdkBody, patience: Duration) -> Self {
        Self { body, patience, timer: Box::pin(sleep(patience)), waiting: false }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if !self.waiting {
            self.waiting = true;
            let end = Instant::now() + self.patience;
            self.timer.as_mut().reset(end);
        }
        ready!(self.timer.as_mut().poll(cx));
        let reason = format!("the storage has sent nothing for {} s", self.patience.as_secs());
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, reason))
    }
}

impl Stream for BodyStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let frame = match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return this.poll_timer(cx).map(|error| Some(Err(error))),
            };
            this.waiting = false;
            // What is neither data nor the end has nothing to say here.
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Poll::Ready(Some(Ok(data)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
