//! What an installer of a skill runs: one program with its arguments, for the tenant's sandbox. Pure.
//!
//! A skill is hostile text: nothing of it reaches a shell, and nothing of it can pass for an option.
//! Everything goes below the tenant's own home; what an installer may reach is not decided here.

use super::file::Way;

/// Where installed programs go, which is in every sandbox's path.
const PREFIX: &str = "/home/agent/.local";

/// Bytes of a package's name or of an address.
const MAX_NAME: usize = 512;

/// Folders that an archive's entries may lose.
const MAX_STRIP: u32 = 16;

/// Fetches `$1`, compares it with `$2` where there is one, and puts it, or what it packs, at `$3`.
/// `$4` says how it is packed, `$5` how many leading folders its entries lose.
const DOWNLOAD: &str = r#"set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
curl --fail --silent --show-error --location --proto '=https' --proto-redir '=https' \
  --max-filesize 536870912 --output "$scratch/it" -- "$1"
if [ -n "$2" ]; then echo "$2  $scratch/it" | sha256sum --check --quiet; fi
mkdir -p "$3"
case $4 in
  tar) tar --extract --file "$scratch/it" --directory "$3" --strip-components "$5" --no-same-owner --no-same-permissions ;;
  zip) unzip -q -o "$scratch/it" -d "$3" ;;
  *) install -m 0755 "$scratch/it" "$3/${1##*/}" ;;
esac
"#;

/// One program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installer {
    /// The program and its arguments.
    pub(crate) argv: Vec<String>,
    /// Variables beside the usual ones.
    pub(crate) env: Vec<(&'static str, String)>,
}

/// The program for `way`.
///
/// # Errors
/// Why there is none, for people.
pub(super) fn installer(way: &Way) -> Result<Installer, String> {
    let words = |words: &[&str], last: &str| {
        let argv = words.iter().chain(&[last]).map(|&word| word.to_owned()).collect();
        Installer { argv, env: Vec::new() }
    };
    match way.kind.as_str() {
        "node" => {
            let package = name(way.package.as_deref(), "package", "@/._-~^")?;
            // A package's own scripts are the usual way in; its programs work without.
            let npm = ["npm", "install", "--global", "--prefix", PREFIX, "--ignore-scripts"];
            Ok(words(&[&npm[..], &["--no-audit", "--no-fund", "--"]].concat(), package))
        }
        "uv" => {
            let package = name(way.package.as_deref(), "package", "._-=<>~![],")?;
            Ok(words(&["uv", "tool", "install", "--no-progress", "--"], package))
        }
        "go" => {
            let module = name(way.module.as_deref(), "module", "./_-~@")?;
            let env = vec![("GOBIN", format!("{PREFIX}/bin")), ("GOFLAGS", "-modcacherw".into())];
            Ok(Installer { env, ..words(&["go", "install", "--"], module) })
        }
        "download" => download(way),
        "brew" => Err("brew installs for a whole machine, and there is none here".to_owned()),
        other => Err(format!("`{other}` is no kind of installer that is known here")),
    }
}

fn download(way: &Way) -> Result<Installer, String> {
    let url = way.url.as_deref().unwrap_or_default();
    let visible = url.bytes().all(|byte| byte.is_ascii_graphic());
    if !(url.starts_with("https://") && url.len() <= MAX_NAME && visible) {
        return Err(format!("`url` must begin with https:// and have at most {MAX_NAME} bytes"));
    }
    let sum = way.sha256.as_deref().unwrap_or_default();
    if !(sum.is_empty() || sum.len() == 64 && sum.bytes().all(|it| it.is_ascii_hexdigit())) {
        return Err("`sha256` must have 64 hexadecimal digits".to_owned());
    }
    let folder = match way.target_dir.as_deref() {
        None => format!("{PREFIX}/bin"),
        Some(folder) => format!("{PREFIX}/share/{}", inside(folder)?),
    };
    let strip = way.strip_components.unwrap_or(0);
    if strip > MAX_STRIP {
        return Err(format!("`stripComponents` must be at most {MAX_STRIP}"));
    }
    let packed = packed(way, url)?;
    let (sum, strip) = (sum.to_ascii_lowercase(), strip.to_string());
    let words = ["bash", "-c", DOWNLOAD, "download", url, &sum, &folder, packed, &strip];
    Ok(Installer { argv: words.map(str::to_owned).to_vec(), env: Vec::new() })
}

