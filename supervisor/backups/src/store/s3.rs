//! An S3-compatible service as a store: a few parts in memory, whatever the size of an object.
//!
//! Bucket, prefix and credentials are the operator's, and so is the address: neither a redirect nor a
//! proxy that the environment names leads anywhere else. Nothing that the service answers is longer in
//! memory than what was asked for.

mod ask;
mod multipart;

use std::time::Duration;

use ::s3::command::Command;
use ::s3::error::S3Error;
use ::s3::serde_types::{ListBucketResult, ListMultipartUploadsResult};
use ::s3::{Bucket, Region, creds};
use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use types::{Secret, UnixMillis};

use self::ask::{Failure, Line};
use self::multipart::Multipart;
use super::{Cause, Entry, Error, Key, MAX_LISTED, PIECE, Store, Upload, is_object};

/// How long one request may take: one part over a slow line.
const PATIENCE: Duration = Duration::from_mins(5);

/// Objects of one page of a listing.
const PAGE: usize = 1000;

/// Pages of one listing: as many objects as are listed, and four times as many of others.
const MAX_PAGES: usize = 5 * MAX_LISTED / PAGE;

/// Bytes of one page, and of every other answer that is no object: a thousand of the longest names, and
/// what is said of each, are less.
const MAX_ANSWER: usize = 4 << 20;

const KIND: &str = "application/octet-stream";

/// Who the gateway is to the service.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The public half.
    pub access_key_id: Secret,
    /// The secret half.
    pub secret_access_key: Secret,
}

/// Which bucket of which service.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `http://` or `https://`, host and port.
    pub endpoint: String,
    /// The service's region.
    pub region: String,
    /// The bucket, which must be there.
    pub bucket: String,
    /// What every object's name begins with; empty, or ending in a slash.
    pub prefix: String,
    /// Whether the bucket stands in the path of an address and not in its host.
    pub path_style: bool,
}

/// A bucket.
#[derive(Debug, Clone)]
pub struct S3 {
    line: Line,
    settings: Settings,
    /// Bytes of one part, and of one read.
    piece: usize,
}

impl S3 {
    /// A store in this bucket. Asks nobody yet.
    ///
    /// # Errors
    /// When the settings make no bucket.
    pub fn new(settings: Settings, credentials: &Credentials) -> Result<Self, Error> {
        let region = Region::Custom {
            region: settings.region.clone(),
            endpoint: settings.endpoint.trim_end_matches('/').to_owned(),
        };
        let (id, key) = (&credentials.access_key_id, &credentials.secret_access_key);
        let credentials =
            creds::Credentials::new(Some(id.expose()), Some(key.expose()), None, None, None);
        let credentials = credentials.map_err(|source| Error::Failed {
            what: "use the credentials",
            source: source.into(),
        })?;
        let failed = |err: S3Error| Failure::Sign(err).judged("use the bucket");
        let bucket = Bucket::new(&settings.bucket, region, credentials).map_err(failed)?;
        let bucket = if settings.path_style { bucket.with_path_style() } else { bucket };
        let line = Line::new(bucket, PATIENCE).map_err(|err| err.judged("use the bucket"))?;
        Ok(Self { line, settings, piece: PIECE })
    }

    /// An object's whole name.
    fn path(&self, key: &str) -> String {
        format!("{}{key}", self.settings.prefix)
    }
}

#[async_trait]
impl Store for S3 {
    async fn begin(&self, key: &Key) -> Result<Box<dyn Upload>, Error> {
        Ok(Box::new(Multipart::new(self, self.path(key.as_str()))))
    }

