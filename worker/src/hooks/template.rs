//! Templates of mappings: `{{path.to[0].value}}` stands for a value of the body. Pure.

use serde_json::Value;

/// Steps of one path.
const MAX_STEPS: usize = 16;

/// Fills `template` with values of `body`, up to `max` bytes. What is not there is nothing.
pub(super) fn fill(template: &str, hook: &str, body: &Value, max: usize) -> String {
    let (mut filled, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        push(&mut filled, before, max);
        let Some((path, after)) = after.split_once("}}") else {
            push(&mut filled, "{{", max);
            rest = after;
            break;
        };
        match path.trim() {
            "path" => push(&mut filled, hook, max),
            path => push(&mut filled, &shown(look_up(body, path)), max),
        }
        rest = after;
    }
    push(&mut filled, rest, max);
    filled
}

fn push(filled: &mut String, text: &str, max: usize) {
    let mut room = max.saturating_sub(filled.len()).min(text.len());
    while !text.is_char_boundary(room) {
        room -= 1;
    }
    filled.push_str(text.get(..room).unwrap_or_default());
}

fn look_up<'a>(body: &'a Value, path: &str) -> Option<&'a Value> {
    let path = path.strip_prefix("payload.").unwrap_or(path);
    if path == "payload" {
        return Some(body);
    }
    let mut at = body;
    for step in path.split(['.', '[']).take(MAX_STEPS) {
        at = match step.strip_suffix(']') {
            Some(index) => at.get(index.parse::<usize>().ok()?)?,
            None => at.get(step)?,
        };
    }
    Some(at)
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_the_body() {
        let body = json!({"a": {"b": ["x", {"c": 7}]}, "n": null, "t": "text"});
        let check = |template: &str, want: &str| {
            assert_eq!(fill(template, "mail", &body, 100), want, "{template}");
        };
        check("{{t}} and {{ payload.t }}", "text and text");
        check("{{a.b[0]}}{{a.b[1].c}}", "x7");
        check("{{a.b}}", r#"["x",{"c":7}]"#);
        check("[{{n}}{{none}}{{a.b[9]}}{{t.u}}]", "[]");
        check("{{path}} {{open", "mail {{open");
        assert_eq!(fill("{{t}}é", "", &body, 5), "text");
    }

    proptest! {
        #[test]
        fn any_template_is_filled_within_its_bound(template in ".{0,60}", max in 0_usize..50) {
            let body = json!({"a": ["é"]});
            prop_assert!(fill(&template, "x", &body, max).len() <= max);
        }
    }
}
