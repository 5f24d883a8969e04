//! An S3-compatible service as a store: a few parts in memory, whatever the size of an object.
//!
//! Bucket, prefix and credentials are the operator's, and so is the address: neither a redirect nor a
//! proxy that the environment names leads anywhere else. What has no effect when it is done twice is
//! tried again where the service was not reachable; nothing else is.

mod multipart;

use std::time::Duration;

use ::s3::error::S3Error;
use ::s3::{Bucket, Region, creds};
use async_trait::async_trait;
use bytes::Bytes;
use types::{Secret, UnixMillis};

use self::multipart::Multipart;
use super::{Cause, Entry, Error, Key, MAX_LISTED, PIECE, Store, Upload};

/// How long one request may take: one part over a slow line.
const PATIENCE: Duration = Duration::from_mins(5);

/// Tries of one request, and the pause before the second, doubled for each further one.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(250);

/// Objects of one page of a listing.
const PAGE: usize = 1000;

/// Nobody can listen on this port.
const NOWHERE: &str = "http://127.0.0.1:0";

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
    bucket: Box<Bucket>,
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
        let failed = |err| judged("use the bucket", err);
        let bucket = Bucket::new(&settings.bucket, region, credentials).map_err(failed)?;
        let bucket = if settings.path_style { bucket.with_path_style() } else { bucket };
        let bucket = bucket.set_proxy(nowhere_but(&bucket.url())?).map_err(failed)?;
        Self { bucket: Box::new(bucket), settings, piece: PIECE }.patient(PATIENCE)
    }

    /// The same, with so long for one request.
    fn patient(self, patience: Duration) -> Result<Self, Error> {
        let bucket = self.bucket.with_request_timeout(patience);
        let bucket = bucket.map_err(|err| judged("use the bucket", err))?;
        Ok(Self { bucket, ..self })
    }

    /// An object's whole name.
    fn path(&self, key: &str) -> String {
        format!("{}{key}", self.settings.prefix)
    }
}

/// What is asked of any other address than the bucket's goes where nobody listens. Whoever sets a
/// proxy is also not given the one of the environment.
fn nowhere_but(bucket: &str) -> Result<reqwest::Proxy, Error> {
    let unusable = |source: Cause| Error::Failed { what: "use the endpoint", source };
    let own = reqwest::Url::parse(bucket).map_err(|err| unusable(err.into()))?.origin();
    let nowhere = reqwest::Url::parse(NOWHERE).map_err(|err| unusable(err.into()))?;
    Ok(reqwest::Proxy::custom(move |asked| (asked.origin() != own).then(|| nowhere.clone())))
}

/// What a failure means.
fn judged(what: &'static str, err: S3Error) -> Error {
    let (status, text) = if let S3Error::HttpFailWithBody(status, text) = &err {
        (*status, text.as_str())
    } else {
        (0, "")
    };
    match status {
        401 | 403 => Error::Refused(err.into()),
        404 if text.contains("NoSuchBucket") => Error::NoBucket(err.into()),
        404 => Error::NotFound,
        507 => Error::Full(err.into()),
        _ => Error::Failed { what, source: err.into() },
    }
}

/// Whether the same request may do better a moment later.
fn may_help(err: &S3Error) -> bool {
    if let S3Error::HttpFailWithBody(status, _) = err {
        return matches!(status, 408 | 429 | 500 | 502..=504);
    }
    if let S3Error::Reqwest(err) = err {
        // A line on which one part takes that long is no faster the next time.
        return !err.is_timeout() || err.is_connect();
    }
    matches!(err, S3Error::Io(_))
}

/// The tries of one request.
struct Tries {
    what: &'static str,
    left: u32,
    pause: Duration,
}

impl Tries {
    const fn new(what: &'static str) -> Self {
        Self { what, left: TRIES, pause: PAUSE }
    }

    /// What a try came to; none, after a pause, where another may do better.
    async fn judge<T>(&mut self, done: Result<T, S3Error>) -> Option<Result<T, Error>> {
        self.left = self.left.saturating_sub(1);
        match done {
            Err(err) if self.left > 0 && may_help(&err) => {
                tracing::debug!(what = self.what, error = %types::Chain(&err), "asked again");
                #[expect(clippy::disallowed_methods, reason = "a pause is time that must pass")]
                tokio::time::sleep(self.pause).await;
                self.pause = self.pause.saturating_mul(2);
                None
            }
            done => Some(done.map_err(|err| judged(self.what, err))),
        }
    }
}

/// Asks until it succeeds or it is clear that it will not.
macro_rules! again {
    ($what:literal, $ask:expr) => {{
        let mut tries = Tries::new($what);
        loop {
            if let Some(done) = tries.judge($ask.await).await {
                break done;
            }
        }
    }};
}
use again;

#[async_trait]
impl Store for S3 {
    async fn begin(&self, key: &Key) -> Result<Box<dyn Upload>, Error> {
        Ok(Box::new(Multipart::new(self, self.path(key.as_str()))))
    }

    async fn read(&self, key: &Key, from: u64) -> Result<Bytes, Error> {
        let path = self.path(key.as_str());
        let max = u64::try_from(self.piece).unwrap_or(u64::MAX);
        let to = from.saturating_add(max).saturating_sub(1);
        let read = again!("read an object", self.bucket.get_object_range(&path, from, Some(to)));
        match read {
            Ok(piece) if piece.as_slice().len() <= self.piece => Ok(piece.into_bytes()),
            // A service that does not know ranges sends everything each time.
            Ok(_) => Err(Error::TooLarge { max }),
            // The range begins where the object ends.
            Err(Error::Failed { source, .. }) if is_past_the_end(&source) => Ok(Bytes::new()),
            Err(err) => Err(err),
        }
    }

    async fn remove(&self, key: &Key) -> Result<(), Error> {
        let path = self.path(key.as_str());
        match again!("remove an object", self.bucket.delete_object(&path)) {
            Ok(_) | Err(Error::NotFound) => Ok(()),
            Err(err) => Err(err),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let (bucket, path) = (&self.bucket, self.path(prefix));
            let page = again!(
                "list objects",
                bucket.list_page(path.clone(), None, next.clone(), None, Some(PAGE))
            );
            let (page, _) = page?;
            for object in page.contents {
                if let Some(key) = object.key.strip_prefix(&self.settings.prefix) {
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
    }

    async fn sweep(&self, prefix: &str, before: UnixMillis) -> Result<(), Error> {
        let path = self.path(prefix);
        let bucket = &self.bucket;
        let page = again!(
            "list uploads",
            bucket.list_multiparts_uploads_page(Some(&path), None, None, None, Some(PAGE))
        );
        let (page, _) = page?;
        for upload in page.uploads {
            let begun = upload.initiated.as_str();
            if upload.key.starts_with(&path) && time(begun) < before {
                again!("abort an upload", bucket.abort_upload(&upload.key, &upload.id))?;
            }
        }
        Ok(())
    }

    fn name(&self) -> String {
        let Settings { endpoint, bucket, prefix, .. } = &self.settings;
        format!("{endpoint}/{bucket}/{prefix}")
    }
}

fn is_past_the_end(cause: &Cause) -> bool {
    let err = cause.downcast_ref::<S3Error>();
    err.is_some_and(|err| matches!(err, S3Error::HttpFailWithBody(416, _)))
}

fn time(text: &str) -> UnixMillis {
    let time = text.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond);
    UnixMillis::try_from(time).unwrap_or(0)
}

#[cfg(test)]
mod tests;
