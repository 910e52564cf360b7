//! A machine with Nix on it: a `/nix`, a cache of its own and host names for our caches, out of one mount namespace.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use super::site::HOST;

/// Binds the host's own `/nix` and `/etc/hosts`, then runs the script.
const SET_UP: &str = r#"
mkdir -p /nix
mount --bind "$NIX_HOST/nix" /nix
mount --bind "$NIX_HOST/hosts" /etc/hosts
cd "$NIX_HOST"
eval "$SCRIPT"
"#;

/// One such machine. Nothing on it is shared with others, and it forgets what it learned about caches after every script.
pub struct NixHost {
    directory: TempDir,
    config: String,
    scripts: AtomicU32,
}

impl NixHost {
    /// A machine that trusts these keys and no others.
    pub fn trusting<T: AsRef<str>>(keys: &[T]) -> Self {
        let directory = tempfile::Builder::new().prefix("nix-host-").tempdir().unwrap();
        for name in ["nix", "home"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let names = ["pub", "priv", "self", "my-cache-2"].map(|name| format!("{name}.{HOST}")).join(" ");
        fs::write(directory.path().join("hosts"), format!("127.0.0.1 localhost {HOST} {names}\n")).unwrap();
        fs::write(directory.path().join("netrc"), "").unwrap();
        let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        let config = format!(
            "build-users-group =\nsandbox = false\nsubstituters =\nrequire-sigs = true\n\
             experimental-features = nix-command ca-derivations\nnetrc-file = {}\ntrusted-public-keys = {}\n\
             download-attempts = 1\nconnect-timeout = 10\n",
            directory.path().join("netrc").display(),
            keys.join(" "),
        );
        Self { directory, config, scripts: AtomicU32::new(0) }
    }

    /// A machine that trusts nobody, for those who only push.
    pub fn new() -> Self {
        Self::trusting::<&str>(&[])
    }

    /// Writes a line to the netrc file: the token for a host name, in the form that `cachix use` writes.
    pub fn with_token(self, host: &str, token: &str) -> Self {
        self.with_netrc(&format!("machine {host} password {token}\n"))
    }

    /// The same for any text.
    pub fn with_netrc(self, text: &str) -> Self {
        let file = self.directory.path().join("netrc");
        fs::write(&file, fs::read_to_string(&file).unwrap() + text).unwrap();
        self
    }

    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Runs a shell script on this machine.
    pub fn run(&self, script: &str) -> Output {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Nix remembers what it asked a cache, by URL; a fresh memory for every script.
        let memory = format!("memory-{}", self.scripts.fetch_add(1, Ordering::Relaxed));
        Command::new("unshare")
            .args(["--mount", "--propagation", "private", "bash", "-euo", "pipefail", "-c", SET_UP])
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.directory.path().join("home"))
            .env("XDG_CACHE_HOME", self.directory.path().join(memory))
            .env("NIX_HOST", self.directory.path())
            .env("NIX_CONF_DIR", self.directory.path().join("no-conf"))
            .env("NIX_CONFIG", &self.config)
            .env("SCRIPT", script)
            .output()
            .unwrap()
    }

    /// What a script prints that has to succeed, without the newline at the end.
    #[track_caller]
    pub fn ok(&self, script: &str) -> String {
        let output = self.run(script);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {script}\n{complaint}", output.status);
        String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
    }

    /// What a script complains that has to fail.
    #[track_caller]
    pub fn fails(&self, script: &str) -> String {
        let output = self.run(script);
        assert!(
            !output.status.success(),
            "it succeeds: {script}\n{}",
            String::from_utf8_lossy(&output.stdout)
        );
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Builds the test closure and returns its root.
    #[track_caller]
    pub fn build_closure(&self, paths: u32) -> String {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/closure.nix");
        self.ok(&format!("nix-build {file} --no-out-link --arg n {paths} --max-jobs 4 2>build.log"))
    }

    /// Everything Nix's database says about a closure that has to be the same everywhere, by store path.
    #[track_caller]
    pub fn describe_closure(&self, root: &str) -> BTreeMap<String, Value> {
        let text = self.ok(&format!("nix path-info --json -r {root}"));
        let mut facts = match serde_json::from_str(&text).unwrap() {
            // Up to Nix 2.18.
            Value::Array(list) => {
                list.into_iter().map(|facts| (facts["path"].as_str().unwrap().to_owned(), facts)).collect()
            }
            // From then on.
            Value::Object(facts) => facts.into_iter().collect::<BTreeMap<_, _>>(),
            other => panic!("not what path-info prints: {other}"),
        };
        for facts in facts.values_mut() {
            for local in ["registrationTime", "signatures", "ultimate"] {
                facts.as_object_mut().unwrap().remove(local);
            }
        }
        facts
    }
}
