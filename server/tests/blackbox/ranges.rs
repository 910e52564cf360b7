//! Byte ranges of NARs (RFC 9110, section 14): Nix resumes interrupted downloads with them.

use crate::harness::{Path, Response, Site};

struct Served {
    site: Site,
    path: Path,
    url: String,
}

impl Served {
    /// A NAR larger than any buffer the daemon might read it with.
    fn start() -> Self {
        let site = Site::start();
        let path = Path::incompressible("ranged", 3_000_000);
        site.pusher("pub").push(&path);
        let url = format!("/{}", site.reader("pub").narinfo(&path).url);
        Self { site, path, url }
    }

    fn ask(&self, range: &str) -> Response {
        self.site.cache("pub").get(&self.url).header("Range", range).send()
    }

    /// The reply holds exactly these bytes and says so.
    #[track_caller]
    fn assert_part(&self, range: &str, first: usize, last: usize) {
        let reply = self.ask(range).expect(206);
        let total = self.path.file.len();
        let expected = format!("bytes {first}-{last}/{total}");
        assert_eq!(reply.header("Content-Range"), Some(expected.as_str()), "{range}");
        assert_eq!(reply.header("Content-Length"), Some((last - first + 1).to_string().as_str()), "{range}");
        assert!(reply.body == self.path.file[first..=last], "{range}");
    }

    #[track_caller]
    fn assert_whole(&self, reply: &Response, why: &str) {
        assert_eq!(reply.status, 200, "{why}");
        assert_eq!(reply.header("Content-Range"), None, "{why}");
        assert!(reply.body == self.path.file, "{why}");
    }
}

#[test]
fn any_part_of_a_nar_can_be_had() {
    let served = Served::start();
    let end = served.path.file.len() - 1;
    for (range, first, last) in [
        ("bytes=0-0".to_owned(), 0, 0),
        ("bytes=0-99".to_owned(), 0, 99),
        ("bytes=100-".to_owned(), 100, end),
        (format!("bytes={end}-"), end, end),
        (format!("bytes={end}-{end}"), end, end),
        (format!("bytes=0-{end}"), 0, end),
        ("bytes=262143-262144".to_owned(), 262_143, 262_144),
        ("bytes=1000000-2000000".to_owned(), 1_000_000, 2_000_000),
    ] {
        served.assert_part(&range, first, last);
    }
}

#[test]
fn a_suffix_counts_from_the_end() {
    let served = Served::start();
    let total = served.path.file.len();
    served.assert_part("bytes=-1", total - 1, total - 1);
    served.assert_part("bytes=-1000", total - 1000, total - 1);
    served.assert_part("bytes=-99999999999", 0, total - 1);
}

#[test]
fn a_range_past_the_end_is_clipped_or_unsatisfiable() {
    let served = Served::start();
    let total = served.path.file.len();
    served.assert_part("bytes=10-99999999999", 10, total - 1);
    served.assert_part(&format!("bytes=0-{}", u64::MAX), 0, total - 1);
    for range in
        [format!("bytes={total}-"), format!("bytes={}-{}", total + 5, total + 9), "bytes=-0".to_owned()]
    {
        let reply = served.ask(&range).expect(416);
        assert_eq!(reply.header("Content-Range"), Some(format!("bytes */{total}").as_str()), "{range}");
    }
}

#[test]
fn what_is_no_range_is_ignored() {
    let served = Served::start();
    for range in
        ["bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-1", "lines=1-2", "bytes=1-2-3", "bytes=--1"]
    {
        served.assert_whole(&served.ask(range), range);
    }
}

#[test]
fn several_ranges_are_sent_as_such_or_as_the_whole() {
    let served = Served::start();
    let reply = served.ask("bytes=0-9,100-109");
    if reply.status == 206 {
        let kind = reply.header("Content-Type").unwrap_or_default();
        let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("the parts are marked");
        let start = format!("--{boundary}\r\n");
        assert_eq!(reply.body.windows(start.len()).filter(|window| *window == start.as_bytes()).count(), 2);
    } else {
        served.assert_whole(&reply, "two ranges");
    }
}

#[test]
fn if_range_with_another_etag_gets_the_whole() {
    let served = Served::start();
    let head = served.site.cache("pub").head(&served.url).send().expect(200);
    let ask = |etag: &str| {
        let request = served.site.cache("pub").get(&served.url).header("Range", "bytes=5-9");
        request.header("If-Range", etag).send()
    };
    served.assert_whole(&ask("\"another\""), "the file has changed");
    if let Some(etag) = head.header("ETag") {
        assert_eq!(ask(etag).expect(206).body, served.path.file[5..=9]);
    }
}

#[test]
fn ranges_joined_together_are_the_nar() {
    let served = Served::start();
    let mut joined = Vec::new();
    while joined.len() < served.path.file.len() {
        let first = joined.len();
        joined.extend(served.ask(&format!("bytes={first}-{}", first + 777_776)).expect(206).body);
    }
    assert!(joined == served.path.file);
}
