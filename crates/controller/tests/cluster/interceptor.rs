//! A server between the controller and another, which may answer in its place.

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, Method, Request, Response, Uri, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use url::Url;

type Failure = Box<dyn Error + Send + Sync>;

/// A request, as it is seen in passing.
pub(crate) struct Seen<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
}

/// What becomes of a request.
pub(crate) enum Verdict {
    /// It is passed on.
    Pass,
    /// It is passed on later.
    Delay(Duration),
    /// It is answered here, and goes no further.
    Answer(Response<Bytes>),
    /// It is passed on, and its answer ends after so long.
    Cut(Duration),
    /// The connection ends before it is passed on.
    Lose,
    /// It is passed on, and the connection ends before the answer.
    LoseAnswer,
    /// It is passed on, and half of its answer comes, as if it were all.
    Halve,
    /// It is passed on twice.
    Repeat,
}

/// Decides about each request.
pub(crate) trait Judge: Send + Sync + 'static {
    fn judge(&self, seen: &Seen<'_>) -> Verdict;
}

/// A running server. Dropping it ends it.
pub(crate) struct Interceptor {
    pub(crate) address: SocketAddr,
    /// The certificate to trust.
    pub(crate) root_pem: String,
    _tasks: JoinSet<()>,
}

impl Interceptor {
    /// Starts one at an address, before the server at `upstream`.
    pub(crate) async fn start(
        address: Ipv4Addr,
        upstream: Url,
        judge: Arc<dyn Judge>,
    ) -> Result<Self, Failure> {
        let own = rcgen::generate_simple_self_signed([address.to_string()])?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let tls = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind((address, 0)).await?;
        let address = listener.local_addr()?;
        // Who it speaks to is started by the same test. With HTTP/2 there is no Host to keep.
        let client = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .tls_danger_accept_invalid_certs(true)
            .build()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let (acceptor, judge) = (acceptor.clone(), Arc::clone(&judge));
                let (client, upstream) = (client.clone(), upstream.clone());
                connections.spawn(async move {
                    let Ok(connection) = acceptor.accept(connection).await else { return };
                    let service = service_fn(move |request| {
                        let (client, upstream) = (client.clone(), upstream.clone());
                        serve(client, upstream, Arc::clone(&judge), request).boxed()
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    // A client that goes in mid-answer is no matter.
                    let _ = http.serve_connection(TokioIo::new(connection), service).await;
                });
            }
        });
        Ok(Self { address, root_pem: own.cert.pem(), _tasks: tasks })
    }
}

async fn serve(
    client: reqwest::Client,
    upstream: Url,
    judge: Arc<dyn Judge>,
    request: Request<Incoming>,
) -> io::Result<Response<BoxBody<Bytes, io::Error>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let verdict = judge.judge(&Seen { method: &parts.method, uri: &parts.uri });
    let lost = || io::Error::from(io::ErrorKind::ConnectionReset);
    match verdict {
        Verdict::Answer(answer) => {
            return Ok(answer.map(|body| Full::new(body).map_err(|never| match never {}).boxed()));
        }
        Verdict::Lose => return Err(lost()),
        Verdict::Delay(delay) => tokio::time::sleep(delay).await,
        _ => {}
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = upstream.join(path).map_err(io::Error::other)?;
    // The Host stays, since the CA makes its URLs of it.
    let headers = passed_on(&parts.headers);
    let pass = || {
        client.request(parts.method.clone(), url.clone()).headers(headers.clone()).body(body.clone()).send()
    };
    let mut answer = pass().await.map_err(io::Error::other)?;
    match verdict {
        Verdict::LoseAnswer => return Err(lost()),
        Verdict::Repeat => answer = pass().await.map_err(io::Error::other)?,
        _ => {}
    }
    let mut response = Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        *headers = passed_on(answer.headers());
    }
    let body = match verdict {
        Verdict::Halve => {
            let whole = answer.bytes().await.map_err(io::Error::other)?;
            Full::new(whole.slice(..whole.len() / 2)).map_err(|never| match never {}).boxed()
        }
        Verdict::Cut(after) => {
            let frames = answer.bytes_stream().map_ok(Frame::data).map_err(io::Error::other);
            BodyExt::boxed(StreamBody::new(frames.take_until(Box::pin(tokio::time::sleep(after)))))
        }
        _ => {
            let frames = answer.bytes_stream().map_ok(Frame::data).map_err(io::Error::other);
            BodyExt::boxed(StreamBody::new(frames))
        }
    };
    response.body(body).map_err(io::Error::other)
}

/// All headers but those of the connection.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for own in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        headers.remove(own);
    }
    headers
}
