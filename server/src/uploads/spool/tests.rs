#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::sync::Arc;
use std::thread;

use super::*;
use crate::uploads::receive::BodyWriter as _;

struct Fixture {
    spool: Arc<Spool>,
    _directory: tempfile::TempDir,
}

/// Directories, of which the named ones are missing.
struct Directories(Vec<PathBuf>);

impl SpoolDirs for Directories {
    fn first(&self) -> io::Result<PathBuf> {
        Ok(self.0[0].clone())
    }

    fn next(&self, lost: &Path, error: io::Error) -> io::Result<PathBuf> {
        let position = self.0.iter().position(|directory| directory == lost).unwrap();
        self.0.get(position + 1).cloned().ok_or(error)
    }

    fn check_room(&self, _: &Path, len: u64) -> io::Result<u64> {
        Ok(len)
    }

    fn check_disk_room(&self, _: &Path, len: u64) -> io::Result<u64> {
        Ok(len)
    }
}

fn fixture() -> Fixture {
    fixture_with(&["upload"], &["upload"])
}

/// An upload that may use the directories `all`, of which `present` are there.
fn fixture_with(all: &[&str], present: &[&str]) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    for name in present {
        std::fs::create_dir(directory.path().join(name)).unwrap();
    }
    let all = all.iter().map(|name| directory.path().join(name)).collect();
    let spool = Spool::new(Box::new(Directories(all)));
    Fixture { spool, _directory: directory }
}

impl Fixture {
    /// Uploads a part in two writes.
    fn put(&self, part: u32, bytes: &[u8]) {
        let mut writer = self.spool.begin(part, Some(bytes.len() as u64)).unwrap();
        let (first, second) = bytes.split_at(bytes.len() / 2);
        writer.write(first).unwrap();
        writer.write(second).unwrap();
        writer.finish(fake_md5(bytes));
    }

    fn listed(&self) -> Vec<(u32, Attempt)> {
        self.spool.parts().iter().map(|(number, part)| (*number, part.attempt)).collect()
    }

    /// Ends the upload and returns what is in the assembled file.
    fn assembled(&self) -> Vec<u8> {
        std::fs::read(self.spool.assemble(&self.listed()).unwrap()).unwrap()
    }
}

/// Differs for the different bytes of these tests.
fn fake_md5(bytes: &[u8]) -> [u8; 16] {
    let mut md5 = [0; 16];
    for (index, byte) in bytes.iter().enumerate() {
        md5[index % 16] ^= byte.wrapping_add(u8::try_from(index % 251).unwrap());
    }
    md5
}

/// The bytes and the parts that a follower read.
type Followed = io::Result<(Vec<u8>, Vec<(u32, Attempt)>)>;

/// Follows an upload to its end in a thread of its own.
fn follow(spool: &Arc<Spool>) -> thread::JoinHandle<Followed> {
    let mut follower = spool.follow();
    thread::spawn(move || {
        let mut read = Vec::new();
        follower.read_to_end(&mut read)?;
        Ok((read, follower.into_consumed()))
    })
}

#[test]
fn parts_in_order_need_no_copy() {
    let fixture = fixture();
    fixture.put(1, b"aaaa");
    fixture.put(2, b"bbbb");
    fixture.put(3, b"c");
    let path = fixture.spool.assemble(&fixture.listed()).unwrap();
    assert_eq!(path.file_name().unwrap(), "main");
    assert_eq!(std::fs::read(path).unwrap(), b"aaaabbbbc");
}

#[test]
fn parts_that_overtake_the_first_end_up_in_order() {
    let fixture = fixture();
    fixture.put(3, b"c");
    fixture.put(2, b"bbbb");
    fixture.put(1, b"aaaa");
    assert_eq!(fixture.assembled(), b"aaaabbbbc");
}

#[test]
fn an_empty_last_part_changes_nothing() {
    let fixture = fixture();
    fixture.put(1, b"aaaa");
    fixture.put(2, b"");
    assert_eq!(fixture.assembled(), b"aaaa");
}

