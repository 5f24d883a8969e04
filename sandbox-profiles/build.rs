//! Compiles `profiles/*.json` to filter programs and embeds them. The result does not depend on the
//! build profile: a test meets the filter that production meets.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

#[path = "src/profile/compile.rs"]
mod compile;
#[path = "src/profile/source.rs"]
mod source;

const PROFILES: &[&str] = &["worker", "supervisor", "launcher", "tool", "tool-egress"];

fn main() -> Result<(), String> {
    let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("profiles");
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    let mut out = String::new();
    for name in PROFILES {
        let text = read(&folder, &format!("{name}.json"))?;
        let program = source::parse(&text, |file| read(&folder, file))
            .and_then(|policy| compile::compile(&policy, &arch))
            .map_err(|err| format!("profiles/{name}.json: {err}"))?;
        embed(&mut out, name, &program).map_err(|err| err.to_string())?;
    }
    write(&PathBuf::from(variable("OUT_DIR")?).join("programs.rs"), &out)?;
    order(&format!("rerun-if-changed={}", folder.display()));
    Ok(())
}

fn embed(out: &mut String, name: &str, program: &[seccompiler::sock_filter]) -> std::fmt::Result {
    let mut bytes = Vec::new();
    writeln!(
        out,
        "const {}: Program = Program {{ instructions: &[",
        name.to_uppercase().replace('-', "_")
    )?;
    for it in program {
        bytes.extend(it.code.to_le_bytes());
        bytes.extend([it.jt, it.jf]);
        bytes.extend(it.k.to_le_bytes());
        let (high, low) = (it.k >> 16, it.k & 0xffff);
        writeln!(
            out,
            "libc::sock_filter {{ code: {:#x}, jt: {}, jf: {}, k: 0x{high:04x}_{low:04x} }},",
            it.code, it.jt, it.jf,
        )?;
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
    write!(out, "], digest: \"")?;
    for byte in digest.as_ref() {
        write!(out, "{byte:02x}")?;
    }
    writeln!(out, "\" }};")
}

#[expect(clippy::disallowed_methods, reason = "cargo talks to build scripts by the environment")]
fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|err| format!("{name}: {err}"))
}

fn read(folder: &Path, file: &str) -> Result<String, String> {
    std::fs::read_to_string(folder.join(file)).map_err(|err| format!("{file}: {err}"))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|err| err.to_string())
}

/// Cargo reads a build script's orders from its output.
fn order(text: &str) {
    println!("cargo:{text}");
}
