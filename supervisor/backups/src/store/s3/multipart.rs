//! An object on its way into a bucket. A small one is put at once; a larger one in parts, of which a few
//! are under way while the next one is made.

use std::task::Poll;

use ::s3::Bucket;
use ::s3::serde_types::Part;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::poll;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::super::{Error, Upload};
use super::{KIND, S3, Tries, again};

/// Parts of one object; services take 10,000.
const MAX_PARTS: u32 = 10_000;

/// Parts under way at once. A line is busy with two, and each is held in memory three times: here, as
/// what is signed, and as what is sent.
const AT_ONCE: usize = 2;

/// A part on its way.
type Put = BoxFuture<'static, Result<Part, Error>>;

#[derive(Debug)]
pub(super) struct Multipart {
    bucket: Box<Bucket>,
    path: String,
    /// Bytes of one part.
    piece: usize,
    /// The service's name for it, once there is more than one part.
    upload: Option<String>,
    begun: u32,
    under_way: FuturesUnordered<Put>,
    parts: Vec<Part>,
    waiting: BytesMut,
}

impl Multipart {
    /// Asks nobody yet.
    pub(super) fn new(store: &S3, path: String) -> Self {
        Self {
            bucket: store.bucket.clone(),
            path,
            piece: store.piece,
            upload: None,
            begun: 0,
            under_way: FuturesUnordered::new(),
            parts: Vec::new(),
            waiting: BytesMut::new(),
        }
    }

    /// Sends a part on its way, when there is room for it.
    async fn part(&mut self, bytes: Bytes) -> Result<(), Error> {
        let upload = if let Some(upload) = &self.upload {
            upload.clone()
        } else {
            let begun =
                again!("begin an object", self.bucket.initiate_multipart_upload(&self.path, KIND));
            self.upload.insert(begun?.upload_id).clone()
        };
        if self.begun >= MAX_PARTS {
            let part = u64::try_from(self.piece).unwrap_or(u64::MAX);
            return Err(Error::TooLarge { max: part.saturating_mul(u64::from(MAX_PARTS)) });
        }
        while self.under_way.len() >= AT_ONCE {
            let landed = self.under_way.next().await;
            self.parts.extend(landed.transpose()?);
        }
        self.begun = self.begun.saturating_add(1);
        let (bucket, path, number) = (self.bucket.clone(), self.path.clone(), self.begun);
        self.under_way.push(Box::pin(async move {
            again!(
                "write a part",
                bucket.put_multipart_chunk(bytes.to_vec(), &path, number, &upload, KIND)
            )
        }));
        self.see().await
    }

    /// Sends the last part, waits for all, and makes an object of them.
    async fn complete(&mut self, upload: &str, rest: Bytes) -> Result<(), Error> {
        self.part(rest).await?;
        while let Some(landed) = self.under_way.next().await {
            self.parts.push(landed?);
        }
        self.parts.sort_by_key(|part| part.part_number);
        let same = |it: &Part| Part { part_number: it.part_number, etag: it.etag.clone() };
        let parts = || self.parts.iter().map(same).collect();
        let done = again!(
            "finish an object",
            self.bucket.complete_multipart_upload(&self.path, upload, parts())
        );
        done.map(drop)
    }

    /// Lets those that are under way go on, and takes what has arrived.
    async fn see(&mut self) -> Result<(), Error> {
        while let Poll::Ready(Some(landed)) = poll!(self.under_way.next()) {
            self.parts.push(landed?);
        }
        Ok(())
    }
}

#[async_trait]
impl Upload for Multipart {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.see().await?;
        self.waiting.extend_from_slice(&bytes);
        while self.waiting.len() > self.piece {
            let part = self.waiting.split_to(self.piece).freeze();
            self.part(part).await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), Error> {
        let rest = std::mem::take(&mut self.waiting).freeze();
        let Some(upload) = self.upload.clone() else {
            let put = again!("write an object", self.bucket.put_object(&self.path, &rest));
            return put.map(drop);
        };
        let finished = self.complete(&upload, rest).await;
        if finished.is_err()
            && let Err(err) = self.abort().await
        {
            // A sweep finds it.
            tracing::warn!(error = %types::Chain(&err), "an upload is left over");
        }
        finished
    }

    async fn abort(mut self: Box<Self>) -> Result<(), Error> {
        // What is under way would become part of what is being removed.
        self.under_way.clear();
        let Some(upload) = &self.upload else { return Ok(()) };
        let (bucket, path) = (self.bucket.clone(), self.path.clone());
        match again!("abort an upload", bucket.abort_upload(&path, upload)) {
            Ok(()) | Err(Error::NotFound) => Ok(()),
            Err(err) => Err(err),
        }
    }
}