#[test]
fn the_last_of_two_different_parts_of_one_number_counts() {
    let fixture = fixture();
    fixture.put(1, b"aaaa");
    fixture.put(2, b"bb");
    fixture.put(1, b"AAAA");
    assert_eq!(fixture.assembled(), b"AAAAbb");
}

#[test]
fn a_part_repeated_with_the_same_bytes_keeps_its_attempt() {
    let fixture = fixture();
    fixture.put(1, b"aaaa");
    let before = fixture.listed();
    fixture.put(1, b"aaaa");
    assert_eq!(fixture.listed(), before);
}

#[test]
fn parts_of_uneven_length_are_put_together_all_the_same() {
    let fixture = fixture();
    fixture.put(1, b"aa");
    fixture.put(2, b"bbbbbbbb");
    fixture.put(3, b"c");
    assert_eq!(fixture.assembled(), b"aabbbbbbbbc");
}

#[test]
fn an_abandoned_attempt_leaves_no_trace() {
    let fixture = fixture();
    fixture.put(1, b"aaaa");
    let mut writer = fixture.spool.begin(2, Some(4)).unwrap();
    writer.write(b"xxxx").unwrap();
    drop(writer);
    assert!(!fixture.spool.is_busy());
    fixture.put(2, b"b");
    assert_eq!(fixture.assembled(), b"aaaab");
}

#[test]
fn a_follower_reads_along_in_part_order() {
    let fixture = fixture();
    let reading = follow(&fixture.spool);
    fixture.put(2, b"bbbb");
    fixture.put(1, b"aaaa");
    fixture.put(3, b"c");
    let parts = fixture.listed();
    fixture.spool.seal(parts.clone(), u64::MAX);
    let (read, consumed) = reading.join().unwrap().unwrap();
    assert_eq!(read, b"aaaabbbbc");
    assert_eq!(consumed, parts);
}

#[test]
fn a_follower_of_bytes_that_were_replaced_fails_or_reads_what_counts() {
    let fixture = fixture();
    let mut writer = fixture.spool.begin(1, Some(4)).unwrap();
    writer.write(b"xx").unwrap();
    let mut follower = fixture.spool.follow();
    let mut start = [0; 2];
    follower.read_exact(&mut start).unwrap();
    drop(writer);
    fixture.put(1, b"aaaa");
    fixture.spool.seal(fixture.listed(), u64::MAX);
    let error = follower.read(&mut start).unwrap_err();
    assert!(error.get_ref().unwrap().is::<PartReplaced>());
    assert_eq!(follow(&fixture.spool).join().unwrap().unwrap().0, b"aaaa");
}

