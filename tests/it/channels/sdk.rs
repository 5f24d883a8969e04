//! The Telegram of the tests is one to Telegram's clients: checked by python-telegram-bot before anything
//! is checked with it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::Telegram;
use tests::telegram::Fault;

use super::house::until;

#[tokio::test(flavor = "multi_thread")]
async fn python_telegram_bot_takes_it_for_telegram() {
    let telegram = Telegram::start().await;
    let token = telegram.bot(700, "helper_bot");
    for text in ["one", "two", "three"] {
        telegram.write(&token, 7, text);
    }
    telegram.fault(&token, 8, Fault::Wait(3));
    telegram.fault(&token, 9, Fault::Error);
    telegram.fault(&token, 9, Fault::Forbidden);
    let mut command = Command::new(crate::sdk::interpreter());
    command
        .arg("telegram_bot.py")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk"))
        .env("TELEGRAM_ROOT", telegram.url())
        .env("TELEGRAM_TOKEN", &token);
    let late = async {
        // The one question that waits with nothing before it.
        until("it waits", || telegram.pending(&token) == 0 && telegram.is_polled(&token)).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        telegram.write(&token, 7, "late");
    };
    let (checks, ()) = tokio::join!(crate::sdk::checks(command), late);
    assert!(checks >= 35, "{checks}");
}