/// How the file is packed, by what the skill says of it or by its name.
fn packed(way: &Way, url: &str) -> Result<&'static str, String> {
    let ends = |ends: &[&str]| ends.iter().any(|end| url.ends_with(end));
    match way.archive.as_deref() {
        _ if way.extract == Some(false) => Ok("no"),
        Some("tar" | "tar.gz" | "tgz" | "tar.xz" | "tar.bz2") => Ok("tar"),
        Some("zip") => Ok("zip"),
        Some(other) => Err(format!("`archive` {other} is not known: tar, tar.gz, tar.bz2, zip")),
        None if ends(&[".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2"]) => Ok("tar"),
        None if ends(&[".zip"]) => Ok("zip"),
        None => Ok("no"),
    }
}

/// A name of letters, digits and `marks` that is no option.
fn name<'a>(name: Option<&'a str>, field: &str, marks: &str) -> Result<&'a str, String> {
    let fits = |it: &&str| {
        let inside = |it: char| it.is_ascii_alphanumeric() || marks.contains(it);
        !it.is_empty()
            && it.len() <= MAX_NAME
            && !it.starts_with(['-', '.', '/'])
            && it.chars().all(inside)
    };
    name.filter(fits).ok_or_else(|| {
        format!("`{field}` must be 1 to {MAX_NAME} letters, digits or {marks}, and no path")
    })
}

/// A folder below the prefix.
fn inside(folder: &str) -> Result<&str, String> {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.starts_with('-');
    let fits = folder.len() <= MAX_NAME && folder.split('/').all(plain);
    if fits && !folder.chars().any(char::is_control) {
        Ok(folder)
    } else {
        Err("`targetDir` must be a path of plain names".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "values are written where they are checked")]
    fn check(way: Value, expected: Result<&str, &str>) {
        let found = installer(&serde_json::from_value(way.clone()).unwrap());
        match (found.map(|it| it.argv.join(" ")), expected) {
            (Ok(found), Ok(part)) | (Err(found), Err(part)) => {
                assert!(found.contains(part), "{way}: {found}");
            }
            (found, _) => panic!("{way}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn what_is_run_for_a_way() {
        let npm = Ok("--prefix /home/agent/.local --ignore-scripts --no-audit --no-fund -- @a/b@1");
        check(json!({"kind": "node", "package": "@a/b@1.2.3"}), npm);
        check(json!({"kind": "uv", "package": "ruff==0.5"}), Ok("uv tool install"));
        check(json!({"kind": "go", "module": "example.com/x/cmd@latest"}), Ok("go install --"));
        let tool = json!({"kind": "download", "url": "https://x.example/tool"});
        check(tool, Ok("/home/agent/.local/bin no 0"));
        let packed = json!({"kind": "download", "url": "https://x.example/a.tar.gz",
            "targetDir": "a", "stripComponents": 1});
        check(packed, Ok("/home/agent/.local/share/a tar 1"));
    }

    #[test]
    fn nothing_of_a_skill_is_an_option_or_leaves_the_prefix() {
        for package in ["", "-g", "--prefix=/", "../x", "/x", "a b", "a;b", "a$(b)", "git+ssh://x"]
        {
            check(json!({"kind": "node", "package": package}), Err("`package`"));
        }
        check(json!({"kind": "node"}), Err("`package`"));
        check(json!({"kind": "go", "module": "-x"}), Err("`module`"));
        for url in ["http://x.example/", "file:///etc/passwd", "https://x example/", "-o"] {
            check(json!({"kind": "download", "url": url}), Err("`url`"));
        }
        for folder in ["..", "a/../b", "/a", "", "-a", "a//b"] {
            let way =
                json!({"kind": "download", "url": "https://x.example/a", "targetDir": folder});
            check(way, Err("`targetDir`"));
        }
        let sum = json!({"kind": "download", "url": "https://x.example/a", "sha256": "$(id)"});
        check(sum, Err("`sha256`"));
        check(json!({"kind": "brew", "formula": "jq"}), Err("whole machine"));
        check(json!({"kind": "curl"}), Err("no kind"));
    }
}
