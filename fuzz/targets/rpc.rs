//! The body of `POST /rpc`. A batch is bounded, what is read stands in the body, and an id comes
//! back as it was sent.
#![no_main]

use api::ApiError;
use api::rpc::{Asked, At, MAX_BATCH, MAX_ID, Reply, parse, read};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

fuzz_target!(|body: &[u8]| {
    let requests = match read(body) {
        Ok(Asked::One(request)) => vec![request],
        Ok(Asked::Batch(batch)) => batch,
        Err((at, _why)) => {
            let is_json = serde_json::from_slice::<&RawValue>(body).is_ok();
            // What follows on one request too many is not read, and may be anything.
            return assert!(at == At::Reading || (at == At::Parsing && !is_json));
        }
    };
    assert!((1..=MAX_BATCH).contains(&requests.len()));
    for request in requests {
        let Ok(request) = parse(request) else { continue };
        for part in [request.id, request.params].into_iter().flatten().map(RawValue::get) {
            assert!(body.as_ptr_range().contains(&part.as_ptr()));
        }
        let Some(id) = request.id else { continue };
        assert!(id.get().len() <= MAX_ID);
        assert!(id.get().starts_with(|it: char| it == '"' || it == '-' || it.is_ascii_digit()));
        let err = ApiError::invalid(request.method);
        for reply in [Reply::ok(request.id, id), Reply::err(request.id, At::Calling, &err)] {
            let reply = serde_json::to_string(&reply).expect("a reply is JSON");
            serde_json::from_str::<&RawValue>(&reply).expect("a reply is JSON");
            assert!(reply.contains(&format!("\"id\":{},", id.get())));
        }
    }
});
