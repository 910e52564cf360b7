//! Timeouts for requests by progress instead of duration.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// Records when the connection last accepted bytes of a body. Clones watch the same upload.
#[derive(Clone)]
pub(super) struct Progress {
    last: Arc<Mutex<Instant>>,
}

/// The error for an upload that stalled.
#[derive(Debug)]
pub(super) struct Stalled;

impl Progress {
    /// Starts to watch an upload.
    pub(super) fn new() -> Self {
        Self { last: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Wraps a body to watch it. A retryable body stays retryable.
    pub(super) fn watch(&self, body: SdkBody) -> SdkBody {
        let progress = self.clone();
        body.map_preserve_contents(move |inner| {
            SdkBody::from_body_1_x(Watched { inner, progress: progress.clone() })
        })
    }

    /// Waits for `upload` as long as it makes progress. It fails if it neither accepts bytes nor replies for `patience`, including
    /// pauses between attempts.
    pub(super) async fn run<T>(
        &self,
        patience: Duration,
        upload: impl Future<Output = T>,
    ) -> Result<T, Stalled> {
        tokio::select! {
            biased;
            done = upload => Ok(done),
            () = self.stalls(patience) => Err(Stalled),
        }
    }

    async fn stalls(&self, patience: Duration) {
        loop {
            let until = *self.last.lock() + patience;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    fn note(&self) {
        *self.last.lock() = Instant::now();
    }
}

struct Watched {
    inner: SdkBody,
    progress: Progress,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = <SdkBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if frame.is_ready() {
            self.progress.note();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        Body::is_end_stream(&self.inner)
    }

    // Without it the request would lack a `Content-Length`, which S3 requires.
    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&self.inner)
    }
}
