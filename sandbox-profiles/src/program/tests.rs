//! Commands and records cross unchanged, and nothing else is taken for one.

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::*;

fn spec() -> Spec {
    Spec {
        argv: vec!["bash".into(), "-c".into(), "echo é".into()],
        env: vec![("PATH".into(), "/usr/bin".into()), ("EMPTY".into(), String::new())],
        cwd: "/workspace".into(),
        terminal: Some((80, 24)),
        files: vec![Bound { argument: 2, sha256: [7; 32] }],
        limits: Rlimits { cpu_seconds: 1, file_size: 2, open_files: 3, processes: 4 },
        class: Class::Terminal,
        egress: true,
    }
}

#[test]
fn a_command_crosses_and_cannot_be_changed() {
    let sealed = seal(&spec()).unwrap();
    assert_eq!(decode(&read(sealed.as_fd()).unwrap()), Ok(spec()));
    let file = std::fs::File::from(sealed);
    let written = std::os::unix::fs::FileExt::write_at(&file, b"x", 0);
    assert_eq!(written.unwrap_err().raw_os_error(), Some(libc::EPERM));
    assert_eq!(file.set_len(0).unwrap_err().raw_os_error(), Some(libc::EPERM));
}

#[test]
fn what_is_out_of_bounds_is_no_command() {
    let check = |what: &str, change: fn(&mut Spec)| {
        let mut spec = spec();
        change(&mut spec);
        let err = seal(&spec).unwrap_err();
        assert!(err.to_string().contains(what), "{what}: {err}");
    };
    check("program", |it| it.argv.clear());
    check("program", |it| it.argv[0].clear());
    check("number of words", |it| it.argv = vec!["x".into(); 1025]);
    check("text", |it| it.argv[1] = "a\0b".into());
    check("size", |it| it.argv[1] = "x".repeat(1 << 20));
    check("number of variables", |it| it.env = vec![("A".into(), "b".into()); 513]);
    check("name of a variable", |it| it.env[0].0 = "A=B".into());
    check("name of a variable", |it| it.env[0].0.clear());
    check("directory", |it| it.cwd = "workspace".into());
    check("file", |it| it.files[0].argument = 3);
    check("second file of a word", |it| it.files.push(it.files[0].clone()));
    check("number of files", |it| it.files = vec![Bound { argument: 0, sha256: [0; 32] }; 17]);
}

#[test]
fn no_part_of_a_command_is_a_command() {
    let bytes = read(seal(&spec()).unwrap().as_fd()).unwrap();
    for length in 0..bytes.len() {
        decode(&bytes[..length]).unwrap_err();
    }
    decode(&[&bytes[..], b"x"].concat()).unwrap_err();
}

#[test]
fn what_init_says_crosses() {
    let (ours, inits) = status_pair().unwrap();
    assert_eq!(receive(&ours).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let refused = Said::Refused { step: "exec".to_owned(), errno: 2 };
    let ended = Said::Ended { code: 137, signal: Some(9) };
    for said in [Said::Ready, refused, ended, Said::Ended { code: 0, signal: None }] {
        fds::send(&inits, &said.encode(), &[]).unwrap();
        let (heard, master) = receive(&ours).unwrap().unwrap();
        assert_eq!((heard, master.is_none()), (said, true));
    }
    for wrong in [&b"\x03"[..], b"\x00x", b"\x01", b"\x02\0\0\0\0"] {
        fds::send(&inits, wrong, &[]).unwrap();
        assert_eq!(receive(&ours).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
    drop(inits);
    assert!(receive(&ours).unwrap().is_none());
}

#[test]
fn only_a_terminals_master_comes_with_readiness() {
    let (ours, inits) = status_pair().unwrap();
    let open = |path: &str| nix::fcntl::open(path, OFlag::O_RDWR | OFlag::O_NOCTTY, Mode::empty());
    let (null, master) = (open("/dev/null").unwrap(), open("/dev/ptmx").unwrap());
    let check = |said: Said, fd: &OwnedFd, right: bool| {
        fds::send(&inits, &said.encode(), &[fd]).unwrap();
        assert_eq!(receive(&ours).is_ok_and(|it| it.unwrap().1.is_some()), right);
    };
    check(Said::Ready, &master, true);
    check(Said::Ready, &null, false);
    check(Said::Ready, &ours, false);
    check(Said::Ended { code: 0, signal: None }, &master, false);
    resize(&master, 132, 43).unwrap();
    assert!(resize(&null, 132, 43).is_err());
}

#[test]
fn init_is_told_signals_and_to_go() {
    for told in [Told::Go, Told::Signal(15)] {
        assert_eq!(Told::decode(&told.encode()), Some(told));
    }
    for wrong in [&b""[..], b"\x00\x00", b"\x01", b"\x01\0\0\0\0", b"\x01\x20\0\0\0", b"\x02"] {
        assert_eq!(Told::decode(wrong), None, "{wrong:?}");
    }
    let (ours, _inits) = status_pair().unwrap();
    assert_eq!(signal(&ours, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(signal(&ours, 32).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}
