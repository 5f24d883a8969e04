//! What came with messages of chat networks, fetched for workers: with the account's secret, which no
//! worker holds, and of the tenant's own conversations alone.

use std::sync::Arc;

use bytes::Bytes;
use proto::host::attachments_server::Attachments as Service;
use proto::host::{AttachmentPart, AttachmentRequest};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::tenant::Tenant;
use crate::{Inner, NotFetched};

/// Fetched at once for one worker: each is held whole until the worker has it.
const MAX_AT_ONCE: usize = 2;

/// The longest name of one, in bytes: an address.
const MAX_REFERENCE: usize = 2048;

/// Bytes of one part.
const PART: usize = 256 << 10;

/// The power to fetch, as it is served on one worker's pair.
#[derive(Debug)]
pub(crate) struct Power {
    inner: Arc<Inner>,
    tenant: Arc<Tenant>,
    room: Arc<Semaphore>,
}

impl Power {
    pub(crate) fn new(inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Self {
        let room = Arc::new(Semaphore::new(MAX_AT_ONCE));
        Self { inner: Arc::clone(inner), tenant: Arc::clone(tenant), room }
    }
}

type Parts = futures_util::stream::Iter<std::vec::IntoIter<Result<AttachmentPart, Status>>>;

#[tonic::async_trait]
impl Service for Power {
    type FetchStream = Parts;

    async fn fetch(&self, request: Request<AttachmentRequest>) -> Result<Response<Parts>, Status> {
        let AttachmentRequest { handle, reference } = request.into_inner();
        if reference.len() > MAX_REFERENCE {
            let message = format!("reference has at most {MAX_REFERENCE} bytes");
            return Err(Status::invalid_argument(message));
        }
        let full = || Status::resource_exhausted(format!("{MAX_AT_ONCE} are fetched at once"));
        let _room = self.room.try_acquire().map_err(|_full| full())?;
        let channels = self.inner.channels.get();
        let channels = channels.ok_or_else(|| Status::unavailable("not connected yet"))?;
        let address = channels.address(&self.tenant.id, &handle).await;
        let address =
            address.ok_or_else(|| Status::invalid_argument("the handle leads nowhere"))?;
        let fetched = channels.fetch(&self.tenant.id, &address, &reference).await;
        let mut rest = Bytes::from(fetched.map_err(|err| match err {
            NotFetched::Never(why) => Status::invalid_argument(why),
            NotFetched::TooLarge(most) => {
                Status::resource_exhausted(format!("it has more than {most} bytes"))
            }
            NotFetched::Away(why) => Status::unavailable(why),
        })?);
        let mut parts = Vec::with_capacity(rest.len() / PART + 1);
        while !rest.is_empty() {
            let data = rest.split_to(rest.len().min(PART));
            parts.push(Ok(AttachmentPart { data }));
        }
        Ok(Response::new(futures_util::stream::iter(parts)))
    }
}
