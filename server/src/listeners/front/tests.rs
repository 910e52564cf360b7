#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use http::StatusCode;
use http_body_util::BodyExt;
use http_framing::plain::Plain;
use hyper_util::rt::TokioTimer;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::limits::connections::Connections;
use crate::listeners::shortcut::{Answered, Output};

/// Answers `/now/…` and panics at `/bug`.
struct Now;

impl Shortcut for Now {
    fn answer(&self, request: &Plain<'_>, output: &mut Output) -> Answered {
        output.push(b"never sent");
        assert_ne!(request.path, "/bug", "this panic is part of the test");
        output.truncate(output.len() - b"never sent".len());
        let Some(name) = request.path.strip_prefix("/now/") else { return Answered::No };
        let mut reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", name.len());
        if !request.is_head {
            reply.push_str(name);
        }
        output.push(reply.as_bytes());
        Answered::Whole
    }
}

/// Answers everything else with its path.
async fn echo(request: Request<Incoming>) -> Result<Response, Infallible> {
    if request.uri().path() == "/late" {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let path = request.uri().path().to_owned();
    // A body that is not read ends the connection.
    let _ = request.into_body().collect().await;
    let mut response = Response::new(path.into());
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

/// Sends `pieces` over one connection, and returns what comes back until that ends.
async fn replies(pieces: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let place = Arc::new(Connections::new(4)).admit(None).unwrap();
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new());
        let front = Front { shortcut: Arc::new(Now), builder, ending: CancellationToken::new() };
        front.serve(stream, place.connection(), echo).await;
    };
    let client = async {
        let (mut receiver, mut sender) = TcpStream::connect(address).await.unwrap().into_split();
        let sending = async {
            for piece in pieces {
                sender.write_all(&piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            sender
        };
        let receiving = async {
            let mut received = String::new();
            receiver.read_to_string(&mut received).await.unwrap();
            received
        };
        let (_sender, received) = tokio::join!(sending, receiving);
        received
    };
    tokio::join!(server, client).1
}

/// Kinds of requests, with the start of the reply and its body.
const KINDS: &[(&str, &str, &str)] = &[
    ("GET /now/a HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200", "a"),
    ("HEAD /now/abc HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200", ""),
    ("GET /now/b HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n", "HTTP/1.1 202", "/now/b"),
    ("GET /c HTTP/1.1\r\n\r\n", "HTTP/1.1 202", "/c"),
    ("GET /late HTTP/1.1\r\n\r\n", "HTTP/1.1 202", "/late"),
    ("GET /bug HTTP/1.1\r\n\r\n", "HTTP/1.1 202", "/bug"),
    (
        "POST /d HTTP/1.1\r\nContent-Length: 32\r\n\r\nGET /now/z HTTP/1.1\r\nHost: x\r\n\r\n",
        "HTTP/1.1 202",
        "/d",
    ),
    (
        "PUT /now/e HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 202",
        "/now/e",
    ),
    ("\r\nGET /now/f HTTP/1.1\r\n\r\n", "HTTP/1.1 202", "/now/f"),
];

/// Statuses and bodies of replies that stand one behind the other.
fn told(received: &str, heads: &[bool]) -> String {
    let (mut told, mut rest) = (String::new(), received);
    for is_head in heads {
        let (head, after) = rest.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{received:?}"));
        let length = head.to_ascii_lowercase();
        let length = length.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        let length = if *is_head { 0 } else { length.parse().unwrap() };
        let _ = writeln!(told, "{} {}", &head[..12], &after[..length]);
        rest = &after[length..];
    }
    assert_eq!(rest, "");
    told
}

#[test]
fn requests_are_answered_in_order_whoever_answers_them() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let requests = prop::collection::vec(select(KINDS), 1..12);
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let last = "GET /last HTTP/1.1\r\nConnection: close\r\n\r\n";
    let outcome = runner.run(&(requests, 1_usize..200), |(requests, split)| {
        let mut text: String = requests.iter().map(|(request, ..)| *request).collect();
        text.push_str(last);
        let pieces = text.as_bytes().chunks(split).map(<[u8]>::to_vec).collect();
        let received = runtime.block_on(replies(pieces));
        let mut heads: Vec<_> = requests.iter().map(|(request, ..)| request.starts_with("HEAD")).collect();
        heads.push(false);
        let mut expected: String =
            requests.iter().map(|(_, status, body)| format!("{status} {body}\n")).collect();
        expected.push_str("HTTP/1.1 202 /last\n");
        prop_assert_eq!(told(&received, &heads), expected);
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn what_the_parser_refuses_ends_the_connection() {
    let plain = "GET /now/a HTTP/1.1\r\nHost: x\r\n\r\n";
    for refused in [
        "GET / HTTP/1.1\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "rubbish\r\n\r\n",
        "GET /now/a HTTP/1.1\r\nHost : x\r\n\r\n",
    ] {
        let received = replies(vec![format!("{plain}{refused}{plain}").into_bytes()]).await;
        assert!(received.starts_with("HTTP/1.1 200 OK"), "{refused:?}: {received:?}");
        assert_eq!(received.matches("HTTP/1.1 400").count(), 1, "{refused:?}: {received:?}");
        assert_eq!(received.matches("HTTP/1.1 ").count(), 2, "{refused:?}: {received:?}");
    }
}

#[tokio::test]
async fn a_closed_listener_ends_idle_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ending = CancellationToken::new();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new());
    let front = Front { shortcut: Arc::new(Now), builder, ending: ending.clone() };
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let place = Arc::new(Connections::new(4)).admit(None).unwrap();
    let serving = front.serve(stream, place.connection(), echo);
    let asking = async {
        client.write_all(b"GET /now/a HTTP/1.1\r\n\r\n").await.unwrap();
        let mut reply = vec![0; 39];
        client.read_exact(&mut reply).await.unwrap();
        ending.cancel();
        assert_eq!(client.read_to_end(&mut reply).await.unwrap(), 0);
    };
    tokio::join!(serving, asking);
}

/// A client has connected, and the listener closes before its request is there.
#[tokio::test]
async fn a_closed_listener_waits_for_the_first_request_of_a_new_connection() {
    for request in ["/now/a", "/a"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ending = CancellationToken::new();
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new());
        let front = Front { shortcut: Arc::new(Now), builder, ending: ending.clone() };
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let place = Arc::new(Connections::new(4)).admit(None).unwrap();
        let serving = front.serve(stream, place.connection(), echo);
        let asking = async {
            ending.cancel();
            let request = format!("GET {request} HTTP/1.1\r\nHost: a\r\n\r\n");
            for half in request.as_bytes().chunks(20) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                client.write_all(half).await.unwrap();
            }
            let mut reply = String::new();
            client.read_to_string(&mut reply).await.unwrap();
            assert!(reply.starts_with("HTTP/1.1 20"), "{request}: {reply}");
            assert_eq!(reply.matches("HTTP/1.1 ").count(), 1, "{request}: {reply}");
        };
        tokio::join!(serving, asking);
    }
}

/// It may never send one.
#[tokio::test]
async fn a_new_connection_without_a_request_ends_soon_after_its_listener() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ending = CancellationToken::new();
    let front = Front { shortcut: Arc::new(Now), builder: http1::Builder::new(), ending: ending.clone() };
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let place = Arc::new(Connections::new(4)).admit(None).unwrap();
    let serving = front.serve(stream, place.connection(), echo);
    let waiting = async {
        ending.cancel();
        assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    };
    tokio::join!(serving, waiting);
}
