//! Records cross unchanged, and nothing else is taken for one.

use super::*;

fn launch() -> Request {
    Request {
        number: 7,
        index: 3,
        pids_max: 64,
        memory_max: 256 << 20,
        cpu_millis: 1000,
        ..Request::of(Kind::Launch, "acme".parse().unwrap())
    }
}

fn run() -> Request {
    let run = Run { backend: Backend::Bwrap, class: Class::Terminal, egress: true };
    Request { kind: Kind::Run, run: Some(run), agent: Some("main".parse().unwrap()), ..launch() }
}

fn one_of_each() -> Vec<Request> {
    let tenant: TenantId = "acme".parse().unwrap();
    vec![
        Request::new(Kind::Host),
        Request { disk_max: 1 << 30, ..Request::of(Kind::Prepare, tenant.clone()) },
        Request { which: Which::Staged, ..launch() },
        Request { index: 9, ..Request::of(Kind::Swap, tenant.clone()) },
        Request { index: 9, ..Request::of(Kind::Revert, tenant.clone()) },
        Request { index: 9, ..Request::of(Kind::Settle, tenant.clone()) },
        Request { index: 9, ..Request::of(Kind::Discard, tenant.clone()) },
        launch(),
        Request::about(Kind::Facts, 1),
        Request::about(Kind::Usage, 2),
        Request::about(Kind::Kill, u64::MAX),
        Request { index: 9, ..Request::of(Kind::Erase, tenant) },
        run(),
        Request { index: 1, ..Request::about(Kind::Probe, 3) },
    ]
}

#[test]
fn every_kind_crosses() {
    for request in one_of_each() {
        let bytes = request.encode();
        assert_eq!(bytes.len(), Request::SIZE);
        assert_eq!(Request::decode(&bytes).unwrap(), request);
    }
}

#[test]
fn fields_out_of_range_or_out_of_place_are_refused() {
    let check = |field: &'static str, change: fn(&mut Request)| {
        let mut request = launch();
        change(&mut request);
        match Request::decode(&request.encode()) {
            Err(Error::Record(found)) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    };
    check("index", |it| it.index = u32::MAX);
    check("memory", |it| it.memory_max = 0);
    check("memory", |it| it.memory_max = u64::MAX);
    check("pids", |it| it.pids_max = 0);
    check("pids", |it| it.pids_max = u32::MAX);
    check("cpu", |it| it.cpu_millis = 9);
    check("disk", |it| it.disk_max = 1 << 30);
    check("worker", |it| it.worker = 1);
    check("tenant", |it| it.tenant = None);
    check("agent", |it| it.agent = Some(AgentId::main()));
    check("agent", |it| *it = Request { agent: None, ..run() });
    check("run", |it| *it = Request { run: None, ..run() });
    check("run", |it| it.run = run().run);
    check("root", |it| *it = Request { which: Which::Staged, ..run() });
    check("memory", |it| *it = Request { memory_max: 0, ..run() });
    check("worker", |it| *it = Request::new(Kind::Kill));
    check("index", |it| *it = Request { index: 1, ..Request::new(Kind::Host) });
    check("index", |it| *it = Request { index: 1000, ..Request::about(Kind::Probe, 3) });
    check("worker", |it| *it = Request::new(Kind::Probe));
    check("tenant", |it| *it = Request::of(Kind::Host, "acme".parse().unwrap()));
}

#[test]
fn hostile_bytes_are_refused() {
    let good = launch().encode();
    for length in (0..good.len()).chain([good.len() + 1, 4096]) {
        let mut bytes = good.clone();
        bytes.resize(length, 0);
        Request::decode(&bytes).unwrap_err();
    }
    let name = Request::SIZE - TenantId::MAX - 4 - AgentId::MAX;
    let check = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        Request::decode(&bytes).unwrap_err();
    };
    check(0, b"\0");
    check(4, b"\x01");
    check(6, b"\xff");
    check(name, b"../a");
    check(name, b"a\0cd");
    check(name, b"\xff\xff\xff\xff");
    check(name + 4, b"x");
    check(name - 4, b"\x05");
    check(name - 4, b"\xff\xff\xff\xff");
    check(name - 4, b"\0\0\0\0");
}

#[test]
fn every_kind_of_sandbox_is_one_number() {
    let known = (0..256).filter_map(|number| Some((number, Run::from_number(number).ok()??)));
    let known: Vec<_> = known.collect();
    assert_eq!(known.len(), 8);
    assert!(known.iter().all(|(number, run)| run.number() == *number));
    assert!(Run::from_number(0).unwrap().is_none());
}

#[test]
fn what_is_accepted_means_one_thing() {
    // Any single byte changed gives a refusal or a record that encodes to just these bytes.
    for request in one_of_each() {
        let good = request.encode();
        for at in 0..good.len() {
            for value in [0, 1, 0x2f, 0x7f, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = value;
                if let Ok(read) = Request::decode(&bytes) {
                    assert_eq!(read.encode(), bytes);
                }
            }
        }
    }
}

#[test]
fn replies_cross_and_lying_lengths_are_refused() {
    let reply = Reply { number: 9, ..Reply::other(Verdict::Step, 22, "pivot root") };
    let bytes = reply.encode();
    assert_eq!(Reply::decode(&bytes).unwrap(), reply);
    let missing = Reply::other(Verdict::NoWorkspace, 2, "");
    assert_eq!(Reply::decode(&missing.encode()).unwrap(), missing);
    Reply::decode(&bytes[..bytes.len() - 1]).unwrap_err();
    Reply::decode(&[bytes.as_slice(), b"x"].concat()).unwrap_err();
    Reply::decode(&Reply::payload(vec![0; Reply::MAX_PAYLOAD + 1]).encode()).unwrap_err();
    assert!(Reply::payload(vec![0; Reply::MAX_PAYLOAD]).encode().len() <= Reply::MAX);
}
