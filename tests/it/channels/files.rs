//! What comes with a message: in the workspace of whoever is written to, and nowhere else.

use serde_json::json;
use tests::telegram::FILE;

use super::house::House;
use crate::delivery::seen::settled;

fn document(name: &str, size: usize, file: &str) -> serde_json::Value {
    let document = json!({
        "file_id": file, "file_unique_id": "u1", "file_name": name, "mime_type": "image/png",
        "file_size": size,
    });
    json!({"caption": "look at this", "document": document})
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_in_the_workspace_and_the_model_is_told_where() {
    let house = House::build().await;
    let (tenant, token) = (house.gateway.tenant("acme"), house.telegram.bot(700, "helper_bot"));
    house.add(&["acme"], &token, &["--dm-policy", "open"]);
    house.telegram.write_with(
        &token,
        7,
        &document("../../a pict\u{202e}ure.png", FILE.len(), "file-1"),
    );
    let texts = house.texts(&token, 7, 1).await;
    let name = "inbound/1-0-apicture.png";
    let place = format!("{} bytes, in the workspace as {name}.]", FILE.len());
    assert!(texts[0].contains("look at this") && texts[0].contains(&place), "{texts:?}");
    let workspace = house.gateway.root(&tenant).join("agents/main/workspace");
    assert_eq!(std::fs::read(workspace.join(name)).unwrap(), FILE);
    // What is too large is not fetched, and what the network does not give is said to be missing.
    house.telegram.write_with(&token, 7, &document("large.bin", 21 << 20, "file-1"));
    let texts = house.texts(&token, 7, 2).await;
    assert!(texts[1].contains("larger than the 20971520 bytes"), "{texts:?}");
    house.telegram.write_with(&token, 7, &document("gone.bin", 5, "file-2"));
    let texts = house.texts(&token, 7, 3).await;
    assert!(texts[2].contains("gone.bin, which is not here"), "{texts:?}");
    settled(&house.gateway, &tenant).await;
    let left: Vec<_> = std::fs::read_dir(workspace.join("inbound")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
