//! A service that dies, hangs, refuses or talks nonsense, with a disk beside it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::bucket::{Bucket, storage_at};
use super::network::Network;
use super::proxy::Fault;
use super::{
    BACK, condition, disk, in_bucket, local, site, wait_for_empty_spools, wait_for_state, wait_until_readable,
};
use crate::harness::read::Reader;
use crate::harness::{Path, Site, wait_for};

/// What a reader may have to wait for one answer, with some allowance for a busy machine.
const IN_TIME: Duration = Duration::from_millis(2_700);

/// Reads a path once. Nothing but the truth, "not found" or a connection that is cut is an answer, and each comes soon.
/// Returns whether it was there.
#[track_caller]
fn read(reader: &Reader, path: &Path) -> bool {
    let ask = |target: &str| {
        let begun = Instant::now();
        let reply = reader.endpoint.get(target).basic("", reader.token.as_deref().unwrap()).try_send();
        assert!(begun.elapsed() < IN_TIME, "{target} took {:?}", begun.elapsed());
        let status = reply.as_ref().map_or(404, |reply| reply.status);
        assert!([200, 404].contains(&status), "{target}: {status}");
        reply.ok().filter(|reply| reply.status == 200)
    };
    let info = ask(&format!("/{}.narinfo", path.hash)).is_some();
    let nar = ask(&format!("/{}", path.file_url()));
    assert!(nar.as_ref().is_none_or(|nar| nar.body == path.file), "{} is corrupt", path.base_name());
    info && nar.is_some()
}

#[test]
fn nothing_acknowledged_is_lost_when_the_service_stops_and_starts_during_pushes() {
    const PUSHES: usize = 100;
    let mut bucket = Bucket::start();
    let site = site("round-robin", |directory| vec![bucket.storage("cloud"), local(directory, "disk")]);
    let (pusher, reader) = (site.pusher("pub"), site.reader("pub"));
    let acknowledged = Mutex::new(Vec::new());
    let done = AtomicBool::new(false);
    let reached = |count: usize| {
        wait_for(BACK, "enough pushes", || (acknowledged.lock().unwrap().len() >= count).then_some(()));
    };
    let reads = thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                let path = {
                    let acknowledged: MutexGuard<'_, Vec<Path>> = acknowledged.lock().unwrap();
                    let count = acknowledged.len();
                    (count > 0).then(|| acknowledged[reads * 7_919 % count].clone())
                };
                match path {
                    Some(path) => {
                        read(&reader, &path);
                        reads += 1;
                    }
                    None => thread::yield_now(),
                }
            }
            reads
        });
        let pushers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..PUSHES / 4 {
                        let path = Path::incompressible("pushed", 5_000);
                        pusher.push(&path);
                        acknowledged.lock().unwrap().push(path);
                    }
                })
            })
            .collect();
        reached(30);
        bucket.service.kill();
        reached(70);
        bucket.service.restart();
        let pushed: Vec<_> = pushers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(pushed.iter().all(Result::is_ok), "no pusher notices");
        reading.join().expect("no reader is deceived")
    });
    assert!(reads > 0);

    let acknowledged = acknowledged.into_inner().unwrap();
    assert_eq!(acknowledged.len(), PUSHES);
    wait_until_readable(&site, &acknowledged);
    let (cloud, disk) = (in_bucket(&bucket, "cloud"), disk(&site, "disk"));
    assert!(cloud.nars().len() >= 15 && disk.nars().len() >= 40, "both were used");
    // What the service had taken without being able to say so is removed when it is back.
    wait_for(BACK, "no NAR is in two places", || {
        (cloud.nars().len() + disk.nars().len() == PUSHES).then_some(())
    });
    wait_for_empty_spools(&site);
}

/// A service behind a network of its own, before a disk.
struct Behind {
    site: Site,
    network: Network,
    before: Path,
}

impl Behind {
    fn start(bucket: &Bucket, name: &str) -> Self {
        let network = Network::to(bucket.service.address());
        let site = site("in-order", |directory| {
            vec![storage_at(&network.endpoint(), name), local(directory, "disk")]
        });
        let before = Path::incompressible("before", 20_000);
        site.pusher("pub").push(&before);
        assert!(in_bucket(bucket, name).holds(&before));
        Self { site, network, before }
    }

    fn is_passed_over_and_comes_back(&self, bucket: &Bucket, name: &str, fault: Fault) {
        let Self { site, network, before } = self;
        let (reader, pusher) = (site.reader("pub"), site.pusher("pub"));
        network.fail(fault);
        wait_for(BACK, "the path is hidden", || (!read(&reader, before)).then_some(()));
        assert!(!read(&reader, before), "{name}");
        assert_eq!(reader.narinfo_status(before), 404, "{name}");
        assert_eq!(reader.get(&before.file_url()).status, 404, "{name}");

        let during = Path::incompressible("during", 20_000);
        pusher.push(&during);
        assert!(disk(site, "disk").holds(&during), "{name}");
        reader.assert_has(&during);
        // Whoever has a hidden path may push it again, and then it is there.
        assert_eq!(pusher.missing(&[&before.hash]), [before.hash.as_str()], "{name}");
        pusher.push(before);
        reader.assert_has(before);
        let condition = condition(site, name);
        assert_eq!(condition["state"], "failing", "{condition}");
        assert!(condition["last_error"].as_str().is_some_and(|error| error.contains(name)), "{condition}");

        network.mend();
        wait_for_state(site, name, "ok");
        let after = Path::incompressible("after", 20_000);
        pusher.push(&after);
        assert!(in_bucket(bucket, name).holds(&after), "{name}");
        wait_until_readable(site, &[before.clone(), during, after]);
    }
}

#[test]
fn a_service_in_trouble_is_passed_over_and_comes_back_by_itself() {
    let bucket = Bucket::start();
    let faults = [
        ("refusing", Fault::Refuse),
        ("hanging", Fault::Stall),
        ("forbidding", Fault::answer(403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>")),
        ("babbling", Fault::answer(200, "<html>Welcome to our hotel</html>")),
        ("breaking", Fault::answer(500, "")),
    ];
    thread::scope(|scope| {
        for (name, fault) in faults {
            let bucket = &bucket;
            scope.spawn(move || {
                Behind::start(bucket, name).is_passed_over_and_comes_back(bucket, name, fault);
            });
        }
    });
}

/// The service dies while it takes the bytes, so that another storage has to take them from their beginning.
#[test]
fn an_upload_that_breaks_off_on_its_way_to_the_service_goes_elsewhere() {
    let bucket = Bucket::start();
    let behind = Behind::start(&bucket, "cloud");
    behind.network.fail(Fault::CutUploadAfter(300_000));
    let path = Path::incompressible("large", 2 << 20);
    behind.site.pusher("pub").push(&path);
    assert!(disk(&behind.site, "disk").holds(&path));
    behind.site.reader("pub").assert_has(&path);
    behind.network.mend();
    wait_for_state(&behind.site, "cloud", "ok");
    wait_until_readable(&behind.site, &[behind.before.clone(), path]);
    let cloud = in_bucket(&bucket, "cloud");
    wait_for(BACK, "nothing half-written is in the bucket", || (cloud.nars().len() == 1).then_some(()));
    wait_for_empty_spools(&behind.site);
}
