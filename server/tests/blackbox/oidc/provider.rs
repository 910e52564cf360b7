//! The provider as a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::ports;

/// Where `test.sh` installs it.
const TOOLS: &str = "/opt/cache-server-test-tools/openid-provider";

/// A running provider. Ended when dropped.
pub struct Provider {
    port: u16,
    directory: TempDir,
    process: Option<Child>,
}

impl Provider {
    /// Starts a provider with keys of its own.
    pub fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("openid-provider-").tempdir().unwrap();
        let [port] = ports::free();
        let mut provider = Self { port, directory, process: None };
        provider.run("first");
        provider
    }

    /// Its URL, as it stands in its tokens.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends it: nothing answers any more.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again with the keys of this name; new ones if there are none yet.
    pub fn run(&mut self, keys: &str) {
        self.stop();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/openid-provider/provider.mjs");
        let keys: PathBuf = self.directory.path().join(keys);
        let mut process = Command::new("node")
            .arg(script)
            .arg(self.port.to_string())
            .arg(keys)
            .env("OPENID_PROVIDER", TOOLS)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node is installed");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready", "the provider starts: is {TOOLS} there? ./test.sh installs it");
        self.process = Some(process);
    }

    /// A token for the audience of the tests, with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.token_by("rsa", claims, "")
    }

    /// A token that is signed with an RSA key or one on a curve, by the name of the client, with more fields in the request.
    pub fn token_by(&self, client: &str, claims: &Value, more: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={client}&client_secret=a+secret+of+the+tests+alone\
             &claims_of_token={}{more}",
            encoded(&claims.to_string())
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "POST /token HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            self.port,
            form.len()
        )
        .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let body = reply.split_once("\r\n\r\n").expect("a reply").1;
        let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{reply}"));
        body["access_token"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A text as a value of a form.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
