//! A name server with a script: each name has the addresses of its next answer, the last for ever.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;

/// Types of records.
const A: u16 = 1;
const AAAA: u16 = 28;
/// Where the question begins, and where an answer can point to for its name.
const QUESTION: usize = 12;
const NAME_OF_QUESTION: [u8; 2] = [0xc0, 0x0c];

type Script = BTreeMap<String, Name>;

/// What one name has to say.
#[derive(Debug, Default)]
struct Name {
    answers: VecDeque<Vec<IpAddr>>,
    /// Which of the two questions of a lookup, which come in any order, have had this answer.
    asked: Vec<u16>,
}

/// A name server on loopback.
#[derive(Debug)]
pub struct Names {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

impl Names {
    /// Starts one that knows no name.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script::new()));
        drop(tokio::spawn(serve(socket, Arc::clone(&script))));
        Self { address, script }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a name's next lookups give, one after the other. A lookup asks for both kinds of address.
    pub fn set(&self, name: &str, answers: &[&[&str]]) {
        let parse = |answer: &&[&str]| answer.iter().map(|it| it.parse().unwrap()).collect();
        let answers = answers.iter().map(parse).collect();
        self.script.lock().unwrap().insert(name.to_owned(), Name { answers, asked: Vec::new() });
    }
}

impl Name {
    /// Both questions of one lookup get the same answer; the second uses it up.
    fn answer(&mut self, kind: u16) -> Vec<IpAddr> {
        let answer = self.answers.front().cloned().unwrap_or_default();
        self.asked.push(kind);
        if [A, AAAA].iter().all(|it| self.asked.contains(it)) {
            self.asked.clear();
            if self.answers.len() > 1 {
                self.answers.pop_front();
            }
        }
        answer
    }
}

async fn serve(socket: UdpSocket, script: Arc<Mutex<Script>>) {
    let mut query = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut query).await {
        let answer = answer(&query[..length], &script);
        socket.send_to(&answer, from).await.unwrap();
    }
}

fn answer(query: &[u8], script: &Mutex<Script>) -> Vec<u8> {
    let mut at = QUESTION;
    let mut labels = Vec::new();
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let question = &query[QUESTION..at + 5];
    let mut script = script.lock().unwrap();
    let known = script.get_mut(&labels.join("."));
    let refusal = if known.is_some() { 0 } else { 3 };
    let addresses = known.map(|it| it.answer(kind)).unwrap_or_default();
    let records: Vec<_> = addresses.iter().filter(|it| it.is_ipv4() == (kind == A)).collect();
    let count = u8::try_from(records.len()).unwrap();
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | refusal, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(question);
    for address in records {
        answer.extend(NAME_OF_QUESTION);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 0]);
        match address {
            IpAddr::V4(it) => answer.extend([0, 4].into_iter().chain(it.octets())),
            IpAddr::V6(it) => answer.extend([0, 16].into_iter().chain(it.octets())),
        }
    }
    answer
}
