//! Slack, whose events come through a socket.

use super::*;

pub(crate) type Row = One<Town>;

pub(crate) struct Town(slack_events::Town);

impl Many for Town {
    const NAME: &'static str = slack_events::Town::NAME;
    const SENDS: &'static str = slack_events::Town::SENDS;
    const FILE: Option<&'static str> = slack_events::Town::FILE;

    type Talk = slack_events::Chat;

    async fn start() -> Self {
        Self(slack_events::Town::start().await)
    }

    fn address(&self) -> Option<SocketAddr> {
        self.0.address()
    }

    async fn join(&self, ground: &Ground, tenant: &str, _root: &str) -> slack_events::Chat {
        let chat = self.0.chat();
        let app = &chat.app;
        app.use_sockets();
        let vendor = format!("{}:{}", app.id(), app.team());
        let secrets =
            [("--secret-file", app.bot_token()), ("--socket-secret-file", app.app_token())];
        let more = [&OPEN[..], &["--vendor-id", &vendor, "--way", "socket"]].concat();
        ground.add(&[tenant], Self::NAME, &secrets, &more);
        app.has_sockets(1).await;
        chat
    }
}
