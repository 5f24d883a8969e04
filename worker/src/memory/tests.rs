//! An agent's memory on disk, and a model whose vectors are the lengths of texts.

use serde_json::json;

use super::*;
use crate::testing::Harness;

struct Remembering(Harness);

impl Remembering {
    async fn new() -> Self {
        let it = Self(Harness::new().await);
        std::fs::create_dir(it.path("memory")).unwrap();
        for name in ["MEMORY.md", "USER.md"] {
            std::fs::remove_file(it.path(name)).unwrap();
        }
        it
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.root.join("agents/main/workspace").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    async fn found(&self, text: &str, model: Option<&str>) -> Found {
        let (text, model) = (text.to_owned(), model.map(ToOwned::to_owned));
        let query = Query { text, max: 6, min_score: 0.0, model };
        let core = &self.0.core;
        core.memory.search(core, &AgentId::main(), query).await.unwrap()
    }

    async fn paths(&self, text: &str) -> Vec<String> {
        self.found(text, None).await.hits.into_iter().map(|hit| hit.path).collect()
    }
}

#[tokio::test]
async fn the_index_follows_the_files() {
    let it = Remembering::new().await;
    it.write("MEMORY.md", "# Notes\n\nThe cat is called Minka.\n");
    it.write("memory/2026-11-22.md", "Went running with Ada.");
    it.write("memory/picture.png", "Minka");
    it.write("AGENTS.md", "Minka");
    let hits = it.found("who is minka?", None).await.hits;
    assert_eq!(hits.len(), 1);
    assert_eq!((hits[0].path.as_str(), hits[0].start_line, hits[0].end_line), ("MEMORY.md", 1, 3));
    assert!(hits[0].snippet.contains("called Minka"));
    assert_eq!(it.paths("run").await, ["memory/2026-11-22.md"]);
    it.write("memory/2026-11-22.md", "Went swimming.");
    assert_eq!(it.paths("running Ada").await, Vec::<String>::new());
    assert_eq!(it.paths("swimming").await, ["memory/2026-11-22.md"]);
    std::fs::remove_file(it.path("MEMORY.md")).unwrap();
    assert_eq!(it.paths("minka").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_query_means_its_words_and_nothing_else() {
    let it = Remembering::new().await;
    it.write("MEMORY.md", "alpha beta");
    for query in ["alpha OR", "\"alpha", "alpha*", "text:alpha", "NEAR(alpha", "-alpha", "alpha ^"]
    {
        assert_eq!(it.paths(query).await, ["MEMORY.md"], "{query}");
    }
    for query in ["", "?!", "'; DROP TABLE files; --"] {
        assert_eq!(it.paths(query).await, Vec::<String>::new(), "{query}");
    }
    assert_eq!(it.paths("beta").await, ["MEMORY.md"]);
}

#[tokio::test]
async fn a_damaged_index_is_made_anew() {
    let it = Remembering::new().await;
    it.write("MEMORY.md", "alpha");
    assert_eq!(it.paths("alpha").await, ["MEMORY.md"]);
    it.0.core.memory.close(&it.0.core).await;
    let index = it.0.root.join("memory/main.sqlite");
    let mut bytes = std::fs::read(&index).unwrap();
    bytes.iter_mut().skip(100).for_each(|byte| *byte = 0x5a);
    std::fs::write(&index, &bytes).unwrap();
    assert_eq!(it.paths("alpha").await, ["MEMORY.md"]);
    it.0.core.memory.close(&it.0.core).await;
    std::fs::write(&index, "this is no database at all, whatever its name says").unwrap();
    assert_eq!(it.paths("alpha").await, ["MEMORY.md"]);
}

#[tokio::test]
async fn meaning_counts_beside_words_where_there_is_a_model() {
    let it = Remembering::new().await;
    it.write("MEMORY.md", "nothing in common");
    let hits = it.found("question", Some("mock/embed")).await.hits;
    assert_eq!(hits.len(), 1, "the vectors are alike");
    assert_eq!(it.paths("question").await, Vec::<String>::new(), "the words are not");
    it.write("MEMORY.md", "something else");
    let found = it.found("question", Some("mock/other")).await;
    assert_eq!((found.hits.len(), found.notes.len()), (1, 0));
}

#[tokio::test]
async fn links_are_not_memory() {
    let it = Remembering::new().await;
    std::fs::create_dir_all(it.0.root.join("agents/main/sessions")).unwrap();
    std::fs::write(it.0.root.join("agents/main/sessions/x.md"), "secret").unwrap();
    std::os::unix::fs::symlink("../sessions/x.md", it.path("MEMORY.md")).unwrap();
    std::os::unix::fs::symlink("../../sessions/x.md", it.path("memory/x.md")).unwrap();
    assert_eq!(it.paths("secret").await, Vec::<String>::new());
}

#[tokio::test]
async fn an_index_goes_with_its_agent() {
    let it = Remembering::new().await;
    it.0.call("agents.create", &json!({"name": "Ops", "workspace": "/workspace"})).await.unwrap();
    let agent: AgentId = "ops".parse().unwrap();
    let query = Query { text: "x".to_owned(), max: 1, min_score: 0.0, model: None };
    it.0.core.memory.search(&it.0.core, &agent, query).await.unwrap();
    let index = it.0.root.join("memory/ops.sqlite");
    assert!(index.exists());
    it.0.call("agents.delete", &json!({"agentId": "ops"})).await.unwrap();
    assert!(!index.exists());
}

#[tokio::test]
async fn searches_that_come_together_all_find_something() {
    let it = Remembering::new().await;
    for n in 0..40 {
        it.write(&format!("memory/{n}.md"), &format!("alpha {n}\n").repeat(2000));
    }
    let found = futures_util::future::join_all((0..4).map(|_| it.paths("alpha"))).await;
    assert!(found.iter().all(|paths| paths.len() == 6), "{found:?}");
    assert_eq!(it.paths("39").await.first().map(String::as_str), Some("memory/39.md"));
}
