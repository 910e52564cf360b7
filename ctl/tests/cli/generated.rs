//! Completion scripts and man pages.

use std::fs;

use super::support::{cachectl, finish};

#[test]
fn each_shell_gets_a_script_that_asks_for_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = finish(cachectl().args(["completions", shell])).succeeds();
        assert!(script.contains("COMPLETE"), "{shell}: {script}");
        let mut asked = cachectl();
        asked.env("COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", "2").env("_CLAP_IFS", "\n");
        let words = finish(asked.args(["--", "cachectl", "storage", "re"])).succeeds();
        assert!(words.contains("rebalance") && !words.contains("drain"), "{shell}: {words}");
    }
}

#[test]
fn each_command_that_is_shown_has_a_man_page() {
    let dir = tempfile::tempdir().unwrap();
    finish(cachectl().arg("man").arg(dir.path())).succeeds();
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let page = read("cachectl.1");
    assert!(page.contains("Exit codes:") && page.contains("cachectl\\-gc(1)"), "{page}");
    let page = read("cachectl-pin-add.1");
    assert!(page.contains("\\-\\-keep\\-revisions") && page.contains("Examples:"), "{page}");
    assert!(!dir.path().join("cachectl-man.1").exists());

    let told = finish(cachectl().arg("man").arg(dir.path().join("nowhere"))).fails(1);
    assert!(told.contains("cannot write man pages to") && told.contains("nowhere"), "{told}");
}
