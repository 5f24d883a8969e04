//! Which addresses are public, by IANA's registries of special-purpose addresses. Pure.
//!
//! Resolves nothing and knows no names: whoever connects asks about every address first.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Why an address is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// What clouds tell their machines, keys included. Never reachable.
    Metadata,
    /// This network, or no address.
    Unspecified,
    /// This machine.
    Loopback,
    /// This link.
    LinkLocal,
    /// A private network.
    Private,
    /// Shared by a carrier with its customers.
    Shared,
    /// A private network of IPv6.
    UniqueLocal,
    /// Written in books.
    Documentation,
    /// For measurements.
    Benchmarking,
    /// Many receivers.
    Multicast,
    /// Set aside for protocols, or another address in disguise.
    Protocol,
    /// Not given to anybody.
    Reserved,
}

/// A network: the addresses whose first bits are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

/// The networks that the operator declares reachable though they are not public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    /// Not of the form.
    #[error("{0:?} is not ADDRESS/BITS with no bit of the address set after the first BITS")]
    Form(String),
    /// Not one of those that may be opened.
    #[error(
        "{0} cannot be opened: only private, shared, documentation and benchmarking networks can"
    )]
    Closed(String),
}

/// Addresses that clouds serve their machines' keys at, wherever they are. One is a public address.
const METADATA: [IpAddr; 5] = [
    v4(169, 254, 169, 254),
    v4(100, 100, 100, 200),
    v4(168, 63, 129, 16),
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]),
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]),
];

/// What is not public. The first row that has the address says why.
const SPECIAL: [(Network, Class); 34] = [
    (net(v4(0, 0, 0, 0), 8), Class::Unspecified),
    (net(v4(10, 0, 0, 0), 8), Class::Private),
    (net(v4(100, 64, 0, 0), 10), Class::Shared),
    (net(v4(127, 0, 0, 0), 8), Class::Loopback),
    (net(v4(169, 254, 0, 0), 16), Class::LinkLocal),
    (net(v4(172, 16, 0, 0), 12), Class::Private),
    (net(v4(192, 0, 0, 0), 24), Class::Protocol),
    (net(v4(192, 0, 2, 0), 24), Class::Documentation),
    // Relays of 6to4 that lead anywhere.
    (net(v4(192, 88, 99, 0), 24), Class::Protocol),
    (net(v4(192, 168, 0, 0), 16), Class::Private),
    (net(v4(198, 18, 0, 0), 15), Class::Benchmarking),
    (net(v4(198, 51, 100, 0), 24), Class::Documentation),
    (net(v4(203, 0, 113, 0), 24), Class::Documentation),
    (net(v4(224, 0, 0, 0), 4), Class::Multicast),
    (net(v4(240, 0, 0, 0), 4), Class::Reserved),
    (net(v6([0, 0, 0, 0, 0, 0, 0, 0]), 128), Class::Unspecified),
    (net(v6([0, 0, 0, 0, 0, 0, 0, 1]), 128), Class::Loopback),
    // IPv4 in IPv6's clothes: compatible, mapped, translated, NAT64.
    (net(v6([0, 0, 0, 0, 0, 0, 0, 0]), 96), Class::Protocol),
    (net(v6([0, 0, 0, 0, 0, 0xffff, 0, 0]), 96), Class::Protocol),
    (net(v6([0, 0, 0, 0, 0xffff, 0, 0, 0]), 96), Class::Protocol),
    (net(v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0]), 96), Class::Protocol),
    (net(v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0]), 48), Class::Protocol),
    (net(v6([0x100, 0, 0, 0, 0, 0, 0, 0]), 64), Class::Protocol),
    (net(v6([0x2001, 2, 0, 0, 0, 0, 0, 0]), 48), Class::Benchmarking),
    // Teredo, ORCHID and the other protocols.
    (net(v6([0x2001, 0, 0, 0, 0, 0, 0, 0]), 23), Class::Protocol),
    (net(v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]), 32), Class::Documentation),
    // 6to4: an IPv4 address inside.
    (net(v6([0x2002, 0, 0, 0, 0, 0, 0, 0]), 16), Class::Protocol),
    (net(v6([0x3fff, 0, 0, 0, 0, 0, 0, 0]), 20), Class::Documentation),
    (net(v6([0xfc00, 0, 0, 0, 0, 0, 0, 0]), 7), Class::UniqueLocal),
    (net(v6([0xfe80, 0, 0, 0, 0, 0, 0, 0]), 10), Class::LinkLocal),
    // Site-local, of old.
    (net(v6([0xfec0, 0, 0, 0, 0, 0, 0, 0]), 10), Class::Private),
    (net(v6([0xff00, 0, 0, 0, 0, 0, 0, 0]), 8), Class::Multicast),
    // Everything else outside 2000::/3, in two halves.
    (net(v6([0, 0, 0, 0, 0, 0, 0, 0]), 3), Class::Reserved),
    (net(v6([0x4000, 0, 0, 0, 0, 0, 0, 0]), 2), Class::Reserved),
];

