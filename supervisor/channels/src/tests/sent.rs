//! The suite of files that are sent: the steps of every network that takes some, whatever a file is called and
//! whatever the steps before were answered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use networks::{File, Twice};
use samples::{Stepped, UploadCase};

use super::*;

/// Steps of one file at most, as whoever takes them has it.
const MAX_STEPS: usize = 6;

/// What stands for the bytes of a file.
const BYTES: &[u8] = b"\0what is in it\xff";

/// Names that could be taken for something else where they are written.
const NAMES: [&str; 9] = [
    "report.txt",
    "a b&c=d?e#f.png",
    "\"; filename=\"x.exe",
    "a\r\nx-header: y\r\n\r\n--b.png",
    "../../etc/passwd",
    "a\\b\\\"c.jpg",
    "größe 😀.pdf",
    "x\u{202e}gnp.exe",
    "%2e%2e%2f</script>'.gif",
];

/// What is answered by others than the network.
const STRANGE: [&str; 7] =
    ["", "{", "null", "[]", "<html>a portal</html>", "{\"ok\":1}", "{\"id\":7}"];

fn each_upload(mut check: impl FnMut(&'static dyn Adapter, &UploadCase)) {
    each(|adapter, samples, _| {
        let takes = adapter.network().is.media.outward > 0;
        assert_eq!(takes, !samples.uploads.is_empty(), "{}", adapter.network().is.name);
        for case in &samples.uploads {
            check(adapter, case);
        }
    });
}

/// The steps of a file, each answered as the sample says; where one is tried it is refused, or it is the last.
fn steps(
    adapter: &dyn Adapter,
    case: &UploadCase,
    (file, key): (&File, &str),
    is_refused: bool,
) -> Vec<Step> {
    let part = Part { file: Some(file.clone()), ..Part::default() };
    let letter = Letter { key, ..letter(&case.place, &part, None, case.first) };
    let (mut steps, mut before) = (Vec::new(), Vec::new());
    for at in 0..=MAX_STEPS {
        let step = adapter.upload(letter, Enclosed { is: file, bytes: BYTES }, &before);
        let is_over = match &step {
            Step::Before(..) => false,
            Step::Try(..) => !is_refused,
            Step::Last(..) | Step::Page(_) | Step::Over(_) => true,
        };
        steps.push(step);
        if is_over {
            return steps;
        }
        let answer = case.steps.get(at).map(samples::StepOf::answer);
        before.push(answer.unwrap_or_default());
    }
    panic!("{}: {} has no end", adapter.network().is.name, case.name);
}

/// The call of a step, and what it carries.
fn call(step: &Step) -> Option<(&Call, &Carries)> {
    match step {
        Step::Before(call, carries) | Step::Try(call, carries) | Step::Last(call, carries) => {
            Some((call, carries))
        }
        Step::Page(_) | Step::Over(_) => None,
    }
}

fn sends(step: &Step) -> bool {
    matches!(step, Step::Try(..) | Step::Last(..) | Step::Page(_))
}

/// Everything that goes out with a step.
fn written(step: &Step, file: &File) -> Vec<u8> {
    match (step, call(step)) {
        (Step::Page(frame), _) => frame.clone(),
        (_, Some((call, Carries::Own))) => call.body.clone(),
        (_, Some((_, Carries::File))) => BYTES.to_vec(),
        (_, Some((_, Carries::Form(fields, field)))) => {
            let enclosed = Enclosed { is: file, bytes: BYTES };
            form::multipart(fields, (field, enclosed)).unwrap().1.to_vec()
        }
        (_, None) => Vec::new(),
    }
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|it| it == part)
}

#[test]
fn a_file_becomes_calls() {
    each_upload(|adapter, case| {
        let what = format!("{}: {}", adapter.network().is.name, case.name);
        let size = usize::try_from(case.file.size).unwrap();
        let part = Part { file: Some(case.file.clone()), ..Part::default() };
        let letter = letter(&case.place, &part, None, case.first);
        let bytes = vec![b'x'; size];
        let mut before = Vec::new();
        for step in &case.steps {
            let file = Enclosed { is: &case.file, bytes: &bytes };
            let found = Stepped::from(&adapter.upload(letter, file, &before));
            assert_eq!(found, step.step, "{what}");
            before.push(step.answer());
        }
    });
}

