//! What an attempt is, and raw system calls to make it with.

use std::collections::HashMap;
use std::ffi::{CStr, CString};

use nix::errno::Errno;

/// One thing that a hostile worker tries.
pub(crate) struct Attempt {
    /// Its name, as the list of attempts has it.
    pub(crate) name: &'static str,
    /// Outcomes that mean it was refused, separated by `/`: errno names and signals.
    pub(crate) accepted: &'static str,
    /// Tries it.
    pub(crate) make: fn(&Outside) -> Result<(), Errno>,
}

/// What the attempt may know of the world outside: names and numbers of things that really exist
/// there, so that it cannot fail for the wrong reason.
#[derive(Default)]
pub(crate) struct Outside(HashMap<String, String>);

impl<'a> FromIterator<&'a str> for Outside {
    fn from_iter<T: IntoIterator<Item = &'a str>>(words: T) -> Self {
        let pairs = words.into_iter().filter_map(|word| word.split_once('='));
        Self(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }
}

impl Outside {
    /// The value, empty where it was not told.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// The value as a number, 1 where it was not told.
    pub(crate) fn number(&self, key: &str) -> usize {
        self.get(key).parse().unwrap_or(1)
    }

    /// A path of the world outside, with something before and after it.
    pub(crate) fn path(&self, before: &str, key: &str, after: &str) -> CString {
        CString::new(format!("{before}{}{after}", self.get(key))).unwrap_or_default()
    }
}

/// An outcome as it is written down.
pub(crate) fn named(outcome: Result<(), Errno>) -> String {
    match outcome {
        Ok(()) => "ALLOWED".to_owned(),
        Err(err) => format!("{err}").split(':').next().unwrap_or_default().to_owned(),
    }
}

/// A value as a register holds it.
pub(crate) trait Word {
    /// The register.
    fn word(self) -> usize;
}

impl Word for usize {
    fn word(self) -> usize {
        self
    }
}

impl Word for i32 {
    fn word(self) -> usize {
        isize::try_from(self).unwrap_or(-1).cast_unsigned()
    }
}

impl Word for i64 {
    fn word(self) -> usize {
        isize::try_from(self).unwrap_or(-1).cast_unsigned()
    }
}

impl Word for u32 {
    fn word(self) -> usize {
        usize::try_from(self).unwrap_or(usize::MAX)
    }
}

impl Word for u64 {
    fn word(self) -> usize {
        usize::try_from(self).unwrap_or(usize::MAX)
    }
}

impl Word for &CStr {
    fn word(self) -> usize {
        self.as_ptr().expose_provenance()
    }
}

impl<T> Word for *const T {
    fn word(self) -> usize {
        self.expose_provenance()
    }
}

impl<T> Word for *mut T {
    fn word(self) -> usize {
        self.expose_provenance()
    }
}

/// Makes a system call with up to six arguments; what is left out is 0.
macro_rules! call {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        $crate::calls::raw($number, &[$($crate::calls::Word::word($argument)),*])
    };
}
pub(crate) use call;

/// The call behind [`call!`].
pub(crate) fn raw(number: libc::c_long, given: &[usize]) -> Result<usize, Errno> {
    let mut args = [0; 6];
    args.iter_mut().zip(given).for_each(|(arg, value)| *arg = *value);
    // SAFETY: attempts pass pointers to what lives over the call; one that succeeded wrongly ends
    // with this process, which holds nothing.
    let result =
        unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]) };
    Errno::result(result).map(|it| usize::try_from(it).unwrap_or(usize::MAX))
}

/// Opens a path relative to the working directory.
pub(crate) fn open(path: &CStr, flags: libc::c_int) -> Result<(), Errno> {
    call!(libc::SYS_openat, libc::AT_FDCWD, path, flags | libc::O_CLOEXEC, 0o600).map(drop)
}

/// Opens each path: allowed as soon as one is, else the last refusal that is not just absence.
pub(crate) fn open_any(paths: &[&CStr], flags: libc::c_int) -> Result<(), Errno> {
    let mut outcome = Errno::ENOENT;
    for path in paths {
        match open(path, flags) {
            Ok(()) => return Ok(()),
            Err(Errno::ENOENT) => {}
            Err(err) => outcome = err,
        }
    }
    Err(outcome)
}

/// Shortens one row of a table.
macro_rules! attempts {
    ($($name:literal $accepted:literal $make:expr;)+) => {
        pub(crate) const ATTEMPTS: &[$crate::calls::Attempt] =
            &[$($crate::calls::Attempt { name: $name, accepted: $accepted, make: $make }),+];
    };
}
pub(crate) use attempts;
