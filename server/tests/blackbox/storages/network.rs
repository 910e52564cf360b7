//! A network between the daemon and an S3 service that fails on demand.

use std::net::SocketAddr;

use tokio::runtime::{Builder, Runtime};

use super::proxy::{Fault, Proxy};

/// The way to one service.
pub struct Network {
    proxy: Proxy,
    runtime: Runtime,
}

impl Network {
    /// A way to the server at `service` that works.
    pub fn to(service: SocketAddr) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { proxy: runtime.block_on(Proxy::start(service)), runtime }
    }

    /// Base URL of the service at this end.
    pub fn endpoint(&self) -> String {
        self.proxy.endpoint()
    }

    /// Fails in this way from now on.
    pub fn fail(&self, fault: Fault) {
        self.runtime.block_on(self.proxy.set(fault));
    }

    /// Works from now on.
    pub fn mend(&self) {
        self.runtime.block_on(self.proxy.set(None));
    }
}
