//! Every block of IANA's registries, at both its ends and just outside.

use proptest::prelude::*;

use super::*;

const SPECIAL_ONES: &[(Class, &[&str])] = &[
    (
        Class::Metadata,
        &["169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"],
    ),
    (Class::Unspecified, &["0.0.0.0", "0.0.0.1", "0.255.255.255", "::"]),
    (Class::Loopback, &["127.0.0.0", "127.0.0.1", "127.0.0.53", "127.255.255.255", "::1"]),
    (
        Class::LinkLocal,
        &["169.254.0.0", "169.254.1.1", "169.254.255.255", "fe80::", "fe80::1", "febf:ffff::"],
    ),
    (
        Class::Private,
        &[
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.0",
            "192.168.255.255",
            "fec0::",
            "feff:ffff::1",
        ],
    ),
    (Class::Shared, &["100.64.0.0", "100.64.0.1", "100.127.255.255"]),
    (Class::UniqueLocal, &["fc00::", "fd00::1", "fdff:ffff::1"]),
    (
        Class::Documentation,
        &[
            "192.0.2.0",
            "192.0.2.255",
            "198.51.100.0",
            "198.51.100.255",
            "203.0.113.0",
            "203.0.113.255",
            "2001:db8::",
            "2001:db8:ffff::1",
            "3fff::",
            "3fff:fff:ffff::1",
        ],
    ),
    (Class::Benchmarking, &["198.18.0.0", "198.19.255.255", "2001:2::", "2001:2:0:ffff::1"]),
    (
        Class::Multicast,
        &["224.0.0.0", "224.0.0.251", "239.255.255.255", "ff00::", "ff02::1", "ffff::1"],
    ),
    (
        Class::Protocol,
        &[
            "192.0.0.0",
            "192.0.0.8",
            "192.0.0.170",
            "192.0.0.192",
            "192.88.99.1",
            "::2",
            "::7f00:1",
            "::10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:a9fe:a9fe",
            "::ffff:0:7f00:1",
            "64:ff9b::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::",
            "100::1",
            "2001::",
            "2001::1",
            "2001:0:7f00:1::",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff:ffff::1",
            "2002::",
            "2002:7f00:1::",
            "2002:ffff::1",
        ],
    ),
    (
        Class::Reserved,
        &[
            "240.0.0.0",
            "250.1.2.3",
            "255.255.255.255",
            "1::",
            "64:ff9b:2::1",
            "100:0:0:1::",
            "1fff::1",
            "4000::",
            "5f00::1",
            "8000::1",
            "a000::1",
            "c000::1",
            "e000::1",
            "f000::1",
            "fe00::1",
        ],
    ),
];

#[test]
fn what_is_not_public() {
    for (class, addresses) in SPECIAL_ONES {
        for address in *addresses {
            assert_eq!(public(address.parse().unwrap()), Err(*class), "{address}");
        }
    }
    let all: usize = SPECIAL_ONES.iter().map(|(_, addresses)| addresses.len()).sum();
    assert!(all >= 80, "{all}");
}

#[test]
fn what_is_public_begins_right_beside() {
    for address in [
        "1.0.0.0",
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "203.0.114.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::",
        "2001:db7:ffff::1",
        "2001:db9::",
        "2003::",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "3ffe::1",
        "3fff:1000::",
    ] {
        assert_eq!(public(address.parse().unwrap()), Ok(()), "{address}");
    }
}

#[test]
fn only_networks_of_some_classes_are_opened_and_only_for_hosts_that_are_named() {
    let opened =
        Networks::parse(&["10.20.0.0/16", "192.0.2.10/32", "fd00::/8", "100.64.0.0/10"]).unwrap();
    let check = |address: &str, named: bool, expected: Result<(), Class>| {
        assert_eq!(opened.check(address.parse().unwrap(), named), expected, "{address}");
    };
    check("10.20.1.2", true, Ok(()));
    check("10.20.1.2", false, Err(Class::Private));
    check("10.21.1.2", true, Err(Class::Private));
    check("192.0.2.10", true, Ok(()));
    check("192.0.2.11", true, Err(Class::Documentation));
    check("fd12::1", true, Ok(()));
    check("fd00:ec2::254", true, Err(Class::Metadata));
    check("100.100.100.200", true, Err(Class::Metadata));
    check("127.0.0.1", true, Err(Class::Loopback));
    check("8.8.8.8", false, Ok(()));
    for closed in [
        "0.0.0.0/0",
        "127.0.0.0/8",
        "127.0.0.1/32",
        "169.254.169.254/32",
        "169.254.0.0/16",
        "10.0.0.0/7",
        "8.8.8.8/32",
        "224.0.0.0/4",
        "::/0",
        "::1/128",
        "fe80::/10",
        "::ffff:0:0/96",
        "2002::/16",
        "fec0::/9",
    ] {
        assert!(Networks::parse(&[closed]).is_err(), "{closed}");
    }
    for bad in
        ["10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "/8", "ten/8", "fd00::1/8", ""]
    {
        assert!(matches!(Networks::parse(&[bad]), Err(BadNetwork::Form(_))), "{bad}");
    }
}

proptest! {
    #[test]
    fn an_address_in_disguise_is_not_public(bits: u32) {
        let [a, b] = [bits >> 16, bits & 0xffff].map(|it| u16::try_from(it).unwrap());
        for disguise in [
            [0, 0, 0, 0, 0, 0xffff, a, b],
            [0, 0, 0, 0, 0, 0, a, b],
            [0x64, 0xff9b, 0, 0, 0, 0, a, b],
            [0x2002, a, b, 0, 0, 0, 0, 1],
            [0x2001, 0, a, b, 0, 0, 0, 1],
        ] {
            prop_assert!(public(v6(disguise)).is_err());
        }
    }

    #[test]
    fn what_is_public_of_ipv6_is_global_unicast(bits: u128) {
        let address = IpAddr::V6(Ipv6Addr::from_bits(bits));
        prop_assert!(public(address).is_err() || bits >> 125 == 1);
    }
}