/// The upper half of IPv6, which no row above has, is nobody's.
const UPPER_HALF: Network = net(v6([0x8000, 0, 0, 0, 0, 0, 0, 0]), 1);

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

#[expect(clippy::many_single_char_names, reason = "eight groups have eight names")]
const fn v6(groups: [u16; 8]) -> IpAddr {
    let [a, b, c, d, e, f, g, h] = groups;
    IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
}

const fn net(first: IpAddr, bits: u32) -> Network {
    Network { first, bits }
}

/// Whether anybody on the internet may be meant by `address`.
///
/// # Errors
/// With what else the address is for.
pub fn public(address: IpAddr) -> Result<(), Class> {
    if METADATA.contains(&address) {
        return Err(Class::Metadata);
    }
    match SPECIAL.iter().find(|(network, _)| network.has(address)) {
        Some((_, class)) => Err(*class),
        None if UPPER_HALF.has(address) => Err(Class::Reserved),
        None => Ok(()),
    }
}

impl Class {
    /// Whether an operator may declare a network of this class reachable.
    const fn may_be_opened(self) -> bool {
        match self {
            Self::Private
            | Self::Shared
            | Self::UniqueLocal
            | Self::Documentation
            | Self::Benchmarking => true,
            Self::Metadata
            | Self::Unspecified
            | Self::Loopback
            | Self::LinkLocal
            | Self::Multicast
            | Self::Protocol
            | Self::Reserved => false,
        }
    }
}

impl Network {
    /// Whether `address` is in it.
    pub fn has(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                self.bits == 0 || (first.to_bits() ^ address.to_bits()) >> (32 - self.bits) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                self.bits == 0 || (first.to_bits() ^ address.to_bits()) >> (128 - self.bits) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Whether all of it is in one network that may be opened.
    fn may_be_opened(&self) -> bool {
        SPECIAL.iter().any(|(special, class)| {
            class.may_be_opened() && special.bits <= self.bits && special.has(self.first)
        })
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let parsed = text.split_once('/').and_then(|(first, bits)| {
            let (first, bits) = (first.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?);
            let bits = u32::from(bits);
            let clean = match first {
                IpAddr::V4(it) => bits <= 32 && it.to_bits().checked_shl(bits).unwrap_or(0) == 0,
                IpAddr::V6(it) => bits <= 128 && it.to_bits().checked_shl(bits).unwrap_or(0) == 0,
            };
            clean.then_some(Self { first, bits })
        });
        parsed.ok_or_else(|| BadNetwork::Form(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl Networks {
    /// The networks that `texts` name.
    ///
    /// # Errors
    /// When one is no network, or none that may be opened: loopback, link-local and the like never.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, BadNetwork> {
        let one = |text: &T| {
            let network: Network = text.as_ref().parse()?;
            if network.may_be_opened() {
                Ok(network)
            } else {
                Err(BadNetwork::Closed(network.to_string()))
            }
        };
        texts.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Whether `address` may be connected to; `named` says that a rule names its host, without which
    /// only public addresses may.
    pub(crate) fn check(&self, address: IpAddr, named: bool) -> Result<(), Class> {
        match public(address) {
            Err(class) if class != Class::Metadata && named && self.has(address) => Ok(()),
            checked => checked,
        }
    }

    /// Whether `address` is in one of them.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.has(address))
    }

    /// Networks that no configuration could open.
    #[cfg(test)]
    pub(crate) fn unchecked(text: &str) -> Self {
        Self(vec![text.parse().unwrap()])
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "a metadata service",
            Self::Unspecified => "no address",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Private => "private",
            Self::Shared => "a carrier's own",
            Self::UniqueLocal => "private (unique local)",
            Self::Documentation => "for documentation",
            Self::Benchmarking => "for benchmarks",
            Self::Multicast => "multicast",
            Self::Protocol => "set aside for protocols",
            Self::Reserved => "reserved",
        })
    }
}

#[cfg(test)]
mod tests;
