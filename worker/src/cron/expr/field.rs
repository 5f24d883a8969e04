//! One field of a cron expression: lists of values, ranges and steps, as a set of bits.

/// What a field may hold.
pub(super) struct Bounds {
    pub(super) name: &'static str,
    pub(super) min: u32,
    pub(super) max: u32,
    /// Words for values, the first for the least of them.
    pub(super) words: &'static [&'static str],
}

/// Whether a field restricts nothing.
pub(super) fn is_any(text: &str) -> bool {
    matches!(text, "*" | "?")
}

/// The values of a field.
pub(super) fn parse(text: &str, bounds: &Bounds) -> Result<u64, String> {
    text.split(',').try_fold(0, |bits, item| Ok(bits | item_bits(item, bounds)?))
}

fn item_bits(item: &str, bounds: &Bounds) -> Result<u64, String> {
    let wrong = || format!("\"{item}\" is no {}", bounds.name);
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (item, None),
    };
    let (from, to) = match range.split_once('-') {
        _ if is_any(range) => (bounds.min, bounds.max),
        Some((from, to)) => (value(from, bounds)?, value(to, bounds)?),
        None => {
            let from = value(range, bounds)?;
            // `5/10` goes on to the end, as a step needs a range.
            (from, if step.is_some() { bounds.max } else { from })
        }
    };
    let step = match step {
        None => 1,
        Some(step) => step.parse::<usize>().ok().filter(|step| *step > 0).ok_or_else(wrong)?,
    };
    if from > to {
        return Err(format!("\"{item}\" ends before it begins"));
    }
    Ok((from..=to).step_by(step).fold(0, |bits, value| bits | 1 << value))
}

fn value(text: &str, bounds: &Bounds) -> Result<u32, String> {
    let word = bounds.words.iter().position(|word| *word == text);
    let word = word.and_then(|at| u32::try_from(at).ok()).map(|at| at + bounds.min);
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let value = word.or_else(|| text.parse().ok().filter(|_| digits));
    value.filter(|value| (bounds.min..=bounds.max).contains(value)).ok_or_else(|| {
        format!("\"{text}\" is no {} from {} to {}", bounds.name, bounds.min, bounds.max)
    })
}
