//! Listening sockets: one per worker and listener, so that the kernel spreads connections and no worker waits for
//! another. Opened once, before anything else that can fail late, and kept until shutdown.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections the kernel keeps for us to accept.
const BACKLOG: i32 = 4096;

/// One listener's sockets, one per worker.
#[derive(Debug)]
pub struct Sockets {
    /// Where they listen; the port is real even if 0 was asked for.
    pub address: SocketAddr,
    /// In order of workers.
    pub sockets: Vec<TcpListener>,
}

impl Sockets {
    /// Opens them.
    ///
    /// # Errors
    /// When the address is in use, by another gateway too: sockets that share a port would share its connections with
    /// whoever else asks, so a socket that shares nothing is bound first.
    pub fn open(address: SocketAddr, workers: usize) -> io::Result<Self> {
        let probe = socket(address)?;
        probe.bind(&address.into())?;
        probe.listen(1)?;
        let address = probe.local_addr()?.as_socket().unwrap_or(address);
        drop(probe);
        let sockets = (0..workers.max(1))
            .map(|_| {
                let socket = socket(address)?;
                socket.set_reuse_port(true)?;
                // Small answers must not wait for an acknowledgement of the one before. Connections have it from their listener (Linux).
                socket.set_tcp_nodelay(true)?;
                socket.bind(&address.into())?;
                socket.listen(BACKLOG)?;
                Ok(socket.into())
            })
            .collect::<io::Result<Vec<TcpListener>>>()?;
        Ok(Self { address, sockets })
    }
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A gateway that was just stopped leaves connections in TIME_WAIT, which must not keep the next one from starting.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` has IPv4 too, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_does_not_wait_for_acknowledgements() {
        let sockets = Sockets::open("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let _client = std::net::TcpStream::connect(sockets.address).unwrap();
        let listener = &sockets.sockets[0];
        listener.set_nonblocking(false).unwrap();
        assert!(listener.accept().unwrap().0.nodelay().unwrap());
    }

    #[test]
    fn a_second_gateway_on_the_same_address_fails() {
        let first = Sockets::open("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        assert_eq!(first.sockets.len(), 2);
        let second = Sockets::open(first.address, 2);
        assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
