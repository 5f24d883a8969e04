//! The store trait, once for every place where an engine can sit.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::Error;
use crate::engine::{Engine, Table};
use crate::store::{Commit, Events, Guard, Item, LeaseId, Op, Rev, Store};

/// Where an engine sits: jobs run there one after the other, leases that are over have ended before
/// each, and an answer means that what the job saw and did is durable.
pub(crate) trait Seat: Send + Sync + std::fmt::Debug {
    /// What the engine works on.
    type Rows: Table;

    fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Engine<Self::Rows>) -> Result<R, Error> + Send + 'static,
    ) -> impl Future<Output = Result<R, Error>> + Send;

    /// See [`Store::rewrite`].
    fn rewrite(&self) -> impl Future<Output = Result<(), Error>> + Send {
        std::future::ready(Ok(()))
    }
}

#[async_trait]
impl<S: Seat> Store for S {
    async fn get(&self, key: &[u8]) -> Result<Option<Item>, Error> {
        let key = Bytes::copy_from_slice(key);
        self.run(move |engine| engine.get(&key)).await
    }

    async fn range(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<(Vec<Item>, Rev), Error> {
        let prefix = Bytes::copy_from_slice(prefix);
        let after = after.map(Bytes::copy_from_slice);
        self.run(move |engine| engine.range(&prefix, after.as_deref(), limit)).await
    }

    async fn commit(&self, guards: Vec<Guard>, ops: Vec<Op>) -> Result<Commit, Error> {
        self.run(move |engine| engine.commit(&guards, &ops)).await
    }

    async fn watch(&self, prefix: &[u8], after: Rev) -> Result<Events, Error> {
        let prefix = Bytes::copy_from_slice(prefix);
        self.run(move |engine| Ok(engine.watch(prefix, after))).await
    }

    async fn lease(&self, ttl: Duration) -> Result<LeaseId, Error> {
        self.run(move |engine| engine.lease(ttl)).await
    }

    async fn keep_alive(&self, id: LeaseId) -> Result<Duration, Error> {
        self.run(move |engine| engine.keep_alive(id)).await
    }

    async fn revoke(&self, id: LeaseId) -> Result<(), Error> {
        self.run(move |engine| engine.revoke(id)).await
    }

    async fn rewrite(&self) -> Result<(), Error> {
        Seat::rewrite(self).await
    }
}
