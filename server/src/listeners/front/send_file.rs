//! Sends the body of a reply that is a file, from the page cache to the socket within the kernel.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use futures_util::StreamExt;
use nar_storage::{Blob, BlobBody};
use parking_lot::Mutex;
use rustix::net::Shutdown;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::wire::Wire;
use crate::counters::SENT_BYTES;
use crate::listeners::shortcut::FileBody;

/// Sends the rest of a reply.
///
/// The disk may block, so a thread of the storage moves the bytes. It never waits for the client: when the socket is full, this task waits for it
/// and takes a thread again. A slow client thus holds no thread and no memory of the process.
///
/// # Errors
///
/// If the reply cannot be completed. The connection is shut down then, so that the client does not take the part for the whole.
pub(super) async fn send(wire: &Mutex<Wire>, body: FileBody) -> io::Result<()> {
    // A second handle of the socket: a thread that the disk blocks may outlive the connection, and what the runtime knows of this handle can be
    // forgotten without the parser missing it.
    let handle = std::net::TcpStream::from(wire.lock().stream.as_fd().try_clone_to_owned()?);
    let socket = Arc::new(TcpStream::from_std(handle)?);
    let sent = send_to(wire, &socket, body).await;
    if sent.is_err() {
        // The client may be gone already.
        let _ = rustix::net::shutdown(&socket, Shutdown::Both);
    }
    sent
}

/// Whether the file is at fault, and nothing more is sent of it. A thread that does not answer may yet send something.
fn is_of_file(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    !matches!(
        error.kind(),
        Kind::TimedOut
            | Kind::BrokenPipe
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::NotConnected
    )
}

/// Sends the rest of a body that is no file.
async fn send_blob(wire: &Mutex<Wire>, socket: &TcpStream, blob: Blob) -> io::Result<()> {
    let mut pieces = match blob.into_body() {
        BlobBody::Bytes(bytes) => return send_piece(wire, socket, &bytes).await,
        BlobBody::Stream(pieces) => pieces,
    };
    while let Some(piece) = pieces.next().await {
        send_piece(wire, socket, &piece?).await?;
    }
    Ok(())
}

async fn send_piece(wire: &Mutex<Wire>, socket: &TcpStream, mut piece: &[u8]) -> io::Result<()> {
    while !piece.is_empty() {
        socket.writable().await?;
        match socket.try_write(piece) {
            Ok(sent) => {
                piece = &piece[sent..];
                SENT_BYTES.add(sent as u64);
                wire.lock().connection().has_moved();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn send_to(wire: &Mutex<Wire>, socket: &Arc<TcpStream>, body: FileBody) -> io::Result<()> {
    let FileBody { file, mut range, elsewhere, .. } = body;
    while !range.is_empty() {
        socket.writable().await?;
        // Forgotten before the thread fills the socket: what the kernel reports from now on is that it has room again.
        let forgotten = socket.try_io(Interest::WRITABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        debug_assert!(forgotten.is_err());
        let mut is_full = false;
        while !is_full && !range.is_empty() {
            let sent = match file.send(socket.clone(), range.clone()).await {
                Ok(sent) => sent,
                Err(error) => {
                    let Some(elsewhere) = elsewhere.filter(|_| is_of_file(&error)) else { return Err(error) };
                    let kept = io::Error::new(error.kind(), error.to_string());
                    let Some(rest) = elsewhere.open(range, error).await else { return Err(kept) };
                    return send_blob(wire, socket, rest).await;
                }
            };
            range.start += sent.bytes;
            is_full = sent.is_full;
            SENT_BYTES.add(sent.bytes);
            if sent.bytes > 0 {
                wire.lock().connection().has_moved();
            }
        }
    }
    Ok(())
}
