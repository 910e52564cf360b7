//! Networks of several nodes in this process: how fast paths are announced, and found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use peer_network::{HeldPath, Network, Timing};
use tokio::runtime::Runtime;

use crate::node::{self, path};
use crate::support::Result;
use crate::{Scale, percentiles};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a lookup may take: longer than in a daemon, so that it is seen how long it takes.
const LOOKUP: Duration = Duration::from_secs(3);

/// Measures a network of so many nodes, and prints what came of it.
pub fn measure(nodes: usize, scale: Scale) -> Result<()> {
    let runtime = Runtime::new()?;
    let directory = tempfile::Builder::new().prefix("cache-server-federation-").tempdir()?;
    runtime.block_on(async {
        let mut networks: Vec<Arc<Network>> = Vec::new();
        for number in 0..nodes {
            let own = directory.path().join(number.to_string());
            let entry = match networks.first() {
                Some(first) => Some(first.dht_status().await.address.port()),
                None => None,
            };
            let http = 10_000 + u16::try_from(number)?;
            networks.push(node::start(&own, entry, http, Timing::default()).await?);
        }
        let (holder, asker) = (&networks[nodes - 1], &networks[1]);
        wait_until(|| asker.peers().contains_key(&holder.id())).await?;
        let rate = announce(holder, scale.announced).await?;
        let hits = look_up(asker, 0..scale.lookups.min(scale.announced), true).await?;
        let misses = look_up(asker, 1_000_000..1_000_000 + scale.lookups, false).await?;
        println!("{nodes:3} nodes: announces {rate:6.0} paths/s");
        println!("           finds            {}{}", percentiles(&hits.times), hits.wrong());
        println!("           finds nothing    {}{}", percentiles(&misses.times), misses.wrong());
        networks.iter().for_each(|network| network.stop());
        Ok(())
    })
}

/// Paths a second that a node tells the network of.
async fn announce(holder: &Network, paths: u32) -> Result<f64> {
    let written = holder.announcing().written;
    let begun = Instant::now();
    (0..paths).for_each(|number| holder.announce(HeldPath { cache: 1, hash: path(number) }));
    wait_until(|| {
        let status = holder.announcing();
        status.written + status.failed >= written + u64::from(paths)
    })
    .await?;
    match holder.announcing().failed {
        0 => Ok(f64::from(paths) / begun.elapsed().as_secs_f64()),
        failed => Err(format!("{failed} paths could not be announced").into()),
    }
}

/// What lookups came to.
struct Lookups {
    times: Vec<Duration>,
    /// How many did not find what is there, as nodes that have to wait for a processor answer too late.
    failed: usize,
}

impl Lookups {
    fn wrong(&self) -> String {
        if self.failed == 0 { String::new() } else { format!(", {} in vain", self.failed) }
    }
}

async fn look_up(asker: &Network, numbers: std::ops::Range<u32>, is_there: bool) -> Result<Lookups> {
    let mut lookups = Lookups { times: Vec::new(), failed: 0 };
    for number in numbers {
        let begun = Instant::now();
        let found = asker.find_providers(&path(number), tokio::time::Instant::now() + LOOKUP).await;
        lookups.times.push(begun.elapsed());
        match (found.is_empty(), is_there) {
            (true, true) => lookups.failed += 1,
            (false, false) => return Err(format!("path {number} was found").into()),
            _ => {}
        }
    }
    Ok(lookups)
}

async fn wait_until(mut condition: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > deadline {
            return Err("the network does not come up, or is too slow".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
