//! Commands that look into a cache: `path-info`, `store ls`, `store cat`, `log`.

use super::{reader, url, writer};
use crate::harness::Site;
use crate::harness::nix_host::NixHost;
use crate::harness::site::HOST;

/// A site with the small closure on it, the machine that pushed it, and its root.
fn with_closure() -> (Site, NixHost, String) {
    let site = Site::start();
    let here = writer(&site, "pub");
    let root = here.build_closure(3);
    here.ok(&format!("nix copy --to {} {root}", url(&site, "pub")));
    (site, here, root)
}

#[test]
fn path_info_shows_sizes_references_and_our_signature() {
    let (site, here, root) = with_closure();
    let there = reader(&site, "pub");
    let url = url(&site, "pub");
    let paths = there.ok(&format!("nix path-info --store {url} -r {root} | sort"));
    assert_eq!(paths, here.ok(&format!("nix-store -q --requisites {root} | sort")));
    let signatures = there.ok(&format!("nix path-info --store {url} --sigs {root}"));
    assert!(signatures.contains(&format!("pub.{HOST}-1:")), "{signatures}");
    let closure_size = there.ok(&format!("nix path-info --store {url} -S {root}"));
    assert_eq!(
        closure_size.split_whitespace().collect::<Vec<_>>(),
        here.ok(&format!("nix path-info -S {root}")).split_whitespace().collect::<Vec<_>>(),
    );
}

#[test]
fn ls_and_cat_show_what_is_in_a_path() {
    let (site, here, root) = with_closure();
    let url = url(&site, "pub");
    let listed = here.ok(&format!("nix store ls --store {url} -R -l {root}"));
    assert_eq!(listed, here.ok(&format!("nix store ls -R -l {root}")));
    for file in ["share/noise", "share/nothing", "share/references", "bin/closure-root"] {
        let there = here.ok(&format!("nix store cat --store {url} {root}/{file}"));
        assert_eq!(there, here.ok(&format!("cat {root}/{file}")), "{file}");
    }
    here.fails(&format!("nix store cat --store {url} {root}/share/absent"));
}

#[test]
fn logs_are_copied_and_shown() {
    let (site, here, root) = with_closure();
    let url = url(&site, "pub");
    let derivation = here.ok(&format!("nix-store -q --deriver {root}"));
    here.fails(&format!("nix log --store {url} {root}"));
    here.ok(&format!("nix store copy-log --to {url} {derivation}"));
    let show = format!("nix log --store {url} {root} 2>/dev/null");
    assert_eq!(here.ok(&show), "making closure-root");
    // Logs need no signature, so a machine that trusts nobody can read them.
    assert_eq!(NixHost::new().ok(&show), "making closure-root");
}
