//! Slack, whose events come by requests.

use std::time::Duration;

use tests::networks::slack::{App, DEADLINE, Slack};

use super::*;

pub(crate) type Row = One<Town>;

/// Slack's gaps between retries are minutes, and a gateway that is started again takes seconds.
const GAPS: [Duration; 200] = [Duration::from_millis(200); 200];

pub(crate) struct Town(Slack);

/// Somebody who talks to an app, whichever way it hears of that.
pub(crate) struct Chat {
    pub(super) app: App,
    person: String,
    room: String,
}

impl Town {
    /// Somebody in a workspace with a new app.
    pub(super) fn chat(&self) -> Chat {
        let app = self.0.app("helper");
        app.schedule(DEADLINE, &GAPS);
        let person = app.person("ann");
        let room = app.direct(&person);
        Chat { app, person, room }
    }
}

impl Many for Town {
    const NAME: &'static str = "slack";
    const SENDS: &'static str = "/api/chat.postMessage";
    const FILE: Option<&'static str> = Some("/api/files.completeUploadExternal");

    type Talk = Chat;

    async fn start() -> Self {
        Self(Slack::start().await)
    }

    fn address(&self) -> Option<SocketAddr> {
        Some(self.0.address())
    }

    async fn join(&self, ground: &Ground, tenant: &str, _root: &str) -> Chat {
        let chat = self.chat();
        let app = &chat.app;
        let vendor = format!("{}:{}", app.id(), app.team());
        let secrets =
            [("--secret-file", app.bot_token()), ("--inbound-secret-file", app.signing_secret())];
        let more = [&OPEN[..], &["--vendor-id", &vendor]].concat();
        let added = ground.add(&[tenant], Self::NAME, &secrets, &more);
        let path = added["path"].as_str().unwrap();
        let url = format!("http://{}{path}", ground.gateway.address());
        app.events_to(&url).await.unwrap();
        chat
    }
}

impl Talk for Chat {
    fn say<'a>(&'a mut self, text: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async {
            self.app.say(&self.room, &self.person, text);
        })
    }

    fn said(&mut self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async {
            let said = self.app.said(&self.room);
            said.iter().map(|it| text_at(it, &["/files/0/name", "/text"])).collect()
        })
    }

    fn newest(&mut self, count: usize) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async move {
            let newest = self.app.newest(&self.room, count);
            newest.iter().map(|it| text_at(it, &["/text"])).collect()
        })
    }

    fn files(&mut self) -> BoxFuture<'_, Vec<Vec<u8>>> {
        Box::pin(async {
            let (said, token) = (self.app.said(&self.room), self.app.bot_token());
            fetched(&said, "/files/0/url_private_download", Some(token)).await
        })
    }

    fn session(&self) -> String {
        session(Town::NAME, &self.person)
    }
}
