//! Sockets of every family, descriptors in transit, and memory shared by name.

use libc::{O_RDONLY, O_RDWR, SOCK_RAW, SOCK_STREAM};
use nix::errno::Errno;

use crate::calls::{attempts, call, open, open_any};
use crate::sockets::{Address, family, inet, socket};

attempts! {
    "net.host_loopback_tcp" "SIGSYS" |it| connect(libc::AF_INET, &inet([127, 0, 0, 1], it.number("port")));
    "net.metadata_v4" "SIGSYS" |_| connect(libc::AF_INET, &inet([169, 254, 169, 254], 80));
    "net.private_route" "SIGSYS" |_| connect(libc::AF_INET, &inet([10, 0, 0, 1], 443));
    "net.internet_route" "SIGSYS" |_| connect(libc::AF_INET, &inet([192, 0, 2, 1], 443));
    "net.metadata_v6" "SIGSYS" |_| socket(libc::AF_INET6, SOCK_STREAM, 0);
    "net.supervisor_uds_path" "SIGSYS" |it| connect(libc::AF_UNIX, &unix(it.get("socket").as_bytes()));
    "net.abstract_socket" "SIGSYS" |it| connect(libc::AF_UNIX, &unix(format!("\0{}", it.get("abstract")).as_bytes()));
    "net.inet_socket" "SIGSYS" |_| socket(libc::AF_INET, SOCK_STREAM, 0);
    "net.udp_socket" "SIGSYS" |_| socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
    "net.raw_socket" "SIGSYS" |_| socket(libc::AF_INET, SOCK_RAW, libc::IPPROTO_ICMP);
    "net.packet_socket" "SIGSYS" |_| socket(libc::AF_PACKET, SOCK_RAW, 0);
    "net.netlink_route" "SIGSYS" |_| socket(libc::AF_NETLINK, SOCK_RAW, 0);
    "net.netlink_other" "SIGSYS" |_| socket(libc::AF_NETLINK, SOCK_RAW, 12);
    "net.af_alg" "SIGSYS" |_| socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0);
    "net.vsock" "SIGSYS" |_| socket(libc::AF_VSOCK, SOCK_STREAM, 0);
    "net.rare_families" "SIGSYS" |_| socket(libc::AF_BLUETOOTH, SOCK_RAW, 0);
    "net.unix_socket" "SIGSYS" |_| socket(libc::AF_UNIX, SOCK_STREAM, 0);
    "net.inet_pair" "SIGSYS" |_| call!(libc::SYS_socketpair, libc::AF_INET, SOCK_STREAM, 0, [0_i32; 2].as_mut_ptr()).map(drop);
    "net.connect_inherited" "SIGSYS" |_| {
        let address = inet([127, 0, 0, 1], 80);
        call!(libc::SYS_connect, 0, address.as_ptr(), address.len()).map(drop)
    };
    "net.bind_inherited" "SIGSYS" |_| {
        let address = unix(b"\0mine");
        call!(libc::SYS_bind, 0, address.as_ptr(), address.len()).map(drop)
    };
    "net.listen_inherited" "SIGSYS" |_| call!(libc::SYS_listen, 0, 1).map(drop);
    "net.accept_inherited" "SIGSYS" |_| call!(libc::SYS_accept4, 0, 0, 0, 0).map(drop);
    "net.sendto_address" "SIGSYS" |_| {
        let address = unix(b"\0other");
        call!(libc::SYS_sendto, 0, c"x", 1, 0, address.as_ptr(), address.len()).map(drop)
    };
    "net.send_descriptor" "SIGSYS" |_| call!(libc::SYS_sendmsg, 0, [0_u64; 7].as_ptr(), 0).map(drop);
    "net.receive_descriptor" "SIGSYS" |_| call!(libc::SYS_recvmsg, 0, [0_u64; 7].as_mut_ptr(), libc::MSG_DONTWAIT).map(drop);
    "net.setsockopt" "SIGSYS" |_| call!(libc::SYS_setsockopt, 0, 1, 83, [1_i32].as_ptr(), 4).map(drop);
    "net.interfaces" "ENOENT" |_| open_any(&[c"/proc/net/dev", c"/sys/class/net"], O_RDONLY);
    "net.resolver" "ENOENT" |_| open_any(&[c"/etc/resolv.conf", c"/etc/hosts"], O_RDONLY);
    "ipc.sysv_shm" "SIGSYS" |_| call!(libc::SYS_shmget, 0x0c1a_0001, 4096, 0).map(drop);
    "ipc.sysv_list" "SIGSYS" |_| call!(libc::SYS_shmctl, 0, 14, [0_u64; 16].as_mut_ptr()).map(drop);
    "ipc.sysv_msg" "SIGSYS" |_| call!(libc::SYS_msgget, 0x0c1a_0001, 0).map(drop);
    "ipc.sysv_sem" "SIGSYS" |_| call!(libc::SYS_semget, 0x0c1a_0001, 1, 0).map(drop);
    "ipc.posix_shm" "ENOENT" |_| open(c"/dev/shm/canary", O_RDWR);
    "ipc.posix_mq" "SIGSYS" |_| call!(libc::SYS_mq_open, c"canary", 0).map(drop);
    "ipc.pipe" "SIGSYS" |_| call!(libc::SYS_pipe2, [0_i32; 2].as_mut_ptr(), 0).map(drop);
}

fn unix(path: &[u8]) -> Address {
    let mut address = family(libc::AF_UNIX);
    address.extend(path);
    address
}

fn connect(family: libc::c_int, address: &Address) -> Result<(), Errno> {
    let socket = call!(libc::SYS_socket, family, SOCK_STREAM, 0)?;
    call!(libc::SYS_connect, socket, address.as_ptr(), address.len()).map(drop)
}
