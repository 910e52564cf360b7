//! A daemon that says what it is told to, on a Unix socket in a directory of its own.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

/// What the fake daemon does with a request.
#[derive(Clone)]
pub enum Answer {
    /// Status and body.
    Says(u16, String),
    /// Takes the request and never answers.
    Nothing,
    /// Sends a body without end.
    Floods,
    /// Ends the connection in the middle of the body.
    BreaksOff,
    /// Sends these lines, in pieces that do not end where the lines do.
    Streams(Vec<String>, Then),
}

/// What the fake daemon does after the last line of a stream.
#[derive(Clone, Copy)]
pub enum Then {
    /// Ends the answer as it should.
    Ends,
    /// Says no more.
    Hangs,
    /// Ends the connection.
    BreaksOff,
}

/// A request that the fake daemon got.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `METHOD PATH`, with the query.
    pub request: String,
    /// The version that the client stated.
    pub version: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// The fake daemon; ends when dropped.
pub struct Daemon {
    pub dir: TempDir,
    pub socket: PathBuf,
    seen: Arc<Mutex<Vec<Seen>>>,
    _runtime: Runtime,
}

struct Script {
    version: Option<&'static str>,
    answers: HashMap<&'static str, Answer>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Daemon {
    /// Answers each `METHOD PATH`, with or without a query, as told and anything else with 404; states API version 1.
    pub fn start(answers: &[(&'static str, Answer)]) -> Self {
        Self::start_version(Some("1"), answers)
    }

    /// As [`Daemon::start`], stating another version of the API, or none.
    pub fn start_version(version: Option<&'static str>, answers: &[(&'static str, Answer)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("admin.sock");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers = answers.iter().cloned().collect();
        let script = Arc::new(Script { version, answers, seen: seen.clone() });

        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // Bound before any client starts, so that none has to wait for it.
        let listener = runtime.block_on(async { UnixListener::bind(&socket) }).unwrap();
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let script = script.clone();
                let service = service_fn(move |request| answer(script.clone(), request));
                // A client may hang up whenever it likes.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { dir, socket, seen, _runtime: runtime }
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The requests so far, each as `METHOD PATH` with the query.
    pub fn requests(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.request).collect()
    }

    /// The body of the last request.
    pub fn last_body(&self) -> Value {
        serde_json::from_slice(&self.seen().pop().unwrap().body).unwrap()
    }

    /// Runs `cachectl` with `line`, split at blanks, against this daemon.
    pub fn run(&self, line: &str) -> Run {
        run(&self.socket, line)
    }
}

async fn answer(
    script: Arc<Script>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, io::Error>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let request = format!("{} {}", head.method, head.uri);
    let name = format!("{} {}", head.method, head.uri.path());
    let version = head.headers.get("x-cache-server-api");
    let version = version.map(|value| value.to_str().unwrap().to_owned());
    let body = body.collect().await?.to_bytes();
    let answers = &script.answers;
    let answer = answers.get(request.as_str()).or_else(|| answers.get(name.as_str())).cloned();
    script.seen.lock().unwrap().push(Seen { request, version, body });

    let (status, body) = match answer {
        Some(Answer::Says(status, text)) => (status, whole(text)),
        Some(Answer::Nothing) => std::future::pending().await,
        Some(Answer::Floods) => (200, Flood { breaks_off: false }.boxed()),
        Some(Answer::BreaksOff) => (200, Flood { breaks_off: true }.boxed()),
        Some(Answer::Streams(lines, then)) => {
            let text = lines.into_iter().map(|line| line + "\n").collect::<String>();
            (200, Stream { rest: text.into(), then }.boxed())
        }
        None => (404, whole(r#"{"code":"not-found","message":"no such thing","hint":null}"#.into())),
    };
    let mut response = Response::builder().status(status);
    if let Some(version) = script.version {
        response = response.header("x-cache-server-api", version);
    }
    Ok(response.body(body).unwrap())
}

fn whole(text: String) -> BoxBody<Bytes, io::Error> {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed()
}

/// A body without end, or with a bad one.
struct Flood {
    breaks_off: bool,
}

impl Body for Flood {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(if self.breaks_off {
            Err(io::Error::other("the daemon ends here"))
        } else {
            Ok(Frame::data(Bytes::from_static(&[b' '; 1 << 16])))
        }))
    }
}

/// A body that comes bit by bit.
struct Stream {
    rest: Bytes,
    then: Then,
}

impl Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let length = self.rest.len().min(7);
        match self.then {
            _ if length > 0 => Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length))))),
            Then::Ends => Poll::Ready(None),
            Then::BreaksOff => Poll::Ready(Some(Err(io::Error::other("the daemon ends here")))),
            Then::Hangs => Poll::Pending,
        }
    }
}

/// How a run of `cachectl` ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Checks the exit code and that nothing but the failure is told, and gives that.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{}", self.stderr);
        self.stderr
    }

    /// Checks that all went well without a word of complaint, and gives the output.
    #[track_caller]
    pub fn succeeds(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        self.stdout
    }
}

/// `cachectl`, without anything of the caller's environment that it heeds.
pub fn cachectl() -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_cachectl")))
}

/// Takes from `command` what of the caller's environment `cachectl` heeds.
pub fn clean(mut command: Command) -> Command {
    for name in
        ["CACHE_SERVER_SOCKET", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME", "NO_COLOR", "CLICOLOR_FORCE"]
    {
        command.env_remove(name);
    }
    command
}

/// Runs `cachectl` with `line`, split at blanks, against the daemon at `socket`.
pub fn run(socket: &Path, line: &str) -> Run {
    finish(cachectl().args(line.split_whitespace()).arg("--socket").arg(socket))
}

/// Runs `command` to its end.
pub fn finish(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
