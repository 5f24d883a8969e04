//! Files that are not sent: the answer says which, and why.

use std::os::unix::fs::symlink;

use super::{CONTENT, aside, bot, place, saying, settled, workspace};
use crate::channels::house::until;

/// Bytes of a file that are too many by one.
const TOO_LARGE: usize = (10 << 20) + 1;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_workspaces_is_not_sent_and_the_answer_says_so() {
    let (house, tenant, token) = bot("test/bill").await;
    place(&house.gateway, &tenant, "large.bin", &vec![0; TOO_LARGE]).await;
    let within = workspace(&house.gateway, &tenant);
    std::fs::create_dir(within.join("folder")).unwrap();
    symlink("/etc/passwd", within.join("link.txt")).unwrap();
    symlink("/etc", within.join("etc")).unwrap();
    let outside = within.parent().unwrap().join("outside.txt");
    std::fs::write(&outside, "of nobody's").unwrap();
    let named = [
        ("/home/agent/x.txt", "x.txt"),
        ("../outside.txt", "outside.txt"),
        ("/etc/hostname", "hostname"),
        ("link.txt", "link.txt"),
        ("etc/passwd", "passwd"),
        ("folder", "folder"),
        ("missing.txt", "missing.txt"),
        ("large.bin", "large.bin"),
    ];
    let lines: Vec<_> = named.iter().map(|(path, _)| format!("MEDIA:{path}")).collect();
    house.telegram.write(&token, 7, &saying(&format!("see\n{}", lines.join("\n"))));
    let texts = house.texts(&token, 7, 1).await;
    let said: Vec<_> = texts[0].split("\n\n").collect();
    println!("{said:#?}");
    assert_eq!((said[0], said.len()), ("see", named.len() + 1), "{said:?}");
    for (said, (_, name)) in said[1..].iter().zip(named) {
        assert!(said.starts_with(&format!("[{name} could not be sent: ")), "{name}: {said}");
        assert!(!said.contains("/tenant") && !said.contains("agents/main"), "{said}");
    }
    settled(&house.gateway, &tenant).await;
    assert!(house.telegram.files(&token, 7).is_empty());
    assert_eq!((house.telegram.texts(&token, 7).len(), aside(&house.gateway, &tenant)), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_files_go_with_an_answer_and_a_ninth_does_not() {
    let (house, tenant, token) = bot("test/bill").await;
    for n in 0..9 {
        let content = [CONTENT, format!("{n}").as_bytes()].concat();
        place(&house.gateway, &tenant, &format!("{n}.txt"), &content).await;
    }
    let lines: Vec<_> = (0..9).map(|n| format!("MEDIA:{n}.txt")).collect();
    house.telegram.write(&token, 7, &saying(&lines.join("\n")));
    until("all are there", || house.telegram.files(&token, 7).len() == 8).await;
    settled(&house.gateway, &tenant).await;
    let files = house.telegram.files(&token, 7);
    for (n, file) in files.iter().enumerate() {
        assert_eq!(file.name, format!("{n}.txt"), "in their order");
        assert_eq!(file.content, [CONTENT, format!("{n}").as_bytes()].concat());
    }
    let texts = house.telegram.texts(&token, 7);
    assert_eq!(
        (texts[0].as_str(), texts.len()),
        ("[8.txt could not be sent: 8 are sent at once.]", 9)
    );
}
