//! A way to the API server that can be cut.

use gatecert_testkit::cluster::{API_SERVER, Network};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const PORT: u16 = 6443;

/// Passes connections on to the API server, or to what is before it. Dropping it ends them.
pub(crate) struct Relay {
    pub(crate) address: Ipv4Addr,
    is_cut: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Relay {
    pub(crate) async fn start(
        network: &Network,
        address: Ipv4Addr,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::before(network, address, (API_SERVER, PORT).into()).await
    }

    /// Passes on to another server, which the API server is behind.
    pub(crate) async fn before(
        network: &Network,
        address: Ipv4Addr,
        upstream: SocketAddr,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        network.add_address(address)?;
        let listener = TcpListener::bind((address, PORT)).await?;
        let (is_cut, cut) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(pass(connection, upstream, cut.clone()));
            }
        });
        Ok(Self { address, is_cut, _tasks: tasks })
    }

    /// From now on nothing passes, and nothing is answered: as when a cable is pulled.
    pub(crate) fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// New connections pass again; the old ones are reset.
    pub(crate) fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

async fn pass(mut from: TcpStream, upstream: SocketAddr, mut cut: watch::Receiver<bool>) {
    if !*cut.borrow_and_update()
        && let Ok(mut to) = TcpStream::connect(upstream).await
    {
        tokio::select! {
            _ = copy_bidirectional(&mut from, &mut to) => return,
            _ = cut.wait_for(|cut| *cut) => {}
        }
    }
    // Held open, in silence.
    let _ = cut.wait_for(|cut| !*cut).await;
}
