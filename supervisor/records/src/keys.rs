//! The table of operators' keys.

use crate::store::Op;
use crate::{Error, KeyRow, Records, json};

const PREFIX: &str = "key/";

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

impl Records {
    /// Every operator's key.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, Error> {
        self.every(PREFIX).await
    }

    /// Writes an operator's key.
    pub async fn put_key(&self, row: &KeyRow) -> Result<(), Error> {
        let ops = vec![Op::put(key(&row.id), json::encode(row, None)?)];
        self.store.commit(Vec::new(), ops).await?;
        Ok(())
    }

    /// Removes an operator's key.
    pub async fn delete_key(&self, id: &str) -> Result<(), Error> {
        self.delete(&key(id)).await
    }
}
