//! Fetching from hosts that mean no good.

mod bounds;
mod leaving;

use futures_util::StreamExt as _;
use tonic::Code;

use super::*;
use crate::testing::House;

/// A whole reply.
#[derive(Debug)]
struct Fetched {
    head: FetchHead,
    body: Vec<u8>,
    truncated: bool,
}

async fn fetch_with(
    house: &House,
    url: &str,
    change: impl FnOnce(&mut FetchRequest),
) -> Result<Fetched, Status> {
    let mut request =
        FetchRequest { url: url.to_owned(), max_redirects: 5, ..FetchRequest::default() };
    change(&mut request);
    let fetcher = Fetcher(Arc::clone(&house.outlet));
    let mut parts = fetcher.fetch(tonic::Request::new(request)).await?.into_inner();
    let head = parts.next().await.unwrap()?.head.unwrap();
    let mut whole = Fetched { head, body: Vec::new(), truncated: false };
    while let Some(part) = parts.next().await {
        let part = part?;
        assert!(part.head.is_none() && !whole.truncated);
        whole.body.extend_from_slice(&part.data);
        whole.truncated = part.truncated;
    }
    Ok(whole)
}

async fn fetch(house: &House, url: &str) -> Result<Fetched, Status> {
    fetch_with(house, url, |_| ()).await
}

/// That `url` is refused with this code and a sentence that has this part.
async fn refused(house: &House, url: &str, code: Code, part: &str) {
    let status = fetch(house, url).await.unwrap_err();
    assert_eq!(status.code(), code, "{url}: {status:?}");
    assert!(status.message().contains(part), "{url}: {status:?}");
    let note = house.notes.all().pop().unwrap_or_default();
    assert!(note.starts_with("egress ") && note.contains(part), "{url}: {note}");
}
