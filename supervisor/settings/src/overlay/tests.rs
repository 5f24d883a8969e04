//! Texts that are read, texts that are not, and changes that leave the rest alone.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn check(text: &str, wanted: Result<Value, &str>) {
    match (parse(text), wanted) {
        (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{text}"),
        (Err(err), Err(wanted)) if err.to_string().contains(wanted) => {}
        (found, wanted) => panic!("{found:?}, expected {wanted:?}"),
    }
}

#[test]
fn what_is_a_text() {
    check("{}", Ok(json!({})));
    check("// mine\n{ui: {seamColor: '#fff',},}", Ok(json!({"ui": {"seamColor": "#fff"}})));
    check("[]", Err("must be an object"));
    check("7", Err("must be an object"));
    check("", Err("cannot be read"));
    check("{a: }", Err("cannot be read"));
    check("{}{}", Err("cannot be read"));
    check("{a: 1, b: {}, 'a': 2}", Err("the key \"a\" is there twice"));
    check("{a: {k: 1, \"k\": 1}}", Err("the key \"k\" is there twice"));
    check(&format!("{{a:'{}'}}", "x".repeat(MAX_BYTES)), Err("bytes"));
}

#[test]
fn no_text_nests_deeper_than_the_stack_has_room_for() {
    let deep = |brackets: usize, one: &str| {
        let text = format!("{{a:{}", one.repeat(brackets));
        let shown = text.chars().take(20).collect::<String>();
        let text = text.chars().take(MAX_BYTES).collect::<String>();
        let err = parse(&text).unwrap_err().to_string();
        assert!(err.contains("brackets"), "{shown}: {err}");
    };
    // A stack much smaller than that of any thread of the gateway.
    let small = std::thread::Builder::new().stack_size(128 << 10).spawn(move || {
        for one in ["[", "{a:", "[/*]*/", "[//]\n", "{a/*}*/:", "{'}':", "{\"]\":", "[/*]*//*}*/"] {
            deep(80_000, one);
            deep(MAX_DEPTH, one);
        }
        let fits = format!("{{a:{}{}}}", "[".repeat(MAX_DEPTH - 1), "]".repeat(MAX_DEPTH - 1));
        parse(&fits).unwrap();
        parse(
            "{a: '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[' /* [[[[[[[[[[[[[[[[[[[[[[ */}",
        )
        .unwrap();
    });
    small.unwrap().join().unwrap();
}

fn changed(text: &str, new: &Value, wanted: &str) {
    let old = parse(text).unwrap();
    let found = rewrite(text, &old, new);
    assert_eq!(found, wanted);
    assert_eq!(parse(&found).unwrap(), *new);
}

#[test]
fn comments_stay() {
    let text = "// head\n{\n  // why\n  cron: {enabled: true}, // tail\n  'ui': {seamColor: \"red\"}\n}\n// end\n";
    changed(
        text,
        &json!({"cron": {"enabled": false}, "ui": {"seamColor": "red"}}),
        &text.replace("true", "false"),
    );
    changed(
        text,
        &json!({"cron": {"enabled": true}}),
        "// head\n{\n  // why\n  cron: {enabled: true}, // tail\n  \n}\n// end\n",
    );
    changed(
        text,
        &json!({"cron": {"enabled": true}, "ui": {"seamColor": "red"}, "tools": {"deny": []}}),
        "// head\n{\n  // why\n  cron: {enabled: true}, // tail\n  'ui': {seamColor: \"red\"},\n  \"tools\": {\n    \"deny\": []\n  },\n}\n// end\n",
    );
}

#[test]
fn changes_of_all_kinds() {
    changed("{}", &json!({"a": 1}), "{\n  \"a\": 1,\n}");
    changed("{a: 1, b: 2}", &json!({"b": 2}), "{ b: 2}");
    changed("{a: 1, b: 2}", &json!({"a": 1}), "{a: 1, }");
    changed("{a: 1 /* , */}", &json!({}), "{ /* , */}");
    changed("{a: 1 // }\n}", &json!({"a": 2, "b": 3}), "{a: 2,\n  \"b\": 3, // }\n}");
    changed("{a: {b: 1}}", &json!({"a": "}"}), "{a: \"}\"}");
    changed(
        "{a: [1, {b: ']'}], c: +.5e1}",
        &json!({"a": [1, {"b": "]"}], "c": 6}),
        "{a: [1, {b: ']'}], c: 6}",
    );
    changed("{'a\\'b': 1}", &json!({"a'b": 2}), "{'a\\'b': 2}");
    changed(
        "{a: {}}",
        &json!({"a": {"b": {"c": 1}}}),
        "{a: {\n    \"b\": {\n      \"c\": 1\n    },\n  }}",
    );
    changed("{a: 1, b: 2}", &json!({"a": 1, "c": 3}), "{a: 1, \n  \"c\": 3,\n}");
    changed("{a: 1}", &json!({"c": 3}), "{\n  \"c\": 3,\n}");
    // Names that are written in another way are not found, and the text is written anew.
    changed("{\\u0061: 1 /* lost */}", &json!({"b": 2}), "{\n  \"b\": 2\n}\n");
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in "[\\[\\]{}:,'\"/*\\\\a1 \n]{0,64}") {
        if let Ok(old) = parse(&text) {
            let new = json!({"a": {"1": [null]}, "z": 1});
            prop_assert_eq!(parse(&rewrite(&text, &old, &new)).unwrap(), new);
            let none = json!({});
            prop_assert_eq!(parse(&rewrite(&text, &old, &none)).unwrap(), none);
        }
        // Text that is none of ours must do no harm either.
        if let Some(edited) = edit::apply(&text, json!({"a": 1}).as_object().unwrap()) {
            prop_assert!(edited.len() > 1);
        }
    }
}
