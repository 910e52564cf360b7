//! Sends the body of a reply that is a file, from the page cache to the socket within the kernel.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

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

async fn send_to(wire: &Mutex<Wire>, socket: &Arc<TcpStream>, body: FileBody) -> io::Result<()> {
    let FileBody { file, mut range, .. } = body;
    while !range.is_empty() {
        socket.writable().await?;
        // Forgotten before the thread fills the socket: what the kernel reports from now on is that it has room again.
        let forgotten = socket.try_io(Interest::WRITABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        debug_assert!(forgotten.is_err());
        let mut is_full = false;
        while !is_full && !range.is_empty() {
            let sent = file.send(socket.clone(), range.clone()).await?;
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
