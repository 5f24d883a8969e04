//! One backup, read from the store: first its manifest, then its records, then its archive. Each byte is
//! handed on only after its chunk was found to be right, and the end comes only where everything is as
//! the manifest says.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use runtime::Tasks;
use tokio::task::JoinHandle;

use crate::Error;
use crate::format::keys::DataKey;
use crate::format::manifest::{MAX_MANIFEST, Manifest, Sums};
use crate::format::open::Opener;
use crate::format::{Broken, CHUNK};
use crate::id::BackupId;
use crate::roots::Incoming;
use crate::section::{Reading, Section};
use crate::store::{self, Key, Store};

/// The manifest of a backup, if the holder of this key has written it.
pub(crate) async fn manifest(
    store: &dyn Store,
    backup: &BackupId,
    key: &DataKey,
) -> Result<Manifest, Error> {
    let bytes = store::whole(store, &Key::manifest(backup), MAX_MANIFEST).await;
    if matches!(bytes, Err(store::Error::NotFound)) {
        return Err(Error::NotFound);
    }
    let bytes = bytes?;
    Ok(Manifest::read(backup, &bytes)?.verify(key)?)
}

/// Reads the sealed bytes of one backup: the next piece comes while this one is opened and unpacked.
pub(crate) struct Reader {
    store: Arc<dyn Store>,
    tasks: Tasks,
    manifest: Manifest,
    /// Where the piece begins that comes next.
    at: u64,
    coming: Option<JoinHandle<Result<Bytes, store::Error>>>,
    /// What of this piece is not opened yet.
    piece: Bytes,
    /// None once the last chunk was opened.
    opener: Option<Opener>,
    ready: VecDeque<Bytes>,
}

impl Reader {
    /// Reads what `manifest` describes.
    pub(crate) fn new(
        (store, tasks): (Arc<dyn Store>, Tasks),
        manifest: Manifest,
        key: Arc<DataKey>,
    ) -> Self {
        let opener = Some(Opener::new(&manifest.backup, key));
        let (piece, ready) = (Bytes::new(), VecDeque::new());
        Self { store, tasks, manifest, at: 0, coming: None, piece, opener, ready }
    }

    /// The records, which come first.
    pub(crate) async fn section(&mut self) -> Result<Section, Error> {
        let mut reading = Reading::new(&self.manifest.tenant);
        while let Some(mut piece) = self.next().await? {
            if let Some((section, used)) = reading.push(&piece)? {
                drop(piece.split_to(used));
                if !piece.is_empty() {
                    self.ready.push_front(piece);
                }
                if section.len() != self.manifest.records {
                    return Err(Broken::Differs("the number of records").into());
                }
                return Ok(section);
            }
        }
        Err(Broken::Records("there is no end").into())
    }

    /// The archive, which is the rest.
    pub(crate) fn archive(self) -> Incoming {
        Box::pin(stream::try_unfold(self, |mut reader| async move {
            let next = reader.next().await?;
            Ok(next.map(|piece| (piece, reader)))
        }))
    }

    /// The next opened bytes; none where all were, and are as the manifest says.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            let Some(mut opener) = self.opener.take() else { return Ok(None) };
            if self.piece.is_empty() {
                self.piece = self.piece().await?;
            }
            let mut plain = Vec::new();
            if self.piece.is_empty() {
                let (last, sums) = opener.finish()?;
                agree(&sums, &self.manifest.sums)?;
                plain.push(last);
            } else {
                // One chunk at a time: whoever shares the thread waits for no more than that.
                let now = self.piece.split_to(self.piece.len().min(CHUNK));
                opener.push(&now, &mut plain)?;
                self.opener = Some(opener);
            }
            self.ready.extend(plain.into_iter().filter(|it| !it.is_empty()));
        }
    }

    /// The next sealed bytes; none at the end.
    async fn piece(&mut self) -> Result<Bytes, Error> {
        let end = self.manifest.sums.sealed.bytes;
        if self.at >= end {
            return Ok(Bytes::new());
        }
        let coming = self.coming.take().unwrap_or_else(|| self.ask());
        let piece = coming.await.map_err(Error::Task)??;
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.at = self.at.saturating_add(length);
        // A store that has less than the manifest says has cut it.
        if self.at > end || piece.is_empty() {
            return Err(Broken::Length.into());
        }
        if self.at < end {
            self.coming = Some(self.ask());
        }
        Ok(piece)
    }

    fn ask(&self) -> JoinHandle<Result<Bytes, store::Error>> {
        let (store, key, at) = (Arc::clone(&self.store), Key::data(&self.manifest.backup), self.at);
        self.tasks.spawn(async move { store.read(&key, at).await })
    }
}

fn agree(read: &Sums, said: &Sums) -> Result<(), Broken> {
    if read.sealed != said.sealed {
        return Err(Broken::Differs("the sealed bytes"));
    }
    if read.plain != said.plain {
        return Err(Broken::Differs("the opened bytes"));
    }
    if read.chunks == said.chunks { Ok(()) } else { Err(Broken::Differs("the number of chunks")) }
}
