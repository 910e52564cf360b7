//! Connections to other daemons, with short limits so that an unreachable daemon is noticed soon.

use std::error::Error;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

/// How long name resolution and connecting may take together.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a connection may be idle before keepalive probes start.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// The time between two probes. Three that fail end the connection.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// How long sent bytes may stay unacknowledged. A machine without power acknowledges nothing.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// Opens connections.
#[derive(Clone)]
pub(super) struct Connect(HttpConnector);

impl Connect {
    pub(super) fn new() -> Self {
        let mut connector = HttpConnector::new();
        // TLS, if any, comes on top.
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_keepalive(Some(KEEPALIVE));
        connector.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        connector.set_keepalive_retries(Some(3));
        connector.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        Self(connector)
    }
}

impl Service<Uri> for Connect {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // Around all of it: name resolution has no limit of its own.
        let connecting = tokio::time::timeout(CONNECT, self.0.call(uri));
        async move { Ok(connecting.await??) }.boxed()
    }
}
