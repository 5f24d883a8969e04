//! Sockets of every family but the unnamed pair, and memory shared by name. With egress a tool
//! reaches its own loopback, where one proxy listens, and nothing else: the rows below `net.inet.`
//! are for a sandbox without.

use libc::{O_RDWR, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM};
use nix::errno::Errno;

use crate::calls::{attempts, call, open};
use crate::sockets::{Address, family, inet, socket};

attempts! {
    "net.inet.tcp" "EPERM/EACCES/EAFNOSUPPORT/ENOSYS/SIGSYS" |_| socket(libc::AF_INET, SOCK_STREAM, 0);
    "net.inet.udp" "EPERM/EACCES/EAFNOSUPPORT/ENOSYS/SIGSYS" |_| socket(libc::AF_INET, SOCK_DGRAM, 0);
    "net.inet.tcp6" "EPERM/EACCES/EAFNOSUPPORT/ENOSYS/SIGSYS" |_| socket(libc::AF_INET6, SOCK_STREAM, 0);
    "net.inet.pair" "EPERM/EACCES/EAFNOSUPPORT/ENOSYS/SIGSYS" |_| {
        call!(libc::SYS_socketpair, libc::AF_INET, SOCK_STREAM, 0, [0_i32; 2].as_mut_ptr()).map(drop)
    };
    "net.pair.rare_families" "EPERM/EACCES/EAFNOSUPPORT/ENOSYS/SIGSYS" |_| (2..=46)
        .map(|family| call!(libc::SYS_socketpair, family, SOCK_DGRAM, 0, [0_i32; 2].as_mut_ptr()).map(drop))
        .find(Result::is_ok).unwrap_or(Err(Errno::EAFNOSUPPORT));
    "net.host_loopback_tcp" "ECONNREFUSED/ENETUNREACH/EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |it| connect(libc::AF_INET, SOCK_STREAM, &inet([127, 0, 0, 1], it.number("port")));
    "net.host_loopback_other" "ECONNREFUSED/ENETUNREACH/EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |it| connect(libc::AF_INET, SOCK_STREAM, &inet([127, 0, 0, 2], it.number("port")));
    "net.host_any" "ECONNREFUSED/ENETUNREACH/EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |it| connect(libc::AF_INET, SOCK_STREAM, &inet([0, 0, 0, 0], it.number("port")));
    "net.host_control" "ECONNREFUSED/ENETUNREACH/EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |it| connect(libc::AF_INET, SOCK_STREAM, &inet([127, 0, 0, 1], it.number("control")));
    "net.metadata_v4" "ENETUNREACH/EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |_| connect(libc::AF_INET, SOCK_STREAM, &inet([169, 254, 169, 254], 80));
    "net.private_route" "ENETUNREACH/EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |_| connect(libc::AF_INET, SOCK_STREAM, &inet([10, 0, 0, 1], 443));
    "net.internet_route" "ENETUNREACH/EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |_| connect(libc::AF_INET, SOCK_STREAM, &inet([192, 0, 2, 1], 443));
    "net.internet_route_udp" "ENETUNREACH/EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |_| connect(libc::AF_INET, SOCK_DGRAM, &inet([192, 0, 2, 1], 53));
    "net.name_server" "ECONNREFUSED/ENETUNREACH/EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |_| name_server();
    "net.metadata_v6" "ENETUNREACH/EPERM/EACCES/EAFNOSUPPORT/EADDRNOTAVAIL/SIGSYS" |_| connect(libc::AF_INET6, SOCK_STREAM, &inet6(&[0xfd, 0, 0x0e, 0xc2]));
    "net.link_local_v6" "ENETUNREACH/EPERM/EACCES/EAFNOSUPPORT/EADDRNOTAVAIL/EINVAL/SIGSYS" |_| connect(libc::AF_INET6, SOCK_STREAM, &inet6(&[0xfe, 0x80]));
    "net.host_socket_path" "ENOENT" |it| connect(libc::AF_UNIX, SOCK_STREAM, &unix(it.get("socket").as_bytes()));
    "net.host_socket_abstract" "ECONNREFUSED/EPERM/EACCES/SIGSYS" |it| connect(libc::AF_UNIX, SOCK_STREAM, &unix(format!("\0{}", it.get("abstract")).as_bytes()));
    "net.well_known_sockets" "ENOENT/EACCES" |_| {
        let paths = ["/run/docker.sock", "/run/systemd/private", "/run/dbus/system_bus_socket", "/run/containerd/containerd.sock", "/run/user/0/bus", "/tmp/.X11-unix/X0", "/run/nscd/socket"];
        paths.iter().map(|path| connect(libc::AF_UNIX, SOCK_STREAM, &unix(path.as_bytes())))
            .reduce(|so_far, it| if so_far.is_ok() { so_far } else { it }).unwrap_or(Ok(()))
    };
    "net.socket_for_other_sandboxes" "EACCES/EPERM/SIGSYS" |_| {
        let paths = ["/workspace/escape-socket", "/home/agent/escape-socket", "/dev/shm/../../workspace/escape-socket"];
        paths.iter().map(|path| bind(&unix(path.as_bytes())))
            .reduce(|so_far, it| if so_far.is_ok() { so_far } else { it }).unwrap_or(Ok(()))
    };
    "net.raw" "EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |_| socket(libc::AF_INET, SOCK_RAW, libc::IPPROTO_ICMP);
    "net.ping" "EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |_| socket(libc::AF_INET, SOCK_DGRAM, libc::IPPROTO_ICMP);
    "net.sctp" "EPERM/EACCES/EAFNOSUPPORT/EPROTONOSUPPORT/SIGSYS" |_| socket(libc::AF_INET, SOCK_STREAM, libc::IPPROTO_SCTP);
    "net.mptcp" "EPERM/EACCES/EAFNOSUPPORT/EPROTONOSUPPORT/ENOPROTOOPT/SIGSYS" |_| socket(libc::AF_INET, SOCK_STREAM, 262);
    "net.packet" "EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |_| socket(libc::AF_PACKET, SOCK_RAW, 0);
    "net.netlink_route" "EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |_| socket(libc::AF_NETLINK, SOCK_RAW, 0);
    "net.netlink_other" "EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |_| [2, 4, 6, 9, 12, 15, 16].into_iter().map(|protocol| socket(libc::AF_NETLINK, SOCK_RAW, protocol))
        .reduce(|so_far, it| if so_far.is_ok() { so_far } else { it }).unwrap_or(Ok(()));
    "net.af_alg" "EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |_| socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0);
    "net.vsock" "EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |_| socket(libc::AF_VSOCK, SOCK_STREAM, 0);
    "net.rare_families" "EPERM/EACCES/EAFNOSUPPORT/SIGSYS" |_| (3..=46)
        .filter(|it| ![libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET, libc::AF_ALG, libc::AF_VSOCK].contains(it))
        .map(|family| [SOCK_STREAM, SOCK_DGRAM, SOCK_RAW].into_iter().map(|kind| socket(family, kind, 0)).find(Result::is_ok).unwrap_or(Err(Errno::EAFNOSUPPORT)))
        .find(Result::is_ok).unwrap_or(Err(Errno::EAFNOSUPPORT));
    "ipc.sysv_shm" "EPERM/ENOENT/ENOSYS/SIGSYS" |_| call!(libc::SYS_shmget, 0x0c1a_0001, 4096, 0).map(drop);
    "ipc.sysv_shm_new" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_shmget, 0, 1 << 30, 0o1600).map(drop);
    "ipc.sysv_msg" "EPERM/ENOENT/ENOSYS/SIGSYS" |_| call!(libc::SYS_msgget, 0x0c1a_0001, 0).map(drop);
    "ipc.sysv_sem" "EPERM/ENOENT/ENOSYS/SIGSYS" |_| call!(libc::SYS_semget, 0x0c1a_0001, 1, 0).map(drop);
    "ipc.posix_shm" "ENOENT/EACCES" |_| open(c"/dev/shm/canary", O_RDWR);
    "ipc.posix_mq" "EPERM/ENOENT/ENOSYS/SIGSYS" |_| call!(libc::SYS_mq_open, c"canary", 0).map(drop);
}

