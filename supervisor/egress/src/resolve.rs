//! From a name to all of its addresses. Checks none of them; keeps nothing, so that what is
//! connected to is what was answered for this very request.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Lookups of the system's resolver at once: each holds a thread of the runtime until it ends, and
/// there are 512.
const LOOKUPS: usize = 64;

/// How long a name server may take to answer once, and how often it is asked.
const ANSWER: Duration = Duration::from_secs(2);
const TRIES: usize = 2;

/// How long all of a lookup may take.
const LOOKUP: Duration = Duration::from_secs(8);

/// Bytes of an answer by UDP without extensions.
const DATAGRAM: usize = 512;

/// Who is asked.
#[derive(Debug)]
pub(crate) enum Resolver {
    /// The system's own resolver.
    System(Arc<Semaphore>),
    /// A name server, which is to resolve recursively.
    Server(SocketAddr),
}

impl Resolver {
    pub(crate) fn new(server: Option<SocketAddr>) -> Self {
        server.map_or_else(|| Self::System(Arc::new(Semaphore::new(LOOKUPS))), Self::Server)
    }

    /// All addresses of `name`, for a tenant that has so many places for lookups.
    pub(crate) async fn addresses(
        &self,
        name: &str,
        own: &Arc<Semaphore>,
    ) -> io::Result<Vec<IpAddr>> {
        let lookup = async {
            let own = Arc::clone(own).acquire_owned().await.map_err(io::Error::other)?;
            match self {
                Self::System(places) => {
                    let all = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
                    system(name.to_owned(), [own, all]).await
                }
                Self::Server(server) => ask_both(*server, name).await,
            }
        };
        let mut found = tokio::time::timeout(LOOKUP, lookup).await.map_err(io::Error::from)??;
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        found.sort_by_key(IpAddr::is_ipv6);
        found.dedup();
        Ok(found)
    }
}

/// The thread goes on when nobody waits for it any more, and with it the places are taken.
async fn system(name: String, places: [OwnedSemaphorePermit; 2]) -> io::Result<Vec<IpAddr>> {
    let lookup = move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        drop(places);
        Ok(found?.map(|it| it.ip()).collect())
    };
    tokio::task::spawn_blocking(lookup).await.map_err(io::Error::other)?
}

async fn ask_both(server: SocketAddr, name: &str) -> io::Result<Vec<IpAddr>> {
    let (four, six) = tokio::join!(ask(server, name, TYPE::A), ask(server, name, TYPE::AAAA));
    match (four, six) {
        (Ok(mut four), Ok(six)) => {
            four.extend(six);
            Ok(four)
        }
        // Half an answer is none: the other half may be what must not be reached.
        (Err(err), _) | (_, Err(err)) => Err(err),
    }
}

async fn ask(server: SocketAddr, name: &str, kind: TYPE) -> io::Result<Vec<IpAddr>> {
    let mut id = [0; 2];
    SystemRandom::new().fill(&mut id).map_err(|_unspecified| io::Error::other("no random id"))?;
    let id = u16::from_be_bytes(id);
    let query = query(id, name, kind).map_err(io::Error::other)?;
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for _ in 0..TRIES {
        match tokio::time::timeout(ANSWER, datagram(server, &query, id)).await {
            Ok(Ok(answer)) if is_cut(&answer) => {
                let whole = tokio::time::timeout(ANSWER, stream(server, &query)).await;
                return read(&whole.map_err(io::Error::from)??, id, name, kind);
            }
            Ok(Ok(answer)) => return read(&answer, id, name, kind),
            Ok(Err(err)) => last = err,
            Err(_elapsed) => {}
        }
    }
    Err(last)
}

fn query(id: u16, name: &str, kind: TYPE) -> Result<Vec<u8>, simple_dns::SimpleDnsError> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let (kind, class) = (QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN));
    packet.questions.push(Question::new(Name::new(name)?, kind, class, false));
    packet.build_bytes_vec()
}

/// The first datagram of the server that has this id; the socket takes none from others.
async fn datagram(server: SocketAddr, query: &[u8], id: u16) -> io::Result<Vec<u8>> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut answer = vec![0; DATAGRAM];
    loop {
        let length = socket.recv(&mut answer).await?;
        if answer.first_chunk() == Some(&id.to_be_bytes()) {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

async fn stream(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn is_cut(answer: &[u8]) -> bool {
    Packet::parse(answer).is_ok_and(|it| it.has_flags(PacketFlag::TRUNCATION))
}

/// The addresses in an answer to this question. The names between the question and an address are
/// the server's business: it is the operator's, and every address is checked.
fn read(answer: &[u8], id: u16, name: &str, kind: TYPE) -> io::Result<Vec<IpAddr>> {
    let bad = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
    let packet = Packet::parse(answer).map_err(io::Error::other)?;
    let asked = packet.questions.first().is_some_and(|it| {
        it.qtype == QTYPE::TYPE(kind) && it.qname.to_string().eq_ignore_ascii_case(name)
    });
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) || !asked {
        return Err(bad("the name server answered something else"));
    }
    if packet.rcode() == RCODE::NameError {
        return Ok(Vec::new());
    }
    if packet.rcode() != RCODE::NoError {
        return Err(bad("the name server failed"));
    }
    let address = |data: &RData<'_>| {
        if let RData::A(it) = data {
            Some(IpAddr::from(Ipv4Addr::from_bits(it.address)))
        } else if let RData::AAAA(it) = data {
            Some(IpAddr::from(Ipv6Addr::from_bits(it.address)))
        } else {
            None
        }
    };
    Ok(packet.answers.iter().filter_map(|it| address(&it.rdata)).collect())
}

#[cfg(test)]
mod tests;
