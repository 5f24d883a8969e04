//! A name server that answers as a test tells it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use runtime::Tasks;
use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, ResourceRecord, TYPE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

/// The addresses of a name at its n-th question, which is two: for each family.
pub(crate) trait Zone: Fn(&str, usize) -> Vec<IpAddr> + Send + Sync + 'static {}

impl<T: Fn(&str, usize) -> Vec<IpAddr> + Send + Sync + 'static> Zone for T {}

/// How often each name was asked for in IPv4, or else in IPv6.
type Asked = HashMap<(String, bool), usize>;

#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Asked>>,
}

impl Names {
    /// Serves `zone`. Answers that do not fit into a datagram are cut, and whole over TCP.
    pub(crate) async fn serve(zone: impl Zone, tasks: &Tasks) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.unwrap();
        let (names, zone) = (Self { address, asked: Arc::default() }, Arc::new(zone));
        let (server, answers) = (names.clone(), Arc::clone(&zone));
        tasks.spawn_until_stopped(async move {
            let mut query = [0; 512];
            loop {
                let (length, from) = udp.recv_from(&mut query).await.unwrap();
                let mut answer = server.answer(&query[..length], &*answers, false);
                if answer.len() > 512 {
                    answer = server.answer(&query[..length], &|_: &str, _| Vec::new(), true);
                }
                udp.send_to(&answer, from).await.unwrap();
            }
        });
        let server = names.clone();
        tasks.spawn_until_stopped(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
                stream.read_exact(&mut query).await.unwrap();
                let answer = server.answer(&query, &*zone, false);
                stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        });
        names
    }

    /// How often a name was asked for.
    pub(crate) fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().get(&(name.to_owned(), true)).copied().unwrap_or(0)
    }

    fn answer(
        &self,
        query: &[u8],
        zone: &dyn Fn(&str, usize) -> Vec<IpAddr>,
        cut: bool,
    ) -> Vec<u8> {
        let query = Packet::parse(query).unwrap();
        let (four, name) = {
            let question = &query.questions[0];
            (question.qtype == QTYPE::TYPE(TYPE::A), question.qname.clone())
        };
        let text = name.to_string();
        let number = {
            let mut asked = self.asked.lock().unwrap();
            let number = asked.entry((text.clone(), four)).or_default();
            *number += 1;
            *number - 1
        };
        let mut reply = query.into_reply();
        if cut {
            reply.set_flags(PacketFlag::TRUNCATION);
        }
        for address in zone(&text, number).into_iter().filter(|it| it.is_ipv4() == four) {
            let data = match address {
                IpAddr::V4(it) => RData::A(A { address: it.to_bits() }),
                IpAddr::V6(it) => RData::AAAA(AAAA { address: it.to_bits() }),
            };
            reply.answers.push(ResourceRecord::new(name.clone(), CLASS::IN, 0, data));
        }
        reply.build_bytes_vec().unwrap()
    }
}
