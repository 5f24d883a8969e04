//! Rows that leave with a backup and come back: nothing is dropped of them, and none goes elsewhere.

use types::Limits;

use super::*;

fn check(text: &str, ok: bool) {
    assert_eq!(Portable::parse(text.as_bytes()).is_ok(), ok, "{text}");
}

#[test]
fn what_is_a_row_of_a_backup() {
    check(r#"{"table":"timer","row":{"tenant":"a","at":5}}"#, true);
    check(r#"{"table":"timer","row":{"tenant":"a","at":5,"more":1}}"#, false);
    check(r#"{"table":"timer","row":{"tenant":"a","at":5},"more":1}"#, false);
    check(r#"{"table":"timer","row":{"tenant":"A","at":5}}"#, false);
    check(r#"{"table":"sealed","row":{"name":"key","sealed":"00"}}"#, false);
    check(r#"{"table":"tenant","row":{}}"#, false);
    check(r#"{"table":"overlay","row":{"raw":"{}","hash":"h","updatedAt":1}}"#, true);
    check(r#"{"table":"overlay","row":{"raw":"{}","hash":"h"}}"#, false);
    check("[]", false);
    check("", false);
    check(&format!("{{\"table\":\"timer\"}}{}", " ".repeat(MAX_PORTABLE)), false);
}

#[test]
fn a_row_goes_nowhere_but_to_its_tenant() {
    let a: TenantId = "a".parse().unwrap();
    let of_b = Portable::parse(br#"{"table":"timer","row":{"tenant":"b","at":5}}"#).unwrap();
    let (key, value) = of_b.stored(&a).unwrap().remove(0);
    assert_eq!(key, "timer/a");
    assert_eq!(
        json::decode::<TimerRow>(b"", &value).unwrap(),
        TimerRow { tenant: a.clone(), at: 5 }
    );
    let long = format!(
        r#"{{"table":"node-queue","row":{{"node":"{}","queue":{{"revision":1,"items":[]}}}}}}"#,
        "n".repeat(MAX_KEY)
    );
    Portable::parse(long.as_bytes()).unwrap().stored(&a).unwrap_err();
}

#[tokio::test]
async fn everything_of_a_tenant_is_written_and_read() {
    let records = Records::in_memory();
    let a: TenantId = "a".parse().unwrap();
    records.insert_tenant(&a, 1, Limits::default()).await.unwrap();
    records.set_timer(&a, Some(9)).await.unwrap();
    let overlay = Document { raw: "{}".to_owned(), hash: "h".to_owned(), updated_at: 2 };
    records.replace_overlay(&a, None, &overlay).await.unwrap();
    let rows = records.portable(&a).await.unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows {
        let text = serde_json::to_vec(&row).unwrap();
        assert_eq!(Portable::parse(&text).unwrap(), row);
    }
}