#[test]
fn the_steps_end_and_the_bytes_are_in_one_call() {
    each_upload(|adapter, case| {
        for is_refused in [false, true] {
            let what = format!("{}: {}, {is_refused}", adapter.network().is.name, case.name);
            let steps = steps(adapter, case, (&case.file, KEY), is_refused);
            assert!(steps.len() <= MAX_STEPS, "{what}: {steps:?}");
            let base64 = STANDARD.encode(BYTES);
            let is_in = |it: &&Step| {
                let text = written(it, &case.file);
                has(&text, BYTES) || has(&text, base64.as_bytes())
            };
            // One that was tried and is not there is none.
            let is_there = |it: &&Step| !is_refused || !matches!(it, Step::Try(..));
            assert_eq!(steps.iter().filter(is_there).filter(is_in).count(), 1, "{what}");
            assert!(sends(steps.last().unwrap()), "{what}: {steps:?}");
            let sending = steps.iter().filter(|it| sends(it)).filter(is_there).count();
            assert_eq!(sending, 1, "{what}: it is there once");
        }
    });
}

#[test]
fn a_file_has_its_key_wherever_the_network_knows_it() {
    each_upload(|adapter, case| {
        let is = adapter.network().is;
        let send = |key| {
            let steps = steps(adapter, case, (&case.file, key), true);
            let sending: Vec<_> = steps.into_iter().filter(sends).collect();
            format!("{sending:?}")
        };
        assert_eq!(send(KEY), send(KEY), "{}: the same at each attempt", is.name);
        let tells = matches!(is.twice, Twice::Known | Twice::KnownFor(_));
        assert_eq!(tells, send(KEY) != send("another-key"), "{}", is.name);
    });
}

#[test]
fn what_is_not_the_networks_answer_is_never_taken_for_a_file_that_is_there() {
    each_upload(|adapter, case| {
        let what = format!("{}: {}", adapter.network().is.name, case.name);
        let part = Part { file: Some(case.file.clone()), ..Part::default() };
        let letter = letter(&case.place, &part, None, case.first);
        let file = Enclosed { is: &case.file, bytes: BYTES };
        for at in 0..case.steps.len() {
            for strange in STRANGE {
                let mut before: Vec<_> =
                    case.steps[..at].iter().map(samples::StepOf::answer).collect();
                before.push(strange.as_bytes().to_vec());
                let step = adapter.upload(letter, file, &before);
                let is_taken = matches!(step, Step::Over(Outcome::Sent(_) | Outcome::Unknown(_)));
                assert!(!is_taken, "{what}: {strange} after {at}: {step:?}");
                if let Some((call, _)) = call(&step) {
                    assert!(is_address(&call.path), "{what}: {strange}: {call:?}");
                }
            }
        }
        // And there are no more steps than there are.
        let long = vec![b"{}".to_vec(); MAX_STEPS];
        let step = adapter.upload(letter, file, &long);
        assert!(
            !matches!(step, Step::Over(Outcome::Sent(_)) | Step::Before(..)),
            "{what}: {step:?}"
        );
    });
}

/// Whether nothing in it can be taken for anything else than a path, or an address.
fn is_address(path: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-._~%/?&=:".contains(&it);
    path.bytes().all(plain)
}

/// Every text in a value.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(all) => all.iter().flat_map(texts).collect(),
        Value::Object(all) => all.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

#[test]
fn a_name_is_a_name_wherever_it_is_written() {
    each_upload(|adapter, case| {
        for name in NAMES {
            let what = format!("{}: {name:?}", adapter.network().is.name);
            let file = File { name: name.to_owned(), ..case.file.clone() };
            let mut is_told = false;
            for step in steps(adapter, case, (&file, KEY), true) {
                let Some((call, carries)) = call(&step) else {
                    let page: Value = serde_json::from_slice(&written(&step, &file)).unwrap();
                    is_told |= texts(&page).iter().any(|it| it == name);
                    continue;
                };
                assert!(is_address(&call.path), "{what}: {}", call.path);
                is_told |= call.path.contains(&answer::piece(name));
                if !call.body.is_empty() {
                    let body: Value = serde_json::from_slice(&call.body).unwrap();
                    is_told |= texts(&body).iter().any(|it| it == name);
                }
                if let Carries::Form(fields, _) = carries {
                    is_told = true;
                    is_one_part(&written(&step, &file), (fields.len() + 1, name), &what);
                }
            }
            assert!(is_told, "{what}: people hear what it is called");
        }
    });
}

/// Whether a form has so many parts, and the name stands in the head of the last, and nothing else does.
fn is_one_part(form: &[u8], (parts, name): (usize, &str), what: &str) {
    let text = String::from_utf8_lossy(form);
    let boundary = text.lines().next().unwrap();
    assert_eq!(text.matches(boundary).count(), parts + 1, "{what}: {text}");
    let last = text.split(boundary).nth(parts).unwrap();
    let (head, _) = last.trim_start().split_once("\r\n\r\n").unwrap();
    assert_eq!(head.lines().count(), 2, "{what}: {head}");
    let quotes = head.matches('"').count();
    assert_eq!(quotes, 4, "{what}: one field, one name: {head}");
    let plain = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    assert!(head.contains(&format!("filename=\"{plain}\"")), "{what}: {head}");
}
