//! An object on its way into a bucket. A small one is put at once; a larger one in parts, of which a few
//! are under way while the next one is made.

use std::task::Poll;

use ::s3::command::{Command, Multipart as Place};
use ::s3::serde_types::{CompleteMultipartUploadData, InitiateMultipartUploadResponse, Part};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::poll;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::header::ETAG;

use super::super::{Error, Upload};
use super::ask::{Failure, Line};
use super::{KIND, MAX_ANSWER, S3};

/// Parts of one object; services take 10,000.
const MAX_PARTS: u32 = 10_000;

/// Parts under way at once. A line is busy with two, and each is held in memory three times: here, as
/// what is signed, and as what is sent.
const AT_ONCE: usize = 2;

/// What is attempted last.
const FINISH: &str = "finish an object";

/// What writes these bytes: a whole object, or the part of one.
const fn put<'a>(content: &'a [u8], multipart: Option<Place<'a>>) -> Command<'a> {
    Command::PutObject { content, content_type: KIND, custom_headers: None, multipart }
}

/// A part on its way.
type Put = BoxFuture<'static, Result<Part, Error>>;

#[derive(Debug)]
pub(super) struct Multipart {
    line: Line,
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
            line: store.line.clone(),
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
            const WHAT: &str = "begin an object";
            let first = Command::InitiateMultipartUpload { content_type: KIND };
            let begun = self.line.ask((WHAT, &self.path), first, MAX_ANSWER).await?;
            let begun: InitiateMultipartUploadResponse = begun.document(WHAT)?;
            self.upload.insert(begun.upload_id).clone()
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
        let (line, path, part_number) = (self.line.clone(), self.path.clone(), self.begun);
        self.under_way.push(Box::pin(async move {
            let place = Some(Place::new(part_number, &upload));
            let put = line.ask(("write a part", &path), put(&bytes, place), MAX_ANSWER).await?;
            let etag = put.headers.get(ETAG).and_then(|etag| etag.to_str().ok());
            Ok(Part { part_number, etag: etag.unwrap_or_default().to_owned() })
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
        let data = CompleteMultipartUploadData { parts: self.parts.iter().map(same).collect() };
        let complete = Command::CompleteMultipartUpload { upload_id: upload, data };
        let done = self.line.ask((FINISH, &self.path), complete, MAX_ANSWER).await?;
        // A service that was slow says 200 first, and only then what came of it.
        let said = String::from_utf8_lossy(&done.body);
        if said.contains("<CompleteMultipartUploadResult") {
            return Ok(());
        }
        Err(Failure::Status(done.status.as_u16(), said.into_owned()).judged(FINISH))
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
            let what = ("write an object", &*self.path);
            return self.line.ask(what, put(&rest, None), MAX_ANSWER).await.map(drop);
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
        let Some(upload_id) = &self.upload else { return Ok(()) };
        let abort = Command::AbortMultipartUpload { upload_id };
        match self.line.ask(("abort an upload", &self.path), abort, MAX_ANSWER).await {
            Ok(_) | Err(Error::NotFound) => Ok(()),
            Err(err) => Err(err),
        }
    }
}
