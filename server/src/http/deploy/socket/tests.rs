//! Silence, and how long it may last. Time stands still here but for what is waited for.
#![allow(clippy::unwrap_used)]

use tokio::io::{DuplexStream, duplex};
use tokio::time::sleep;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// A socket and its client, with so many bytes on their way at most.
async fn pair(bytes: usize) -> (Socket<DuplexStream>, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = duplex(bytes);
    (Socket::over(ours).await, WebSocketStream::from_raw_socket(theirs, Role::Client, None).await)
}

/// Whether the socket is still there after so long, without a message.
async fn stays(socket: &mut Socket<DuplexStream>, long: Duration) -> bool {
    timeout(long, socket.hear()).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn t87_an_agent_need_only_ping() {
    let (mut socket, mut client) = pair(1 << 16).await;
    let pinging = tokio::spawn(async move {
        for number in 0..20_u8 {
            client.send(Message::Ping(vec![number].into())).await.unwrap();
            let before = Instant::now();
            let pong = client.next().await.unwrap().unwrap();
            assert_eq!(pong, Message::Pong(vec![number].into()));
            assert!(before.elapsed() < Duration::from_secs(1));
            sleep(MINUTE).await;
        }
    });
    assert!(stays(&mut socket, 19 * MINUTE).await);
    assert!(stays(&mut socket, MINUTE / 2).await, "dropping the future loses nothing");
    pinging.abort();
}

#[tokio::test(start_paused = true)]
async fn an_agent_need_not_ping_if_it_answers() {
    let (mut socket, mut client) = pair(1 << 16).await;
    let answering = tokio::spawn(async move {
        let mut pings = 0;
        while let Some(Ok(Message::Ping(_))) = client.next().await {
            pings += 1;
        }
        pings
    });
    assert!(stays(&mut socket, 60 * MINUTE).await);
    drop(socket);
    assert!(answering.await.unwrap() > 10);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_answers_is_given_up() {
    let (mut socket, client) = pair(1 << 16).await;
    let before = Instant::now();
    assert!(matches!(socket.hear().await, Heard::Gone));
    let silent = before.elapsed();
    assert!(silent >= QUIET + ANSWER && silent < QUIET + ANSWER + MINUTE, "{silent:?}");
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn t101_a_log_may_be_silent_though_no_ping_is_answered() {
    let (mut socket, mut client) = pair(1 << 16).await;
    socket.expect_no_answers();
    assert!(stays(&mut socket, 10 * MINUTE).await);
    client.send(Message::text("still at work")).await.unwrap();
    assert!(matches!(socket.hear().await, Heard::Text(text) if text == "still at work"));
    assert!(stays(&mut socket, 120 * MINUTE).await);
}

#[tokio::test(start_paused = true)]
async fn one_that_takes_nothing_is_given_up() {
    let (mut socket, client) = pair(64).await;
    assert!(socket.say("x".repeat(1 << 20)).await.is_err());
    assert!(socket.say_all((0..10).map(|_| "x".repeat(1 << 20))).await.is_err());
    drop(client);
}
