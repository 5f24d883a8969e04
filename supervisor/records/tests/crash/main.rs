//! temp
mod records_crash;
mod harness {
    pub fn program(name: &str) -> std::path::PathBuf {
        std::env::current_exe()
            .unwrap()
            .parent()
            .unwrap()
            .parent()
            .unwrap()
            .join("examples")
            .join(name)
    }
    pub fn until(what: &str, mut c: impl FnMut() -> bool) {
        let s = std::time::Instant::now();
        while !c() {
            assert!(s.elapsed().as_secs() < 20, "{what}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
