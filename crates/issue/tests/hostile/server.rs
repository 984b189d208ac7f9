//! A server that sends what a script says, byte by byte, and counts what is taken of it. No HTTP library would.

use socket2::SockRef;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What is sent for one request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// These bytes.
    Whole(Vec<u8>),
    /// These bytes, and then the others for ever.
    Endless(Vec<u8>, Vec<u8>),
    /// The same, of the others one byte after the other, each after this time.
    Drip(Vec<u8>, Vec<u8>, Duration),
}

/// From the path of a request, how many there were for it before, and the server's URL, to the answer.
pub(crate) type Script = Arc<dyn Fn(&str, usize, &str) -> Answer + Send + Sync>;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    /// Its head in lower case.
    pub(crate) head: String,
}

#[derive(Default)]
struct State {
    requests: Mutex<Vec<Received>>,
    largest: AtomicUsize,
    strangers: AtomicUsize,
    open: AtomicUsize,
}

pub(crate) struct Server {
    base: String,
    state: Arc<State>,
}

impl Server {
    /// Serves on one address; on another, [`Self::STRANGER`], it counts whoever comes.
    pub(crate) async fn start(script: &Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stranger = TcpListener::bind(("127.0.0.66", address.port())).await.unwrap();
        let (base, state) = (format!("http://{address}"), Arc::new(State::default()));
        let (told, script, counted) = (base.clone(), Arc::clone(script), Arc::clone(&state));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Small buffers: what is taken is what the client has read, but for a little.
                SockRef::from(&stream).set_send_buffer_size(16 * 1024).unwrap();
                counted.open.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, Arc::clone(&counted), Arc::clone(&script), told.clone()));
            }
        });
        let counted = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = stranger.accept().await {
                counted.strangers.fetch_add(1, Ordering::Relaxed);
                drop(stream);
            }
        });
        Self { base, state }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.state.requests.lock().unwrap().clone()
    }

    /// The bytes that were taken of the largest answer.
    pub(crate) fn bytes_of_largest(&self) -> usize {
        self.state.largest.load(Ordering::Relaxed)
    }

    /// Waits until every client has hung up, and was seen to.
    pub(crate) async fn left(&self) {
        while self.state.open.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// How many connections came where a redirect points.
    pub(crate) fn strangers(&self) -> usize {
        self.state.strangers.load(Ordering::Relaxed)
    }
}

async fn serve(stream: TcpStream, state: Arc<State>, script: Script, base: String) {
    let mut stream = BufReader::new(stream);
    while let Some(received) = request(&mut stream).await {
        let path = received.path.clone();
        let before = {
            let mut requests = state.requests.lock().unwrap();
            requests.push(received);
            requests.iter().filter(|one| one.path == path).count() - 1
        };
        send(stream.get_mut(), script(&path, before, &base), &state.largest).await;
    }
    state.open.fetch_sub(1, Ordering::Relaxed);
}

async fn request(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(Received { path: head.split(' ').nth(1)?.to_owned(), head })
}

/// Sends, and counts what is taken until the client hangs up.
async fn send(stream: &mut TcpStream, answer: Answer, largest: &AtomicUsize) {
    let mut taken = 0;
    let (first, rest, pause) = match answer {
        Answer::Whole(bytes) => (bytes, None, None),
        Answer::Endless(first, rest) => (first, Some(rest), None),
        Answer::Drip(first, rest, pause) => (first, Some(rest), Some(pause)),
    };
    for chunk in first.chunks(4096) {
        if stream.write_all(chunk).await.is_err() {
            return;
        }
        taken += chunk.len();
        largest.fetch_max(taken, Ordering::Relaxed);
    }
    while let Some(rest) = &rest {
        let chunk = match pause {
            Some(pause) => {
                tokio::time::sleep(pause).await;
                &rest[taken % rest.len()..][..1]
            }
            None => rest,
        };
        if stream.write_all(chunk).await.is_err() {
            return;
        }
        taken += chunk.len();
        largest.fetch_max(taken, Ordering::Relaxed);
    }
}