    async fn read(&self, key: &Key, from: u64) -> Result<Bytes, Error> {
        const WHAT: &str = "read an object";
        let path = self.path(key.as_str());
        let max = u64::try_from(self.piece).unwrap_or(u64::MAX);
        let end = Some(from.saturating_add(max).saturating_sub(1));
        let range = Command::GetObjectRange { start: from, end };
        match self.line.ask((WHAT, &path), range, self.piece).await {
            // A service that does not know ranges sends everything each time.
            Ok(answer) if from > 0 && answer.status != StatusCode::PARTIAL_CONTENT => {
                let why = Failure::Unreadable("it is no part of an object".to_owned());
                Err(why.judged(WHAT))
            }
            Ok(answer) => Ok(answer.body),
            // The range begins where the object ends.
            Err(Error::Failed { source, .. }) if is_past_the_end(&source) => Ok(Bytes::new()),
            Err(err) => Err(err),
        }
    }

    async fn remove(&self, key: &Key) -> Result<(), Error> {
        let what = ("remove an object", &*self.path(key.as_str()));
        match self.line.ask(what, Command::DeleteObject, MAX_ANSWER).await {
            Ok(_) | Err(Error::NotFound) => Ok(()),
            Err(err) => Err(err),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        const WHAT: &str = "list objects";
        let (mut all, mut next) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let page = Command::ListObjectsV2 {
                prefix: self.path(prefix),
                delimiter: None,
                continuation_token: next,
                start_after: None,
                max_keys: Some(PAGE),
            };
            let page = self.line.ask((WHAT, "/"), page, MAX_ANSWER).await?;
            let page: ListBucketResult = page.document(WHAT)?;
            for object in page.contents {
                let key = object.key.strip_prefix(&self.settings.prefix);
                if let Some(key) = key.filter(|key| is_object(key)) {
                    let modified_at = time(&object.last_modified);
                    all.push(Entry { key: key.to_owned(), size: object.size, modified_at });
                }
            }
            if all.len() > MAX_LISTED {
                return Err(Error::TooMany);
            }
            next = page.next_continuation_token.filter(|_| page.is_truncated);
            if next.is_none() {
                all.sort_by(|a, b| a.key.cmp(&b.key));
                return Ok(all);
            }
        }
        Err(Error::TooMany)
    }

    async fn sweep(&self, prefix: &str, before: UnixMillis) -> Result<(), Error> {
        const WHAT: &str = "list uploads";
        let path = self.path(prefix);
        let (mut key_marker, mut upload_id_marker) = (None, None);
        for _ in 0..MAX_PAGES {
            let page = Command::ListMultipartUploads {
                prefix: Some(&path),
                delimiter: None,
                key_marker,
                upload_id_marker,
                max_uploads: Some(PAGE),
            };
            let page = self.line.ask((WHAT, "/"), page, MAX_ANSWER).await?;
            let page: ListMultipartUploadsResult = page.document(WHAT)?;
            for upload in page.uploads {
                let key = upload.key.strip_prefix(&self.settings.prefix).unwrap_or_default();
                // Of what is not ours, and of a time that is not known, nothing is removed.
                let is_old = (1..before).contains(&time(&upload.initiated));
                if key.starts_with(prefix) && is_object(key) && is_old {
                    self.abort(&upload.key, &upload.id).await;
                }
            }
            (key_marker, upload_id_marker) = (page.next_marker, page.next_upload_id_marker);
            if !page.is_truncated || key_marker.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn name(&self) -> String {
        let Settings { endpoint, bucket, prefix, .. } = &self.settings;
        format!("{endpoint}/{bucket}/{prefix}")
    }
}

impl S3 {
    /// Removes what an upload has left. One that stays keeps no other.
    async fn abort(&self, path: &str, upload_id: &str) {
        let abort = Command::AbortMultipartUpload { upload_id };
        let gone = self.line.ask(("abort an upload", path), abort, MAX_ANSWER).await;
        if let Err(err) = gone
            && !matches!(err, Error::NotFound)
        {
            tracing::warn!(error = %types::Chain(&err), "an upload is left over");
        }
    }
}

fn is_past_the_end(cause: &Cause) -> bool {
    matches!(cause.downcast_ref(), Some(Failure::Status(416, _)))
}

fn time(text: &str) -> UnixMillis {
    let time = text.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond);
    UnixMillis::try_from(time).unwrap_or(0)
}

#[cfg(test)]
mod tests;
