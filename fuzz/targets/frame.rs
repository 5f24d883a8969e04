//! A frame of a known client. What is read is within its bounds and stands in the frame; what is
//! not is answered with an id that fits.
#![no_main]

use gateway::frame::{MAX_ID, MAX_METHOD, parse};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

fuzz_target!(|frame: &str| {
    match parse(frame) {
        Ok(request) => {
            assert!((1..=MAX_ID).contains(&request.id.len()));
            assert!((1..=MAX_METHOD).contains(&request.method.len()));
            if let Some(params) = request.params.map(RawValue::get) {
                assert!(frame.as_bytes().as_ptr_range().contains(&params.as_ptr()));
                serde_json::from_str::<&RawValue>(params).expect("parameters are JSON");
            }
        }
        Err(err) => {
            assert!((1..=MAX_ID).contains(&err.id.len()) && !err.why.is_empty());
            assert_eq!(err.no_json, serde_json::from_str::<&RawValue>(frame).is_err());
        }
    }
});
