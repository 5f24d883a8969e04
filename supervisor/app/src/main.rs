//! `openclawmu`: launcher, supervisor and command line. Parses, runs, returns an exit code.

fn main() -> std::process::ExitCode {
    openclawmu::run()
}
