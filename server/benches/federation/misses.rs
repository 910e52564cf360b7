//! What a daemon takes to say that nobody has a path, once it has the digests of the other nodes. Those are four inside
//! this program, with as many paths each as there are to be.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use admin_api::{Endpoint as _, ListPeers};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use peer_network::inventory::InventoryLog;
use peer_network::{Network, Timing};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::node::{self, SECRET, path};
use crate::support::Result;
use crate::support::client::Connection;
use crate::support::daemon::Daemon;
use crate::{Scale, percentiles};

/// Nodes besides the daemon.
const OTHERS: u32 = 4;
/// How long it may take until the daemon has all digests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a daemon of the network. Its UDP port has the number of its deploy port.
pub fn daemon(directory: &Path, entry: Option<u16>) -> Result<(Daemon, u16)> {
    std::fs::create_dir_all(directory)?;
    let mut port = 0;
    let daemon = Daemon::start_with(directory, |config| {
        let server = &mut config["server"];
        port = server["deploy-port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
        server["node-url"] = json!(format!("http://127.0.0.1:{}", server["server-port"]));
        server["standalone"] = json!(false);
        server["federation"] = json!({"local-addresses": true});
        server["key"] = json!(SECRET);
        server["dht-port"] = json!(port);
        if let Some(entry) = entry {
            server["dht-bootstrap-host"] = json!("127.0.0.1");
            server["dht-bootstrap-port"] = json!(entry);
        }
    })?;
    Ok((daemon, port))
}

/// Measures misses, and prints what came of it.
pub fn measure(scale: Scale) -> Result<()> {
    let runtime = Runtime::new()?;
    let directory = tempfile::Builder::new().prefix("cache-server-federation-").tempdir()?;
    let (daemon, entry) = daemon(&directory.path().join("daemon"), None)?;
    let mut networks = Vec::new();
    for number in 0..OTHERS {
        let own = directory.path().join(number.to_string());
        let paths: Vec<_> = (number * scale.digested..(number + 1) * scale.digested).map(path).collect();
        let log = Arc::new(InventoryLog::of(u64::from(number) + 1, &paths));
        networks.push(runtime.block_on(answering(&own, entry, log))?);
    }
    let begun = Instant::now();
    wait_for_digests(&directory.path().join("daemon"))?;
    let time = begun.elapsed().as_secs_f64();

    let mut connection = Connection::open(daemon.cache)?;
    let mut times = Vec::new();
    // Numbers from where nobody has any.
    for number in 3_000_000_000..3_000_000_000 + scale.misses {
        let target = format!("/{}.narinfo", path(number));
        let begun = Instant::now();
        let head = connection.send("GET", &target, "", b"")?;
        std::io::copy(&mut std::io::Read::take(&mut connection, head.length), &mut std::io::sink())?;
        times.push(begun.elapsed());
        if head.status != 404 {
            return Err(format!("{target}: {}", head.status).into());
        }
    }
    let slow = times.iter().filter(|time| time.as_millis() >= 1).count();
    println!(
        "misses with digests of {OTHERS} other nodes, {} paths each, had in {time:.1} s",
        scale.digested
    );
    println!("           over HTTP        {}, {slow} of {} over 1 ms", percentiles(&times), scale.misses);
    networks.iter().for_each(|network: &Arc<Network>| network.stop());
    Ok(())
}

/// A node that answers the question for its digest, and no other.
async fn answering(directory: &Path, entry: u16, log: Arc<InventoryLog>) -> Result<Arc<Network>> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    let network = node::start(directory, Some(entry), port, Timing::default()).await?;
    let answering = network.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (network, log) = (answering.clone(), log.clone());
            // The daemon closes connections that it does not need.
            std::thread::spawn(move || serve(stream, &network, &log).ok());
        }
    });
    Ok(network)
}

fn serve(stream: TcpStream, network: &Network, log: &InventoryLog) -> Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let answer = answer(network, log, &head).unwrap_or_default();
        write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len())?;
        writer.write_all(&answer)?;
    }
}

/// The sealed digest, for a question of these lines.
fn answer(network: &Network, log: &InventoryLog, head: &[String]) -> Option<Vec<u8>> {
    let header = |name: &str| {
        let mut fields = head.iter().filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let (_, query) = head.first()?.split(' ').nth(1)?.split_once('?')?;
    let value = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let (epoch, position) = (value("epoch")?, value("position")?);
    let node = header("cache-server-peer")?;
    let text = format!("digest {node} {epoch} {position} {}", value("nonce")?);
    let proof = URL_SAFE_NO_PAD.decode(header("cache-server-proof")?).ok()?;
    let asker = network.recognise(text.as_bytes(), &proof)?;
    asker.seal(&log.since(epoch.parse().ok()?, position.parse().ok()?).encode()).ok()
}

fn wait_for_digests(daemon: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut admin = Connection::open_unix(&daemon.join("admin.sock"))?;
        let peers: Vec<Value> = serde_json::from_slice(&admin.get(ListPeers::PATH)?)?;
        if peers.iter().filter(|peer| peer["digest_age"].is_u64()).count() == OTHERS as usize {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err("the daemon does not get the digests of the others".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
