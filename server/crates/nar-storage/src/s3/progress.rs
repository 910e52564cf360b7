//! Watching requests whose body takes as long as it takes.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

/// Notes when the connection last took something of a body. Clones watch the same upload.
#[derive(Clone)]
pub(super) struct Progress {
    last: Arc<Mutex<Instant>>,
}

/// Nothing has moved for too long.
#[derive(Debug)]
pub(super) struct Stalled;

impl Progress {
    /// Of an upload that starts now.
    pub(super) fn new() -> Self {
        Self { last: Arc::new(Mutex::new(Instant::now())) }
    }

    /// The same body, watched. A body that can be sent again still can.
    pub(super) fn watch(&self, body: SdkBody) -> SdkBody {
        let progress = self.clone();
        body.map_preserve_contents(move |inner| {
            SdkBody::from_body_1_x(Watched { inner, progress: progress.clone() })
        })
    }

    /// Waits for `upload`, as long as it gets on: neither to take some of the body nor to answer, for `patience`, is
    /// failure. Pauses between attempts count as well.
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
            let until = *self.last.lock().unwrap_or_else(PoisonError::into_inner) + patience;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    fn note(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
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

    // Without it the length would not be announced, which S3 requires.
    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&self.inner)
    }
}
