//! ngIRCd on a loopback port, and people who talk there. Nothing of a conversation is kept by such a
//! server: what nobody has heard is gone.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream as Blocking};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{LOOK, PATIENCE};

/// How often it is started on another port before that is given up.
const STARTS: usize = 5;

/// Bytes of a line with its end: what the protocol allows.
pub const MAX_LINE: usize = 512;

/// What lets people in.
pub const PASSWORD: &str = "garden-gate";

/// Lines of others that a person has heard and nobody has asked for.
const MAX_HEARD: usize = 10_000;

/// The server; dropped, it is killed.
#[derive(Debug)]
pub struct Ircd {
    child: Child,
    state: TempDir,
    address: SocketAddr,
}

/// A line of the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who says so: `nick!user@host`, or the server's name; empty where it does not say.
    pub from: String,
    /// A word or a number of three digits.
    pub command: String,
    /// What belongs to it, the text last.
    pub params: Vec<String>,
}

/// A person who is connected.
#[derive(Debug)]
pub struct Person {
    nick: String,
    lines: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// What has come of the next line.
    begun: Vec<u8>,
    heard: VecDeque<Line>,
}

impl Ircd {
    /// Starts one.
    pub fn start() -> Self {
        let started = (0..STARTS).find_map(|_| Self::started());
        started.unwrap_or_else(|| panic!("no server in {STARTS} starts; is ngircd installed?"))
    }

    fn started() -> Option<Self> {
        let (state, address) = (tempfile::tempdir().unwrap(), super::free());
        let config = format!(
            "[Global]\nName = irc.test\nInfo = tests\nListen = 127.0.0.1\nPorts = {}\n\
             ServerUID = nobody\nServerGID = nogroup\nMotdPhrase = hello\n\
             Password = {PASSWORD}\n\
             [Limits]\nMaxConnectionsIP = 0\nMaxJoins = 0\nPingTimeout = 120\nPongTimeout = 60\n\
             MaxPenaltyTime = 0\n\
             [Options]\nDNS = no\nIdent = no\nPAM = no\nSyslogFacility = local1\n",
            address.port()
        );
        std::fs::write(state.path().join("ngircd.conf"), config).unwrap();
        let mut server = Self { child: spawn(&state), state, address };
        server.answers().then_some(server)
    }

    fn answers(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if Blocking::connect(self.address).is_ok() {
                return true;
            }
            std::thread::sleep(LOOK);
        }
        false
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    /// Kills it: every connection breaks off.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        self.child.wait().unwrap();
    }

    /// Starts it again in the same place.
    pub fn restart(&mut self) {
        self.child = spawn(&self.state);
        let log = self.state.path().join("log");
        assert!(self.answers(), "{}", std::fs::read_to_string(log).unwrap_or_default());
    }

    /// A person of that name, of at most nine letters, who is let in.
    pub async fn person(&self, nick: &str) -> Person {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (reader, writer) = stream.into_split();
        let (lines, begun, heard) = (BufReader::new(reader), Vec::new(), VecDeque::new());
        let mut person = Person { nick: nick.to_owned(), lines, writer, begun, heard };
        person.send(&format!("PASS {PASSWORD}")).await;
        person.send(&format!("NICK {nick}")).await;
        person.send(&format!("USER {nick} 0 * :{nick}")).await;
        person.until("001").await;
        person
    }
}

fn spawn(state: &TempDir) -> Child {
    let log = std::fs::File::create(state.path().join("log")).unwrap();
    let mut command = Command::new("ngircd");
    command.args(["--nodaemon", "--config"]).arg(state.path().join("ngircd.conf"));
    // Debian keeps it where only root looks.
    command.env("PATH", "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/sbin:/bin");
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap_or_else(|err| panic!("ngircd: {err}: run `make networks`"))
}

impl Drop for Ircd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Person {
    /// The name.
    pub fn nick(&self) -> &str {
        &self.nick
    }

    /// Sends one line.
    pub async fn send(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    /// Enters a room, and waits until it is in.
    pub async fn join(&mut self, room: &str) {
        self.send(&format!("JOIN {room}")).await;
        self.until("366").await;
    }

    /// Says something in a room or to somebody.
    pub async fn say(&mut self, to: &str, text: &str) {
        self.send(&format!("PRIVMSG {to} :{text}")).await;
    }

    /// Who says what, of what is said next in that room or, for one's own name, to oneself alone: a
    /// nick and a text.
    pub async fn hears(&mut self, at: &str) -> (String, String) {
        let said = |line: &Line| {
            line.command == "PRIVMSG" && line.params.first().is_some_and(|it| it == at)
        };
        let line = self.find(said).await;
        (line.nick().to_owned(), line.params.last().cloned().unwrap())
    }

    /// The next line with that command.
    pub async fn until(&mut self, command: &str) -> Line {
        self.find(|line| line.command == command).await
    }

    /// The next line of which that holds; those before it can still be asked for.
    pub async fn find(&mut self, wanted: impl Fn(&Line) -> bool) -> Line {
        if let Some(at) = self.heard.iter().position(&wanted) {
            return self.heard.remove(at).unwrap();
        }
        loop {
            let line = self.next().await;
            if wanted(&line) {
                return line;
            }
            assert!(self.heard.len() < MAX_HEARD, "{} hears nothing of it", self.nick);
            self.heard.push_back(line);
        }
    }

    /// What was heard so far and not asked for; waits for nothing.
    pub const fn heard(&self) -> &VecDeque<Line> {
        &self.heard
    }

    /// Hears what has come, until nothing comes for so long.
    pub async fn listen(&mut self, quiet: Duration) {
        while let Some(line) = self.line(quiet).await {
            assert!(self.heard.len() < MAX_HEARD, "{} hears too much", self.nick);
            self.heard.push_back(line);
        }
    }

    async fn next(&mut self) -> Line {
        let line = self.line(PATIENCE).await;
        line.unwrap_or_else(|| panic!("{} hears nothing", self.nick))
    }

    /// The next line that comes within that time; what has come of one that does not is not lost.
    async fn line(&mut self, patience: Duration) -> Option<Line> {
        loop {
            let line = self.lines.read_until(b'\n', &mut self.begun);
            let read = tokio::time::timeout(patience, line).await.ok()?.unwrap();
            assert!(read > 0, "{} was thrown out", self.nick);
            let line = std::mem::take(&mut self.begun);
            let line = Line::parse(String::from_utf8_lossy(&line).trim_end());
            if line.command != "PING" {
                return Some(line);
            }
            self.send(&format!("PONG :{}", line.params.join(" "))).await;
        }
    }
}

impl Line {
    /// A line without its end.
    pub fn parse(text: &str) -> Self {
        let (from, rest) = match text.strip_prefix(':') {
            Some(rest) => rest.split_once(' ').unwrap_or((rest, "")),
            None => ("", text),
        };
        let (head, tail) = match rest.split_once(" :") {
            Some((head, tail)) => (head, Some(tail.to_owned())),
            None => (rest, None),
        };
        let mut words = head.split(' ').filter(|it| !it.is_empty()).map(str::to_owned);
        let command = words.next().unwrap_or_default();
        Self { from: from.to_owned(), command, params: words.chain(tail).collect() }
    }

    /// The name of whoever says so.
    pub fn nick(&self) -> &str {
        self.from.split('!').next().unwrap_or_default()
    }
}
