//! Texts as vectors: `OpenAI`'s `POST /embeddings`, and the demo model's stand-in for it.

use bytes::Bytes;
use http::StatusCode;
use ledger::Hold;
use proto::host::{EmbedRequest, Usage, Vector};
use serde::{Deserialize, Serialize};

use super::{Figure, Invalid, Remote};
use crate::estimate;
use crate::failure::{Failure, Garbled};

/// Bytes of an answer: 256 vectors of 3072 numbers of a dozen digits fit.
const MAX_ANSWER: usize = 16 << 20;

/// Numbers of one vector; the largest known models give half of it.
pub(crate) const MAX_DIMENSIONS: u32 = 8192;

/// Numbers of all vectors of one answer: 256 vectors of 4096 numbers.
pub(crate) const MAX_NUMBERS: usize = 1 << 20;

/// Numbers of a vector of the demo model where nobody asks for another length.
const DEMO_DIMENSIONS: u32 = 64;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Entry>,
    usage: Option<Figures>,
}

#[derive(Deserialize)]
struct Entry {
    index: Option<usize>,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Figures {
    #[serde(default)]
    prompt_tokens: Figure,
}

impl Remote {
    /// `request` as the body of `POST /embeddings`.
    pub(crate) fn embeddings_body(
        &self,
        request: &EmbedRequest,
        model: &str,
    ) -> Result<Bytes, Invalid> {
        if self.embeddings.is_none() {
            return Err(Invalid::NoEmbeddings);
        }
        let EmbedRequest { input, dimensions, .. } = request;
        let body = Body { model, input, encoding_format: "float", dimensions: *dimensions };
        match serde_json::to_vec(&body) {
            Ok(bytes) => Ok(bytes.into()),
            Err(err) => Err(Invalid::Form("input", err)),
        }
    }

    /// Sends a body and reads the vectors for `count` texts.
    pub(crate) async fn embed(
        &self,
        covered: &Hold,
        body: Bytes,
        count: usize,
        again: &mut bool,
    ) -> Result<(Vec<Vector>, Option<Usage>), Failure> {
        let client = self.embeddings.as_ref().ok_or(Failure::Unknown)?;
        let answer = client.send(covered, body, again).await?;
        if answer.head.status != StatusCode::OK {
            return Err(self.failure(answer).await);
        }
        let body = client.read_whole(answer, MAX_ANSWER).await.map_err(Failure::Cut)?;
        let body = body.ok_or(Failure::Garbled(Garbled::Vectors))?;
        let list: List = serde_json::from_slice(&body)?;
        let usage = list.usage.map(|figures| {
            let input_tokens = figures.prompt_tokens.tokens();
            Usage { input_tokens, ..Usage::default() }
        });
        vectors(list.data, count).map(|vectors| (vectors, usage))
    }
}

/// The vectors in the order of the texts.
fn vectors(mut entries: Vec<Entry>, count: usize) -> Result<Vec<Vector>, Failure> {
    let most = usize::try_from(MAX_DIMENSIONS).unwrap_or(usize::MAX);
    if entries.iter().all(|entry| entry.index.is_some()) {
        entries.sort_by_key(|entry| entry.index);
    }
    let length = entries.first().map_or(0, |entry| entry.embedding.len());
    let usable = |entry: &Entry| {
        entry.embedding.len() == length && entry.embedding.iter().all(|number| number.is_finite())
    };
    let fits = entries.len() == count
        && (1..=most).contains(&length)
        && count.saturating_mul(length) <= MAX_NUMBERS;
    if !fits || !entries.iter().all(usable) {
        return Err(Failure::Garbled(Garbled::Vectors));
    }
    Ok(entries.into_iter().map(|entry| Vector { values: entry.embedding }).collect())
}

/// What the demo model gives: each word counts at a place that its bytes choose, so that texts
/// which share words are near each other. Deterministic, and no more than that.
pub(crate) fn demo_vectors(request: &EmbedRequest) -> (Vec<Vector>, Usage) {
    let length = request.dimensions.unwrap_or(DEMO_DIMENSIONS).clamp(1, MAX_DIMENSIONS);
    let vectors = request.input.iter().map(|text| demo_vector(text, length)).collect();
    let usage = Usage { input_tokens: tokens(request), ..Usage::default() };
    (vectors, usage)
}

fn demo_vector(text: &str, length: u32) -> Vector {
    let mut values = vec![0.0_f32; usize::try_from(length).unwrap_or(1)];
    // A text without words is somewhere too.
    for word in text.split_whitespace().chain(std::iter::once("")) {
        let hash = fnv(&word.to_lowercase());
        let place = usize::try_from(hash % u64::from(length)).unwrap_or(0);
        if let Some(value) = values.get_mut(place) {
            *value += if word.is_empty() { 0.5 } else { 1.0 };
        }
    }
    let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    for value in &mut values {
        *value /= norm;
    }
    Vector { values }
}

/// FNV-1a: the same in every process and version.
fn fnv(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Tokens of all texts where nobody who knows has said so.
pub(crate) fn tokens(request: &EmbedRequest) -> u64 {
    request.input.iter().map(|text| estimate::text(estimate::length(text.as_bytes()))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo(texts: &[&str], dimensions: Option<u32>) -> Vec<Vec<f32>> {
        let input = texts.iter().map(|text| (*text).to_owned()).collect();
        let request = EmbedRequest { input, dimensions, ..EmbedRequest::default() };
        demo_vectors(&request).0.into_iter().map(|vector| vector.values).collect()
    }

    #[test]
    fn the_demo_model_is_deterministic_and_knows_shared_words() {
        let texts = ["the cat sat", "The cat slept", "quarterly tax report", ""];
        let (one, two) = (demo(&texts, None), demo(&texts, None));
        assert_eq!(one, two);
        assert_eq!(one[0].len(), 64);
        for vector in &one {
            let norm: f32 = vector.iter().map(|it| it * it).sum();
            assert!((norm - 1.0).abs() < 1e-5);
        }
        let near =
            |a: usize, b: usize| -> f32 { one[a].iter().zip(&one[b]).map(|(x, y)| x * y).sum() };
        assert!(near(0, 1) > near(0, 2), "{} {}", near(0, 1), near(0, 2));
        assert_eq!(demo(&["x"], Some(3))[0].len(), 3);
    }

    #[test]
    fn what_is_no_list_of_vectors_is_refused() {
        let check = |entries: &[(usize, &[f32])], want: Option<&[&[f32]]>| {
            let entry = |(index, numbers): &(usize, &[f32])| Entry {
                index: Some(*index),
                embedding: numbers.to_vec(),
            };
            let found = vectors(entries.iter().map(entry).collect(), 2).ok();
            let found = found.map(|it| it.into_iter().map(|it| it.values).collect::<Vec<_>>());
            assert_eq!(found, want.map(|it| it.iter().map(|it| it.to_vec()).collect()));
        };
        check(&[(1, &[2.0]), (0, &[1.0])], Some(&[&[1.0], &[2.0]]));
        check(&[(0, &[1.0])], None);
        check(&[(0, &[1.0]), (1, &[1.0, 2.0])], None);
        check(&[(0, &[]), (1, &[])], None);
        check(&[(0, &[f32::INFINITY]), (1, &[1.0])], None);
        let long = vec![1.0; 8193];
        check(&[(0, &long), (1, &long)], None);
    }
}
