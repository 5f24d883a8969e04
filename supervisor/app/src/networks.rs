//! `channels` of the configuration: where chat networks are called instead of at their own addresses, and
//! where the gateway is reached from outside.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Bytes of an address.
const MAX_URL: usize = 1024;

/// What the operator says of chat networks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Channels {
    /// Where the gateway's listener is reached from outside, as `https://host[:port][/path]`: networks are
    /// told this address where an account's events come in by requests.
    pub public_url: Option<String>,
    /// Telegram.
    pub telegram: Option<Network>,
    /// Slack.
    pub slack: Option<Network>,
    /// Discord.
    pub discord: Option<Network>,
    /// Matrix: the homeserver of accounts that name none.
    pub matrix: Option<Network>,
    /// IRC: the server of accounts that name none, as `irc://` or `ircs://` and a host.
    pub irc: Option<Network>,
    /// Webhooks: a receiver that accounts may name though its address is not public.
    pub webhook: Option<Network>,
}

/// One network.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Network {
    /// Where it is called, as `http://` or `https://`, a host, and a path. It is reached whatever its
    /// address is: by saying it, the operator lets the accounts of this network out to it.
    pub api_root: String,
}

impl Channels {
    fn named(&self) -> [(&'static str, Option<&Network>); 6] {
        [
            ("telegram", self.telegram.as_ref()),
            ("slack", self.slack.as_ref()),
            ("discord", self.discord.as_ref()),
            ("matrix", self.matrix.as_ref()),
            ("irc", self.irc.as_ref()),
            ("webhook", self.webhook.as_ref()),
        ]
    }

    /// What is wrong with it.
    pub(crate) fn mistakes(&self, mistakes: &mut Vec<String>) {
        for (name, network) in self.named() {
            if network.is_some_and(|it| !is_address(name, &it.api_root)) {
                let scheme =
                    if name == "irc" { "irc:// or ircs://" } else { "http:// or https://" };
                mistakes.push(format!("channels.{name}.apiRoot: {scheme} and a host"));
            }
        }
        if self.public_url.as_deref().is_some_and(|it| !is_address("", it)) {
            mistakes.push("channels.publicUrl: http:// or https:// and a host".to_owned());
        }
    }

    /// What accounts go by.
    pub(crate) fn read(&self) -> accounts::Config {
        let plain = |url: &str| url.trim_end_matches('/').to_owned();
        let roots = self.named().into_iter();
        let roots = roots.filter_map(|(name, it)| Some((name.to_owned(), plain(&it?.api_root))));
        let roots: BTreeMap<_, _> = roots.collect();
        accounts::Config { roots, public_url: self.public_url.as_deref().map(plain) }
    }
}

fn is_address(network: &str, url: &str) -> bool {
    let is_plain = url.len() <= MAX_URL && !url.contains(['?', '#', '@']);
    is_plain && accounts::is_address(network, url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_networks() {
        let check = |text: &str, expected: &[&str]| {
            let channels: Channels = json5::from_str(text).unwrap();
            let mut mistakes = Vec::new();
            channels.mistakes(&mut mistakes);
            assert_eq!(mistakes.len(), expected.len(), "{mistakes:?}");
            for (mistake, expected) in mistakes.iter().zip(expected) {
                assert!(mistake.starts_with(expected), "{mistake}");
            }
        };
        check("{}", &[]);
        check("{ telegram: { apiRoot: 'http://127.0.0.1:1' } }", &[]);
        check("{ telegram: { apiRoot: 'x' } }", &["channels.telegram.apiRoot"]);
        check("{ matrix: { apiRoot: 'https://u@a.example' } }", &["channels.matrix.apiRoot"]);
        check("{ irc: { apiRoot: 'irc://127.0.0.1:6667' } }", &[]);
        check("{ irc: { apiRoot: 'http://127.0.0.1' } }", &["channels.irc.apiRoot"]);
        check("{ publicUrl: 'irc://a' }", &["channels.publicUrl"]);
        check("{ publicUrl: 'ftp://a' }", &["channels.publicUrl"]);
        json5::from_str::<Channels>("{ smoke: { apiRoot: 'http://a' } }").unwrap_err();
        let channels: Channels =
            json5::from_str("{ publicUrl: 'https://a/', slack: { apiRoot: 'http://b/' } }")
                .unwrap();
        let config = channels.read();
        assert_eq!(config.public_url.as_deref(), Some("https://a"));
        assert_eq!(config.roots.get("slack").map(String::as_str), Some("http://b"));
    }
}
