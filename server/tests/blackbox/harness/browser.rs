//! Chromium, driven through its driver (WebDriver, <https://www.w3.org/TR/webdriver2/>).

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Endpoint, ports, wait_for};

/// The key under which WebDriver sends references to elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Starting a browser on a busy machine takes its time.
const START: Duration = Duration::from_secs(60);
/// How long something in a page may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser, and the process that drives it. Both end with it.
pub struct Browser {
    driver: Child,
    endpoint: Endpoint,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser that reaches all host names below `host` on this machine.
    pub fn start(host: &str) -> Self {
        let [port] = ports::free();
        let profile = tempfile::Builder::new().prefix("cache-server-browser-").tempdir().unwrap();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts (Debian: chromium-driver)");
        let address: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
        let endpoint = Endpoint { address, host: format!("localhost:{port}") };
        let mut browser = Self { driver, endpoint, session: String::new(), _profile: profile };
        wait_for(START, "the driver of the browser is ready", || {
            let status = browser.endpoint.get("/status").try_send().ok()?;
            (status.json()["value"]["ready"] == true).then_some(())
        });
        let data = browser._profile.path().join("profile");
        let mut arguments = vec![
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            format!("--host-resolver-rules=MAP {host} 127.0.0.1, MAP *.{host} 127.0.0.1"),
            format!("--user-data-dir={}", data.display()),
        ];
        arguments.sort();
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": arguments, "binary": "/usr/bin/chromium"},
        }}});
        let begun = browser.endpoint.post("/session").json(&capabilities).send();
        let value = begun.json();
        browser.session =
            value["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
        browser
    }

    fn send(&self, method: &str, command: &str, body: Option<Value>) -> Value {
        let target = format!("/session/{}{command}", self.session);
        let request = self.endpoint.request(method, &target);
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let reply = request.send();
        let value = reply.json();
        assert_eq!(reply.status, 200, "{method} {command} {body:?}: {value}");
        value["value"].clone()
    }

    fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.send("POST", "/goog/cdp/execute", Some(json!({"cmd": command, "params": parameters})))
    }

    /// Sets width and colours of what is opened next.
    pub fn look(&self, width: u32, dark: bool) {
        let metrics = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
        // Pictures of a whole page leave out what would be below it.
        self.devtools("Emulation.setScrollbarsHidden", json!({"hidden": true}));
        let scheme = if dark { "dark" } else { "light" };
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.devtools("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    /// Lets pages run scripts, or not. The driver may in either case.
    pub fn scripts(&self, run: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({"value": !run}));
    }

    /// Opens a page and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.send("POST", "/url", Some(json!({"url": url})));
    }

    /// The URL of the page that is open.
    pub fn url(&self) -> String {
        self.send("GET", "/url", None).as_str().unwrap().to_owned()
    }

    /// Runs a script in the page and returns what it returns. The driver may do so where pages may not.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        wait_for(PATIENCE, script, || self.try_run(script, json!([])))
    }

    /// As [`Browser::run`]; `None` while another page is being loaded.
    fn try_run(&self, script: &str, arguments: Value) -> Option<Value> {
        let target = format!("/session/{}/execute/sync", self.session);
        let body = json!({"script": script, "args": arguments});
        let reply = self.endpoint.post(&target).json(&body).send();
        (reply.status == 200).then(|| reply.json()["value"].clone())
    }

    /// The element that a CSS selector finds, once it is there.
    #[track_caller]
    pub fn element(&self, selector: &str) -> String {
        wait_for(PATIENCE, selector, || self.find(selector))
    }

    fn find(&self, selector: &str) -> Option<String> {
        let found = self.send("POST", "/elements", Some(json!({"using": "css selector", "value": selector})));
        Some(found[0].get(ELEMENT)?.as_str()?.to_owned())
    }

    /// Whether there is an element that a CSS selector finds.
    pub fn has(&self, selector: &str) -> bool {
        self.find(selector).is_some()
    }

    /// What an element shows, once it is there. It may be replaced at any time.
    #[track_caller]
    pub fn text_of(&self, selector: &str) -> String {
        let script = "const found = document.querySelector(arguments[0]); return found && found.innerText";
        wait_for(PATIENCE, selector, || Some(self.try_run(script, json!([selector]))?.as_str()?.to_owned()))
    }

    /// Clicks an element.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.send("POST", &format!("/element/{element}/click"), Some(json!({})));
    }

    /// Types into an element.
    #[track_caller]
    pub fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.send("POST", &format!("/element/{element}/value"), Some(json!({"text": text})));
    }

    /// The value of a property of an element.
    #[track_caller]
    pub fn property(&self, selector: &str, name: &str) -> Value {
        let element = self.element(selector);
        self.send("GET", &format!("/element/{element}/property/{name}"), None)
    }

    /// The cookies of the page.
    pub fn cookies(&self) -> Vec<Value> {
        self.send("GET", "/cookie", None).as_array().unwrap().clone()
    }

    /// The title of the page.
    pub fn title(&self) -> String {
        self.send("GET", "/title", None).as_str().unwrap().to_owned()
    }

    /// Whether an element is to be seen.
    #[track_caller]
    pub fn is_shown(&self, selector: &str) -> bool {
        let element = self.element(selector);
        self.send("GET", &format!("/element/{element}/displayed"), None) == true
    }

    /// What the browser complained about since the last call: errors of scripts, violations of policies, missing files.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.send("POST", "/se/log", Some(json!({"type": "browser"})));
        let entries = entries.as_array().unwrap();
        entries.iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// Whether the page is wider than the window.
    pub fn is_cut_off(&self) -> bool {
        let width = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
        self.run(width) == true
    }

    /// Keeps a picture of the whole page among the results of the build.
    pub fn picture(&self, name: &str) {
        let taken = self.devtools("Page.captureScreenshot", json!({"captureBeyondViewport": true}));
        let bytes = STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        fs::write(pictures().join(format!("{name}.png")), bytes).unwrap();
    }
}

/// Where pictures are kept.
fn pictures() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../web-pages");
    fs::create_dir_all(&directory).unwrap();
    directory
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let target = format!("/session/{}", self.session);
            let _ = self.endpoint.request("DELETE", &target).try_send();
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
