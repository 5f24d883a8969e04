//! Files that are skills, and how each of the others is refused.

use proptest::prelude::*;

use super::*;

fn read(front: &str) -> Result<SkillFile, InvalidSkill> {
    SkillFile::parse(format!("---\n{front}\n---\n# Text\n").as_bytes())
}

#[test]
fn a_skill_in_full() {
    let skill = read(
        "# a remark\n\
         name: weather\n\
         description: 'What''s outside'\n\
         homepage: https://example.org # for people\n\
         user-invocable: false\n\
         disable-model-invocation: True\n\
         license: MIT\n\
         allowed-tools:\n- Read\n\
         metadata: {openclaw: {emoji: '🌦', always: true, os: ['linux', 'darwin'], // where\n\
         \x20   requires: {bins: ['curl',], anyBins: 'wget', env: [\"KEY\"], config: ['a.b']},\n\
         \x20   primaryEnv: 'KEY', skillKey: 'wx',\n\
         \x20   install: [{kind: 'brew', formula: 'curl', bins: ['curl']}],\n\
         }}",
    )
    .unwrap();
    assert_eq!((skill.name.as_str(), skill.key()), ("weather", "wx"));
    assert_eq!(skill.description, "What's outside");
    assert_eq!(skill.homepage.as_deref(), Some("https://example.org"));
    assert!(!skill.user_invocable && skill.hidden_from_model && skill.meta.always);
    assert_eq!(skill.meta.requires.any_bins, ["wget"]);
    assert_eq!(skill.meta.requires.config, ["a.b"]);
    assert_eq!(skill.meta.install[0].kind, "brew");
    assert_eq!(skill.meta.os, ["linux", "darwin"]);
}

#[test]
fn forms_of_text() {
    let check = |value: &str, want: &str| {
        let skill = read(&format!("name: x\ndescription: {value}")).unwrap();
        assert_eq!(skill.description, want, "{value}");
    };
    check("plain: with a colon", "plain: with a colon");
    check("\"a \\\"b\\\"\\n c\"", "a \"b\"\n c");
    check("one\n  two\n\n  three", "one two three");
    check(">-\n  one\n  two\n\n  three", "one two\nthree");
    check("|\n  one\n    two\n", "one\n  two");
    check(&"ü".repeat(2000), &"ü".repeat(512));
}

#[test]
fn metadata_in_other_forms() {
    let check = |value: &str, want: &str| {
        let skill = read(&format!("name: x\ndescription: d\nmetadata: {value}")).unwrap();
        assert_eq!(skill.key(), want, "{value}");
    };
    check("{\"clawdbot\": {\"skillKey\": \"y\"}}", "y");
    check("\n  {\n    \"openclaw\": { \"skillKey\": \"y\" },\n  }", "y");
    check("{\n\"openclaw\": {\"skillKey\": \"y\"}\n}", "y");
    check("'{\"openclaw\": {\"skillKey\": \"y\"}}'", "y");
    // Metadata of another program's kind is none of ours.
    check("\n  author: someone\n  version: \"1.0\"", "x");
    check("{\"other\": {\"skillKey\": \"y\"}}", "x");
}

#[test]
fn what_is_wrong_is_said() {
    let check = |front: &str, want: &str| {
        let err = read(front).unwrap_err().to_string();
        assert!(err.contains(want), "{front}: {err}");
    };
    check("description: d", "`name` is missing");
    check("name: x", "`description` is missing");
    check("name:\ndescription: d", "`name` is missing");
    check(&format!("name: {}\ndescription: d", "x".repeat(129)), "`name` must be");
    check("name: x\nwhat is this", "line 3 is not");
    check("- a", "line 2 is not");
    check("name: \"x", "`name` is a string");
    check("name: 'it's'\ndescription: d", "`name` is a string");
    check("name: x\ndescription: d\nmetadata: {openclaw: ", "`metadata` cannot be read");
    check("name: x\ndescription: d\nmetadata: {openclaw: {always: 7}}", "`metadata`");
    check(&format!("name: x\ndescription: d\nmetadata: {}", "{a:[".repeat(200)), "128 opening");
    let many: Vec<_> = (0..65).map(|n| format!("k{n}: v")).collect();
    check(&many.join("\n"), "64 keys");
    check(&format!("name: {}", "x".repeat(17 << 10)), "within 16384 bytes");
    let whole = |bytes: &[u8]| SkillFile::parse(bytes).unwrap_err();
    assert_eq!(whole(&vec![b'x'; (64 << 10) + 1]), InvalidSkill::TooLong);
    assert_eq!(whole(b"---\n\xff"), InvalidSkill::Encoding);
    assert!(whole(b"# Title\n").to_string().contains("must begin"));
    assert!(whole(b"---\nname: x\n").to_string().contains("must end"));
}

#[test]
fn the_deepest_metadata_fits_the_stack_of_a_worker() {
    let nested = format!("name: x\ndescription: d\nmetadata: {{a:{}", "[".repeat(127));
    let reading = std::thread::Builder::new().stack_size(512 << 10).spawn(move || read(&nested));
    reading.unwrap().join().unwrap().unwrap_err();
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(SkillFile::parse(&bytes));
    }

    #[test]
    fn no_frontmatter_makes_it_panic(front in r#"((name|description|metadata|x): ?[>|'"{}\[\]:,a-z\\ #ü-]{0,30}\n| [{}'"a:]{0,9}\n){0,8}"#) {
        drop(read(&front));
        drop(read(&format!("name: x\ndescription: y\n{front}")));
    }
}
