//! The gRPC service.

use super::secrets::{Secrets, Table};
use super::subscription::{self, Refusal, Subscription};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server::{
    SecretDiscoveryService, SecretDiscoveryServiceServer,
};
use futures::stream::{self, BoxStream};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// How many streams there may be at once: an Envoy has one for each secret and each worker shares it, so these are hundreds of
/// Envoys with several certificates.
const MAX_STREAMS: usize = 1024;

/// The largest request in bytes. The first one of a stream describes the Envoy with all of its extensions, which takes 1.40
/// 60 KiB. All streams together take 256 MiB at most, from those who may have the keys.
const MAX_REQUEST: usize = 256 * 1024;

/// The service over these secrets, whose streams end when `closing` says so.
pub(super) fn service(
    secrets: Secrets,
    closing: CancellationToken,
) -> SecretDiscoveryServiceServer<SecretService> {
    let streams = Arc::new(Semaphore::new(MAX_STREAMS));
    let service = SecretService { secrets, closing, streams };
    SecretDiscoveryServiceServer::new(service).max_decoding_message_size(MAX_REQUEST)
}

pub(super) struct SecretService {
    secrets: Secrets,
    closing: CancellationToken,
    streams: Arc<Semaphore>,
}

#[tonic::async_trait]
impl SecretDiscoveryService for SecretService {
    type StreamSecretsStream = BoxStream<'static, Result<DiscoveryResponse, Status>>;
    type DeltaSecretsStream = BoxStream<'static, Result<DeltaDiscoveryResponse, Status>>;

    async fn stream_secrets(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamSecretsStream>, Status> {
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        let too_many = |_| Status::resource_exhausted(format!("there are {MAX_STREAMS} streams already"));
        let stream = SecretStream {
            requests: request.into_inner(),
            changes: self.secrets.changes(),
            subscription: Subscription::default(),
            is_new: true,
            closing: self.closing.clone(),
            _permit: permit.map_err(too_many)?,
        };
        Ok(Response::new(Box::pin(stream::try_unfold(stream, SecretStream::next))))
    }

    async fn fetch_secrets(
        &self,
        request: Request<DiscoveryRequest>,
    ) -> Result<Response<DiscoveryResponse>, Status> {
        let response = subscription::fetch(request.into_inner(), &self.secrets.changes().borrow())?;
        response
            .map(Response::new)
            .ok_or_else(|| Status::not_found("there is no certificate of this name yet"))
    }

    async fn delta_secrets(
        &self,
        _: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaSecretsStream>, Status> {
        Err(Status::unimplemented("secrets are served state of the world: `api_type: GRPC`"))
    }
}

/// One Envoy's stream.
struct SecretStream {
    requests: Streaming<DiscoveryRequest>,
    changes: watch::Receiver<Table>,
    subscription: Subscription,
    is_new: bool,
    closing: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl SecretStream {
    /// The next answer. It is asked for when the one before it has been sent, so a slow reader skips what was replaced meanwhile.
    async fn next(mut self) -> Result<Option<(DiscoveryResponse, Self)>, Status> {
        loop {
            let answer = self.subscription.answer(&self.changes.borrow_and_update());
            if let Some(answer) = answer {
                return Ok(Some((answer, self)));
            }
            tokio::select! {
                () = self.closing.cancelled() => return Ok(None),
                request = self.requests.message() => match request? {
                    Some(request) => self.take(request)?,
                    None => return Ok(None),
                },
                changed = self.changes.changed() => if changed.is_err() {
                    return Ok(None);
                },
            }
        }
    }

    fn take(&mut self, request: DiscoveryRequest) -> Result<(), Status> {
        self.subscription.request(request)?;
        // Once for each stream, whatever the other side sends.
        if std::mem::take(&mut self.is_new)
            && let Some(names) = self.subscription.waiting(&self.changes.borrow())
        {
            tracing::info!("an Envoy waits for certificates that are not there yet: {names}");
        }
        Ok(())
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        Self::invalid_argument(refusal.to_string())
    }
}
