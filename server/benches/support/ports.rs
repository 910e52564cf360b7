//! Free TCP ports on the loopback address.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// `N` different addresses that were free a moment ago.
pub fn free<const N: usize>() -> io::Result<[SocketAddr; N]> {
    // Held until all are chosen, so that they differ.
    let listeners: Vec<_> =
        (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for (address, listener) in addresses.iter_mut().zip(&listeners) {
        *address = listener.local_addr()?;
    }
    Ok(addresses)
}
