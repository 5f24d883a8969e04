//! Ten thousand tamperings, each of one kind in one place. They are as many tests as let a machine
//! with several cores do them at once.

use super::*;

/// Tamperings of one test; there are eight.
const TAMPERINGS: u32 = 1250;

/// Numbers from a seed that is printed: a failure can be had again.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}

/// Where a fault must be found: at one of these records, or in the head.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    At(u64),
    InHead,
}

struct Tampered {
    files: Vec<(String, Vec<u8>)>,
    head: Vec<u8>,
    found: Found,
    how: String,
}

/// The trail as one list of lines, each with the file that it is in.
fn flat(trail: &Trail) -> Vec<(usize, Vec<u8>)> {
    let numbered = trail.files.iter().enumerate();
    numbered.flat_map(|(file, (_, lines))| lines.iter().map(move |it| (file, it.clone()))).collect()
}

fn files(trail: &Trail, lines: &[(usize, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> =
        trail.files.iter().map(|(name, _)| (name.clone(), Vec::new())).collect();
    for (file, line) in lines {
        files[*file].1.extend_from_slice(line);
        files[*file].1.push(b'\n');
    }
    files
}

fn tamper(trail: &Trail, random: &mut Random) -> Tampered {
    let mut lines = flat(trail);
    let mut head = trail.head.clone();
    let count = lines.len();
    let at = random.below(count);
    let seq = |at: usize| Found::At(u64::try_from(at).unwrap());
    let kind = random.below(9);
    let mut cut = None;
    let found = match kind {
        // A byte, the line's end included.
        0 | 1 => {
            let (_, line) = &mut lines[at];
            let byte = random.below(line.len());
            line[byte] ^= u8::try_from(1 + random.below(255)).unwrap();
            seq(at)
        }
        2 => {
            lines.remove(at);
            seq(at)
        }
        3 => {
            let other = random.below(count);
            if other == at {
                return tamper(trail, random);
            }
            let (one, two) = (lines[at].1.clone(), lines[other].1.clone());
            (lines[at].1, lines[other].1) = (two, one);
            seq(at.min(other))
        }
        4 => {
            let to = at + 1 + random.below(count - at);
            lines.insert(to, (lines[to - 1].0, lines[at].1.clone()));
            seq(to)
        }
        5 => {
            lines.truncate(at);
            seq(at)
        }
        6 => {
            cut = Some(1 + random.below(lines[at].1.len()));
            lines.truncate(at + 1);
            seq(at)
        }
        7 => {
            let byte = random.below(head.len());
            head[byte] ^= u8::try_from(1 + random.below(255)).unwrap();
            Found::InHead
        }
        _ => {
            lines.push((trail.files.len() - 1, forged(trail, random)));
            seq(count)
        }
    };
    let mut files = files(trail, &lines);
    if let Some(cut) = cut {
        let last = files.iter_mut().rfind(|(_, bytes)| !bytes.is_empty()).unwrap();
        last.1.truncate(last.1.len() - cut);
    }
    Tampered { files, head, found, how: format!("kind {kind} at {at}") }
}

/// A line that was never written: noise, or a record in its right place.
fn forged(trail: &Trail, random: &mut Random) -> Vec<u8> {
    if random.below(2) == 0 {
        return b"{\"seq\":1}".to_vec();
    }
    let last = trail.files.last().unwrap().1.last().unwrap();
    let fields = Fields::of_gateway("forged", "tokens.rotate");
    fields.record(RECORDS, START + 3 * DAY - 1, Digest::of(last)).line()
}

macro_rules! found_where_they_are {
    ($($name:ident = $part:literal),+) => { $(#[test] fn $name() { tampered_with($part); })+ };
}

found_where_they_are! {
    tamperings_1 = 1, tamperings_2 = 2, tamperings_3 = 3, tamperings_4 = 4, tamperings_5 = 5,
    tamperings_6 = 6, tamperings_7 = 7, tamperings_8 = 8
}

fn tampered_with(part: u64) {
    let trail = trail(&pair());
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() * 8 + part;
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    for number in 0..TAMPERINGS {
        let Tampered { files, head, found, how } = tamper(&trail, &mut random);
        let report = verify(trail.key, &files, &head, None);
        let first = report.faults.first().unwrap_or_else(|| panic!("{number}: {how} not found"));
        let in_head = first.kind == Kind::Head;
        let at = if in_head { Found::InHead } else { Found::At(first.seq) };
        assert_eq!(at, found, "seed {seed}, {number}: {how}: {report:#?}");
    }
}

#[test]
fn whole_days_that_change_places_are_found() {
    let trail = trail(&pair());
    let begins = |file: usize| trail.files[..file].iter().map(|(_, lines)| lines.len()).sum();
    for (one, two) in [(0, 1), (1, 2), (0, 2)] {
        let mut swapped = trail.clone();
        let lines = swapped.files[one].1.clone();
        swapped.files[one].1 = std::mem::replace(&mut swapped.files[two].1, lines);
        let report = swapped.verify();
        let at: usize = begins(one);
        assert_eq!(report.faults.first().unwrap().seq, u64::try_from(at).unwrap(), "{report:?}");
    }
    for gone in 0..3 {
        let mut without = trail.clone();
        without.files.remove(gone);
        let at: usize = begins(gone);
        let report = without.verify();
        assert_eq!(report.faults.first().unwrap().seq, u64::try_from(at).unwrap(), "{report:?}");
    }
}

#[test]
fn a_record_under_another_days_name_is_found() {
    let mut trail = trail(&pair());
    trail.files[2].0 = "2026-12-24.jsonl".to_owned();
    assert_eq!(trail.verify().faults.first().unwrap().kind, Kind::Day);
}
