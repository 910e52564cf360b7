//! SIGTERM drains: nothing new is let in, what is running may end, and then so does the daemon.

use std::io::Write as _;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::harness::push::content_md5;
use crate::harness::response::Incoming;
use crate::harness::{Endpoint, Path, SOON, Site, wait_for};

/// More than the sockets' buffers between daemon and test can hold.
const LARGE: usize = 64 << 20;

fn wait_until_refused(endpoint: &Endpoint) {
    wait_for(SOON, "new connections are refused", || endpoint.connect().is_err().then_some(()));
}

/// A download that has begun, and the rest of which nobody has read yet.
fn begin_download(site: &Site, path: &Path) -> (Incoming, Vec<u8>) {
    let url = site.reader("pub").narinfo(path).url;
    let mut download = site.cache("pub").get(&format!("/{url}")).open().unwrap();
    assert_eq!(download.status, 200);
    let start = download.read_some(1000).unwrap();
    (download, start)
}

#[test]
fn an_idle_daemon_ends_at_once_and_well() {
    let mut site = Site::start();
    // A connection that is merely open holds nothing up.
    let mut idle = std::io::BufReader::new(site.api().connect().unwrap());
    site.api().get("/api/v1/cache/pub").send_on(&mut idle).unwrap().expect(200);
    let before = Instant::now();
    assert_eq!(site.daemon().terminate().code(), Some(0));
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
}

/// A client that has connected has done so in good faith, and most do not ask again when they are cut off without a word.
#[test]
fn a_client_that_has_just_connected_is_answered() {
    let mut site = Site::start();
    let path = Path::small("asked-for-late");
    site.pusher("pub").push(&path);
    let asked = [
        (site.cache_port("pub"), format!("/{}.narinfo", path.hash)),
        (site.api(), "/api/v1/cache/pub".into()),
    ];
    let connections = asked.each_ref().map(|(endpoint, target)| {
        let connection = endpoint.connect().unwrap();
        // Connections are accepted in their order.
        endpoint.get(target).send().expect(200);
        std::io::BufReader::new(connection)
    });
    site.daemon().signal(Signal::TERM);
    wait_until_refused(&asked[1].0);
    for ((endpoint, target), mut connection) in asked.iter().zip(connections) {
        endpoint.get(target).send_on(&mut connection).unwrap().expect(200);
    }
    assert_eq!(site.daemon().wait().code(), Some(0));
}

#[test]
fn sigint_is_as_good_as_sigterm() {
    let mut site = Site::start();
    site.daemon().signal(Signal::INT);
    assert_eq!(site.daemon().wait().code(), Some(0));
}

/// It means "read the config again", and whatever comes of that, the daemon goes on.
#[test]
fn sighup_ends_nothing() {
    let mut site = Site::start();
    for _ in 0..3 {
        site.daemon().signal(Signal::HUP);
        site.api().get("/api/v1/cache/pub").send().expect(200);
    }
    assert_eq!(site.daemon().terminate().code(), Some(0));
}

#[test]
fn a_slow_download_is_brought_to_its_end() {
    let mut site = Site::start();
    let path = Path::incompressible("large", LARGE);
    site.pusher("pub").push(&path);
    let (download, mut received) = begin_download(&site, &path);
    site.daemon().signal(Signal::TERM);
    for endpoint in [site.api(), site.cache_port("pub")] {
        wait_until_refused(&endpoint);
    }
    assert!(site.daemon().has_ended().is_none(), "the download still runs");
    received.extend(download.into_response().unwrap().body[..].iter());
    assert!(received == path.file);
    assert_eq!(site.daemon().wait().code(), Some(0));
}

#[test]
fn a_running_upload_is_brought_to_its_end() {
    let mut site = Site::start();
    let path = Path::incompressible("uploading", 500_000);
    let pusher = site.pusher("pub");
    let upload = pusher.create(path.compression);
    let (endpoint, target) = pusher.resolve(&pusher.part_url(&upload, 1, &path.file));
    let head =
        endpoint.put(&target).header("Content-MD5", &content_md5(&path.file)).body(path.file.clone()).head();
    let mut stream = endpoint.connect().unwrap();
    stream.write_all(&head).unwrap();
    stream.write_all(&path.file[..100_000]).unwrap();
    wait_for(SOON, "the part is on its way", || (!site.spooled_files("pub").is_empty()).then_some(()));
    site.daemon().signal(Signal::TERM);
    wait_until_refused(&endpoint);
    stream.write_all(&path.file[100_000..]).unwrap();
    let reply = Incoming::read(std::io::BufReader::new(stream), false).unwrap().into_response().unwrap();
    reply.expect_success();
    assert_eq!(site.daemon().wait().code(), Some(0));
}

#[test]
fn patience_ends_with_the_drain_timeout() {
    let mut site = Site::with(|config| config["server"]["drain-timeout"] = json!("1s"));
    let path = Path::incompressible("large", LARGE);
    site.pusher("pub").push(&path);
    let (download, _) = begin_download(&site, &path);
    let before = Instant::now();
    assert_eq!(site.daemon().terminate().code(), Some(0));
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(15), "{took:?}");
    // The client can tell that this was not all.
    assert!(download.into_response().is_err());
}

#[test]
fn what_was_pushed_before_the_end_is_there_after_it() {
    let mut site = Site::start();
    let paths: Vec<Path> = (0..10).map(|number| Path::small(&format!("kept-{number}"))).collect();
    for path in &paths {
        site.pusher("pub").push(path);
    }
    assert!(site.stop_and_restart().success());
    for path in &paths {
        site.reader("pub").assert_has(path);
    }
}