#[test]
fn closing_an_upload_ends_its_followers_and_writers() {
    let fixture = fixture();
    let reading = follow(&fixture.spool);
    let mut writer = fixture.spool.begin(1, Some(4)).unwrap();
    fixture.spool.close();
    assert_eq!(reading.join().unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    assert_eq!(writer.write(b"aa").unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
}

#[test]
fn decompression_stops_at_the_announced_size_and_waits_while_none_is_announced() {
    let fixture = fixture();
    let spool = fixture.spool.clone();
    spool.wait_for_nar_budget(100, 100).unwrap();
    let waiting = {
        let spool = spool.clone();
        thread::spawn(move || spool.wait_for_nar_budget(101, 100))
    };
    spool.seal(Vec::new(), 150);
    waiting.join().unwrap().unwrap();
    assert_eq!(spool.wait_for_nar_budget(151, 100).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn an_upload_begins_on_the_first_disk_that_works() {
    let fixture = fixture_with(&["gone", "upload"], &["upload"]);
    fixture.put(1, b"aaaa");
    assert!(fixture.spool.directory().unwrap().ends_with("upload"));
    assert_eq!(fixture.assembled(), b"aaaa");
}

#[test]
fn an_upload_goes_on_elsewhere_when_its_disk_fails_and_its_follower_notices_nothing() {
    let fixture = fixture_with(&["first", "gone", "second"], &["first", "second"]);
    fixture.put(1, b"aaaa");
    let mut writer = fixture.spool.begin(2, Some(4)).unwrap();
    writer.write(b"bb").unwrap();
    let reading = follow(&fixture.spool);
    writer.move_on(io::Error::from_raw_os_error(28)).unwrap();
    writer.write(b"BB").unwrap();
    writer.finish(fake_md5(b"bbBB"));
    fixture.put(3, b"cc");
    assert!(fixture.spool.directory().unwrap().ends_with("second"));
    let listed = fixture.listed();
    fixture.spool.seal(listed, u64::MAX);
    assert_eq!(reading.join().unwrap().unwrap().0, b"aaaabbBBcc");
    let assembled = fixture.spool.assemble(&fixture.listed()).unwrap();
    assert_eq!(assembled.parent(), fixture.spool.directory().as_deref());
    assert_eq!(std::fs::read(assembled).unwrap(), b"aaaabbBBcc");
}

#[test]
fn without_another_disk_the_error_is_what_happened() {
    let fixture = fixture();
    let mut writer = fixture.spool.begin(1, Some(4)).unwrap();
    let error = writer.move_on(io::Error::from_raw_os_error(28)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn the_directory_goes_away_with_the_upload() {
    let fixture = fixture();
    fixture.put(1, b"aaaa");
    let side = fixture.spool.side_file("listing").unwrap();
    File::create(&side).unwrap().write_all(b"x").unwrap();
    let directory = side.parent().unwrap().to_owned();
    drop(fixture.spool);
    assert!(!directory.exists());
}

/// Uploads part 1 in memory.
fn put_small(fixture: &Fixture, memory: &SmallMemory, bytes: &[u8]) {
    let mut part = fixture.spool.begin_small(1, Some(bytes.len() as u64), memory).unwrap();
    part.write(bytes).unwrap();
    part.finish(fake_md5(bytes));
}

#[test]
fn a_small_upload_is_in_memory_and_makes_no_file() {
    let (fixture, memory) = (fixture(), SmallMemory::default());
    put_small(&fixture, &memory, b"aaaa");
    let parts = fixture.listed();
    assert_eq!(&*fixture.spool.small_bytes(&parts).unwrap(), b"aaaa");
    fixture.spool.seal(parts, u64::MAX);
    assert_eq!(follow(&fixture.spool).join().unwrap().unwrap().0, b"aaaa");
    assert_eq!(fixture.spool.directory(), None);
}

#[test]
fn more_parts_may_follow_a_small_one() {
    let (fixture, memory) = (fixture(), SmallMemory::default());
    put_small(&fixture, &memory, b"aaaa");
    fixture.put(2, b"bbbb");
    fixture.put(3, b"c");
    assert!(fixture.spool.small_bytes(&fixture.listed()).is_none());
    assert_eq!(fixture.assembled(), b"aaaabbbbc");
    assert!(fixture.spool.begin_small(1, Some(4), &memory).is_none(), "it is on disk by now");
}

#[test]
fn a_small_part_that_was_abandoned_leaves_no_trace_and_gives_its_memory_back() {
    let (fixture, memory) = (fixture(), SmallMemory::default());
    let most = (32 << 20) / small::SMALL;
    let held: Vec<_> =
        (0..most).map(|_| fixture.spool.begin_small(1, Some(small::SMALL), &memory).unwrap()).collect();
    assert!(fixture.spool.is_busy());
    assert!(fixture.spool.begin_small(1, Some(1), &memory).is_none(), "others use all of it");
    drop(held);
    assert!(!fixture.spool.is_busy());
    assert!(fixture.spool.is_empty());
    assert!(fixture.spool.begin_small(1, Some(small::SMALL + 1), &memory).is_none(), "it is too large");
    put_small(&fixture, &memory, b"aaaa");
    assert_eq!(fixture.assembled(), b"aaaa");
}
