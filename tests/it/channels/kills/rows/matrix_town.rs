//! A homeserver on which two tenants have a bot each and share a third, and two people talk to all of them:
//! alone, and in rooms where a bot is named by whoever means it.

use ring::digest::{SHA256, digest};
use tests::networks::synapse::{Person, Synapse};

use super::*;
use crate::channels::matrix::{events, has_said, naming};

/// The tenants, by their places.
const ACME: usize = 0;
const GLOBEX: usize = 1;

/// With whom they talk, by place among the bots: the tenants' own bots, and the one that is shared.
const OF_ACME: usize = 0;
const OF_GLOBEX: usize = 1;
const SHARED: usize = 2;

/// Who talks, by place among the people.
const ANN: usize = 0;
const BOB: usize = 1;

/// How a code is answered.
const WELCOME: &str = "Welcome";

/// One conversation.
#[derive(Clone, Copy)]
struct Talk {
    person: usize,
    bot: usize,
    is_room: bool,
}

const fn talk(person: usize, bot: usize, is_room: bool) -> Talk {
    Talk { person, bot, is_room }
}

/// The conversations, those of two first; whose they are is in [`Net::TALKS`].
const ALL: [Talk; 7] = [
    talk(ANN, OF_ACME, false),
    talk(BOB, OF_GLOBEX, false),
    talk(ANN, SHARED, false),
    talk(BOB, SHARED, false),
    // In one room.
    talk(BOB, OF_ACME, true),
    talk(ANN, OF_GLOBEX, true),
    talk(ANN, SHARED, true),
];

pub(crate) struct Row {
    server: Synapse,
    people: [Person; 2],
    bots: [Person; 3],
    /// Where each conversation is.
    rooms: Vec<String>,
}

impl Net for Row {
    const NAME: &'static str = "matrix";
    const TENANTS: &'static [&'static str] = &["acme", "globex"];
    const TALKS: &'static [usize] = &[ACME, GLOBEX, ACME, GLOBEX, ACME, GLOBEX, ACME];

    async fn start() -> Self {
        let server = Synapse::start().await;
        let people = [server.person("ann").await, server.person("bob").await];
        let bots =
            [server.person("one").await, server.person("two").await, server.person("all").await];
        Self { server, people, bots, rooms: Vec::new() }
    }

    async fn ground(&self) -> (Between, Ground) {
        beyond(Self::NAME, self.server.address(), "/send/m.room.message/").await
    }

    async fn join(&mut self, ground: &Ground, tenants: &[Tenant], root: &str) {
        let [one, two, all] = self.bots.each_ref().map(Person::token);
        let more = [&OPEN[..], &["--group-policy", "open", "--server", root]].concat();
        ground.add(&["acme"], Self::NAME, &[("--secret-file", one)], &more);
        ground.add(&["globex"], Self::NAME, &[("--secret-file", two)], &more);
        let more = ["--server", root];
        ground.add_as("all", &["--shared"], Self::NAME, &[("--secret-file", all)], &more);
        let [acme, globex] = tenants else { panic!("two tenants") };
        for Talk { person, bot, .. } in ALL.into_iter().filter(|it| !it.is_room) {
            let made = self.direct(person, bot).await;
            self.rooms.push(made);
        }
        self.bind(ground, acme, 2).await;
        self.bind(ground, globex, 3).await;
        let garden = self.room("garden", &[OF_ACME, OF_GLOBEX]).await;
        let yard = self.room("yard", &[SHARED]).await;
        self.rooms.extend([garden.clone(), garden, yard]);
        // By one who is bound.
        self.bind(ground, acme, 6).await;
    }

    async fn say(&mut self, talk: usize, text: &str) {
        let Talk { person, is_room, .. } = ALL[talk];
        if is_room {
            self.people[person].say(&self.rooms[talk], "this is for nobody").await;
        }
        self.tell(talk, text).await;
    }

    async fn said(&mut self, talk: usize) -> Vec<String> {
        let Talk { person, bot, .. } = ALL[talk];
        let all = events(&self.people[person], &self.rooms[talk], &self.bots[bot]).await;
        let said = all.iter().map(|it| it["content"]["body"].as_str().unwrap().to_owned());
        said.filter(|it| !it.starts_with(WELCOME)).collect()
    }

    fn session(&self, talk: usize) -> String {
        let Talk { person, bot, is_room } = ALL[talk];
        let account = if bot == SHARED { "shared.all" } else { "bot" };
        if is_room {
            format!("agent:main:matrix:group:{}", word(&self.rooms[talk]))
        } else {
            format!("agent:main:matrix:{account}:direct:{}", self.people[person].id())
        }
    }
}

impl Row {
    /// A conversation of two, once the bot is in it.
    async fn direct(&self, person: usize, bot: usize) -> String {
        let (person, bot) = (&self.people[person], &self.bots[bot]);
        let room = person.direct(bot.id()).await;
        person.sees_in(&room, &[bot.id(), person.id()]).await;
        room
    }

    /// A room with both people and these bots, once all are in it.
    async fn room(&self, name: &str, bots: &[usize]) -> String {
        let [ann, bob] = &self.people;
        let others = bots.iter().map(|bot| self.bots[*bot].id()).chain([bob.id()]);
        let others: Vec<_> = others.collect();
        let room = ann.room(name, &others).await;
        bob.join(&room).await;
        ann.sees_in(&room, &[&others[..], &[ann.id()]].concat()).await;
        room
    }

    /// Makes a conversation with the shared bot a tenant's, by a code of the tenant's.
    async fn bind(&mut self, ground: &Ground, tenant: &Tenant, talk: usize) {
        let code = ground.pair_as("all", tenant, Self::NAME, ALL[talk].is_room).await;
        self.tell(talk, &code).await;
        let (reader, bot) = (&self.people[ALL[talk].person], &self.bots[SHARED]);
        let told = has_said(reader, &self.rooms[talk], bot, 1).await;
        assert!(told[0].starts_with(WELCOME), "{told:?}");
    }

    /// Says something that is meant for the bot.
    async fn tell(&mut self, talk: usize, text: &str) {
        let Talk { person, bot, is_room } = ALL[talk];
        let (person, room) = (&mut self.people[person], &self.rooms[talk]);
        if is_room {
            person.send(room, &naming(&self.bots[bot], text)).await;
        } else {
            person.say(room, text).await;
        }
    }
}

/// A room's id in the name of a session, where capitals are small letters: with a digest where it has any.
fn word(room: &str) -> String {
    let lower = room.to_lowercase();
    if lower == room {
        return lower;
    }
    let shown: String = lower.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    let digest = digest(&SHA256, room.as_bytes());
    let digest = digest.as_ref().first_chunk().map_or(0, |it| u128::from_be_bytes(*it));
    format!("{shown}~{digest:032x}")
}
