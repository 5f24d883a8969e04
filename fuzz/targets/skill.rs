//! A `SKILL.md`. The text below its frontmatter has no say in what the skill is, nor have the line
//! ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openclawmu_worker::{InvalidFront, InvalidSkill, SkillFile};

fuzz_target!(|text: &str| {
    let Ok(skill) = SkillFile::parse(text.as_bytes()) else { return };
    let longer = format!("{text}\n---\nname: another\n---\n");
    match SkillFile::parse(longer.as_bytes()) {
        Ok(again) => assert_eq!(again, skill),
        Err(err) => assert_eq!(err, InvalidSkill::TooLong),
    }
    if text.contains('\r') {
        return;
    }
    match SkillFile::parse(text.replace('\n', "\r\n").as_bytes()) {
        Ok(again) => assert_eq!(again, skill),
        Err(InvalidSkill::TooLong | InvalidSkill::Front(InvalidFront::NoEnd)) => {}
        Err(err) => panic!("{err}"),
    }
});
