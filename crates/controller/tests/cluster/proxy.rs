//! Pebble sends `Host: name:80`, unlike Let's Encrypt, and a redirect of Envoy keeps that port. This proxy stands between
//! the two and takes the port away.

use crate::harness::World;
use std::error::Error;
use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// A running proxy for ports 80 and 443. Dropping it ends it.
pub(crate) struct PortProxy {
    address: Ipv4Addr,
    _tasks: JoinSet<()>,
}

impl PortProxy {
    pub(crate) async fn start(
        world: &World,
        address: Ipv4Addr,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        world.cluster.network.add_address(address)?;
        let to = world.cluster.gateway_address();
        let mut tasks = JoinSet::new();
        for port in [80, 443] {
            let socket = TcpSocket::new_v4()?;
            // Envoy listens on every address, in a way that lets others have one of their own.
            socket.set_reuseaddr(true)?;
            socket.set_reuseport(true)?;
            socket.bind((address, port).into())?;
            let listener = socket.listen(128)?;
            tasks.spawn(async move {
                while let Ok((connection, _)) = listener.accept().await {
                    tokio::spawn(forward(connection, to, port));
                }
            });
        }
        Ok(Self { address, _tasks: tasks })
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }
}

async fn forward(mut from: TcpStream, to: Ipv4Addr, port: u16) -> std::io::Result<()> {
    let mut onward = TcpStream::connect((to, port)).await?;
    if port == 80 {
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            if from.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let head = String::from_utf8_lossy(&head).replacen(":80\r\n", "\r\n", 1);
        onward.write_all(head.as_bytes()).await?;
    }
    copy_bidirectional(&mut from, &mut onward).await?;
    Ok(())
}