/// Port 80 of an address that begins so and ends in 1.
fn inet6(prefix: &[u8]) -> Address {
    let mut address = family(libc::AF_INET6);
    address.extend(80_u16.to_be_bytes());
    address.extend([0; 4]);
    let host = prefix.iter().copied().chain(std::iter::repeat(0)).take(15).chain([1]);
    address.extend(host);
    address.extend([0; 4]);
    address
}

fn unix(path: &[u8]) -> Address {
    let mut address = family(libc::AF_UNIX);
    address.extend(path);
    address.push(0);
    // An abstract name is as long as it is told to be.
    if path.first() == Some(&0) {
        address.pop();
    }
    address
}

fn connect(family: libc::c_int, kind: libc::c_int, address: &Address) -> Result<(), Errno> {
    let socket = call!(libc::SYS_socket, family, kind, 0)?;
    call!(libc::SYS_connect, socket, address.as_ptr(), address.len()).map(drop)
}

fn bind(address: &Address) -> Result<(), Errno> {
    let socket = call!(libc::SYS_socket, libc::AF_UNIX, SOCK_STREAM, 0)?;
    call!(libc::SYS_bind, socket, address.as_ptr(), address.len()).map(drop)
}

/// Whoever resolves names for the host, asked by a datagram that must not leave.
fn name_server() -> Result<(), Errno> {
    let socket = call!(libc::SYS_socket, libc::AF_INET, SOCK_DGRAM, 0)?;
    let address = inet([127, 0, 0, 53], 53);
    call!(libc::SYS_connect, socket, address.as_ptr(), address.len())?;
    call!(libc::SYS_write, socket, c"x", 1)?;
    // Nobody listens on the sandbox's own loopback, so a second datagram hears of the first.
    call!(libc::SYS_write, socket, c"x", 1).map(drop)
}
