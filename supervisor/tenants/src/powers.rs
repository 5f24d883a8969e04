//! What a worker may call on its pair B: each power its own service, chosen by the call's path.
//!
//! A worker may have been taken over. Model calls, requests to leave and commands bound themselves
//! (`host::Intake`, `egress::Service`, `sandboxes::Service`); a timer's message is so short that a
//! limit on its length bounds everything.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use proto::host::attachments_server::AttachmentsServer;
use proto::host::outbox_server::OutboxServer;
use proto::host::timers_server::TimersServer;
use tonic::codegen::{Body as HttpBody, Service, StdError, http};

use crate::tenant::Tenant;
use crate::timers::Power;
use crate::{Inner, attachments, outgoing};

/// Where calls of the timer go.
const TIMERS: &str = "/openclawmu.host.v1.Timers/";

/// Where requests to leave go.
const EGRESS: &str = "/openclawmu.host.v1.Egress/";

/// Where commands go.
const SANDBOX: &str = "/openclawmu.host.v1.Sandbox/";

/// Where what is sent goes.
const OUTBOX: &str = "/openclawmu.host.v1.Outbox/";

/// Where what came with messages is fetched.
const ATTACHMENTS: &str = "/openclawmu.host.v1.Attachments/";

/// Bytes of what names one.
const ATTACHMENT_MESSAGE: usize = 10 << 10;

/// Bytes of an intent: its parts, and what stands around them.
const OUTBOX_MESSAGE: usize = delivery::outbox::MAX_CONTENT + (8 << 10);

/// Bytes of a message of the timer: one number.
const TIMER_MESSAGE: usize = 64;

/// Every power of one worker.
#[derive(Debug, Clone)]
pub(crate) struct Powers {
    llm: host::Intake,
    timers: TimersServer<Power>,
    egress: egress::Service,
    programs: sandboxes::Service,
    outbox: OutboxServer<outgoing::Power>,
    attachments: AttachmentsServer<attachments::Power>,
}

impl Powers {
    /// The powers of a worker of `tenant`.
    pub(crate) fn new(inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Self {
        let timers = TimersServer::new(Power::new(inner, tenant))
            .max_decoding_message_size(TIMER_MESSAGE)
            .max_encoding_message_size(TIMER_MESSAGE);
        let llm = inner.host.llm(Arc::clone(&tenant.account));
        let (egress, programs) = (tenant.outlet.service(), tenant.programs.service());
        let outbox = OutboxServer::new(outgoing::Power::new(inner, tenant))
            .max_decoding_message_size(OUTBOX_MESSAGE)
            .max_encoding_message_size(TIMER_MESSAGE);
        let attachments = AttachmentsServer::new(attachments::Power::new(inner, tenant))
            .max_decoding_message_size(ATTACHMENT_MESSAGE);
        Self { llm, timers, egress, programs, outbox, attachments }
    }
}

impl<B> Service<http::Request<B>> for Powers
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let path = request.uri().path();
        if path.starts_with(TIMERS) {
            self.timers.call(request)
        } else if path.starts_with(EGRESS) {
            self.egress.call(request)
        } else if path.starts_with(SANDBOX) {
            self.programs.call(request)
        } else if path.starts_with(OUTBOX) {
            self.outbox.call(request)
        } else if path.starts_with(ATTACHMENTS) {
            self.attachments.call(request)
        } else {
            self.llm.call(request)
        }
    }
}
