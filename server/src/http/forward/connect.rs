//! Connections to other daemons: plain TCP, given up soon when nobody is there.

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

/// How long finding and reaching a daemon may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a connection may be quiet before its other end is tested.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// The time between two such tests. Three that fail end the connection.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// How long sent bytes may stay unacknowledged: a machine that lost its power says nothing.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connect(HttpConnector);

impl Connect {
    pub(super) fn new() -> Self {
        let mut connector = HttpConnector::new();
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
        // Around all of it, as looking up a name has no limit of its own.
        let connecting = tokio::time::timeout(CONNECT, self.0.call(uri));
        async move { Ok(connecting.await??) }.boxed()
    }
}
