//! The shape of `tenants inspect`.

use super::*;

const SPACES: Namespaces =
    Namespaces { user: 1, mnt: 2, pid: 3, net: 4, ipc: 5, uts: 6, cgroup: 7 };

fn boundary() -> Boundary {
    let none = "0".repeat(16);
    Boundary {
        tenant: "acme".parse().unwrap(),
        verified: true,
        findings: Vec::new(),
        mode: "root".to_owned(),
        degraded: Vec::new(),
        pid: 42,
        seccomp: Seccomp {
            mode: 2,
            filters: 2,
            profile: "worker".to_owned(),
            digest: "ab".to_owned(),
        },
        no_new_privs: true,
        capabilities: Capabilities {
            effective: none.clone(),
            permitted: none.clone(),
            bounding: none.clone(),
            inheritable: none.clone(),
            ambient: none,
        },
        namespaces: SPACES,
        supervisor_namespaces: SPACES,
        uid_map: "1000 2000002 1".to_owned(),
        gid_map: "1000 2000002 1".to_owned(),
        network_interfaces: vec!["lo".to_owned()],
        listening_sockets: Vec::new(),
        mounts: vec![Mount {
            target: "/tenant".to_owned(),
            fs_type: "ext4".to_owned(),
            options: "rw,nosuid".to_owned(),
        }],
        descriptors: vec![Descriptor { fd: 0, kind: "socket".to_owned() }],
        cgroup: Cgroup {
            path: Some("/t/acme".to_owned()),
            memory_max: Some(1),
            pids_max: Some(2),
            cpu_max: None,
        },
        rlimits: Vec::new(),
        landlock: Landlock { abi: 7 },
        binary_digest: Some("cd".to_owned()),
        pss_bytes: Some(9),
    }
}

#[test]
fn the_shape_of_tenants_inspect() {
    let json = serde_json::to_string(&boundary()).unwrap();
    let zero = "0".repeat(16);
    let spaces = r#"{"user":1,"mnt":2,"pid":3,"net":4,"ipc":5,"uts":6,"cgroup":7}"#;
    let expected = [
        r#"{"tenant":"acme","verified":true,"findings":[],"mode":"root","degraded":[],"pid":42,"#,
        r#""seccomp":{"mode":2,"filters":2,"profile":"worker","digest":"ab"},"noNewPrivs":true,"#,
        &format!(
            r#""capabilities":{{"effective":"{zero}","permitted":"{zero}","bounding":"{zero}","inheritable":"{zero}","ambient":"{zero}"}},"#
        ),
        &format!(r#""namespaces":{spaces},"supervisorNamespaces":{spaces},"#),
        r#""uidMap":"1000 2000002 1","gidMap":"1000 2000002 1","networkInterfaces":["lo"],"#,
        r#""listeningSockets":[],"#,
        r#""mounts":[{"target":"/tenant","fsType":"ext4","options":"rw,nosuid"}],"#,
        r#""descriptors":[{"fd":0,"kind":"socket"}],"#,
        r#""cgroup":{"path":"/t/acme","memoryMax":1,"pidsMax":2,"cpuMax":null},"rlimits":[],"#,
        r#""landlock":{"abi":7},"binaryDigest":"cd","pssBytes":9}"#,
    ]
    .concat();
    assert_eq!(json, expected);
}
