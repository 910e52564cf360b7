//! Values: what is accepted, and what it means.

use std::time::Duration;

use admin_api::units::format_size;
use proptest::prelude::*;
use rstest::rstest;

use crate::config::values::{duration, group, host, log_filter, mode, node_url, server_url, size, truth};
use crate::config::{CacheName, Name};

#[rstest]
#[case("0", Some(0))]
#[case("1500", Some(1500))]
#[case("500M", Some(500 * 1024 * 1024))]
#[case("500MB", Some(500_000_000))]
#[case("10 GiB", Some(10 * 1024 * 1024 * 1024))]
#[case("2t", Some(2 << 40))]
#[case("16777216 TiB", None)]
#[case("99999999999999999999", None)]
#[case("-1", None)]
#[case("1.5G", None)]
#[case("G", None)]
#[case("", None)]
#[case("10 apples", None)]
#[case("10 G B", None)]
fn a_size_is_a_number_with_a_unit(#[case] text: &str, #[case] bytes: Option<u64>) {
    assert_eq!(size(text).ok(), bytes);
}

proptest! {
    #[test]
    fn a_size_is_printed_so_that_it_reads_the_same(bytes: u64, shift in 0u32..64) {
        let bytes = bytes >> shift << (shift / 2);
        prop_assert_eq!(size(&format_size(bytes)).ok(), Some(bytes));
    }
}

#[rstest]
#[case("30s", Some(30))]
#[case("90min", Some(5400))]
#[case("1h 30m", Some(5400))]
#[case("7days", Some(604_800))]
#[case("30", None)]
#[case("soon", None)]
fn a_time_has_a_unit(#[case] text: &str, #[case] seconds: Option<u64>) {
    assert_eq!(duration(text).ok(), seconds.map(Duration::from_secs));
}

#[rstest]
#[case("0660", Some(0o660))]
#[case("600", Some(0o600))]
#[case("0o770", Some(0o770))]
#[case("0", Some(0))]
#[case("1777", None)]
#[case("0680", None)]
#[case("rw", None)]
#[case("-1", None)]
#[case("", None)]
fn a_mode_is_in_octal_digits(#[case] text: &str, #[case] bits: Option<u32>) {
    assert_eq!(mode(text).ok(), bits);
}

#[rstest]
#[case("wheel", true)]
#[case("1000", true)]
#[case("", false)]
#[case("a b", false)]
#[case("a:b", false)]
fn a_group_has_a_name_or_a_number(#[case] text: &str, #[case] good: bool) {
    assert_eq!(group(text).is_ok(), good);
}

#[rstest]
#[case("true", Some(true))]
#[case("Yes", Some(true))]
#[case("off", Some(false))]
#[case("1", None)]
#[case("nope", None)]
fn truth_has_the_words_of_yaml(#[case] text: &str, #[case] value: Option<bool>) {
    assert_eq!(truth(text).ok(), value);
}

#[rstest]
#[case("0.0.0.0", Some("0.0.0.0"))]
#[case("::", Some("::"))]
#[case("[::1]", Some("::1"))]
#[case("node-1.example.org", Some("node-1.example.org"))]
#[case("*", None)]
#[case("", None)]
#[case("0.0.0.0:5000", None)]
#[case("http://x", None)]
fn a_host_is_an_address_or_a_name(#[case] text: &str, #[case] expected: Option<&str>) {
    assert_eq!(host(text).ok().as_deref(), expected);
}

#[rstest]
#[case("https://cache.example.org", true)]
#[case("http://cache.example.org:5000/", true)]
#[case("https://example.org/cache", false)]
#[case("https://example.org/?a", false)]
#[case("ftp://example.org", false)]
#[case("cache.example.org", false)]
fn a_public_url_is_scheme_and_host(#[case] text: &str, #[case] accepted: bool) {
    assert_eq!(server_url(text).is_ok(), accepted);
}

#[rstest]
#[case("http://node-1:5000", true)]
#[case("http://[fd00::1]:5000/", true)]
#[case("https://node-1:5000", true)]
#[case("ftp://node-1:5000", false)]
#[case("http://node-1:5000/x", false)]
#[case("http://user@node-1", false)]
#[case("node-1:5000", false)]
fn a_node_url_is_scheme_and_host(#[case] text: &str, #[case] accepted: bool) {
    assert_eq!(node_url(text).is_ok(), accepted);
}

#[rstest]
#[case("info", true)]
#[case("info,cache_server=debug", true)]
#[case("cache_server=loud", false)]
fn a_log_filter_has_levels(#[case] text: &str, #[case] accepted: bool) {
    assert_eq!(log_filter(text).is_ok(), accepted);
}

#[rstest]
#[case("main", true)]
#[case("my-cache-2", true)]
#[case("0", true)]
#[case(&"a".repeat(63), true)]
#[case(&"a".repeat(64), false)]
#[case("", false)]
#[case("-a", false)]
#[case("a-", false)]
#[case("Main", false)]
#[case("my_cache", false)]
#[case("a.b", false)]
#[case("caché", false)]
fn a_cache_name_is_a_dns_label(#[case] text: &str, #[case] accepted: bool) {
    assert_eq!(text.parse::<CacheName>().is_ok(), accepted);
}

#[rstest]
#[case("external-usb", true)]
#[case("Web Server 1", true)]
#[case("", false)]
#[case(" x", false)]
#[case("a/b", false)]
#[case("a\nb", false)]
#[case(&"é".repeat(100), true)]
#[case(&"é".repeat(101), false)]
fn another_name_is_one_line_without_slashes(#[case] text: &str, #[case] accepted: bool) {
    assert_eq!(text.parse::<Name>().is_ok(), accepted);
}
