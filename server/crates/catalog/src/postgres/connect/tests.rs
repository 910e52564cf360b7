#![allow(clippy::unwrap_used)]

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::postgres::Postgres;
use crate::tests::support::Backend;

async fn setting(server: &Postgres, name: &str) -> String {
    let statement = Statement::from_string(DbBackend::Postgres, format!("SHOW {name}"));
    let row = server.read(|readers| readers.query_one_raw(statement.clone())).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn sessions_have_limits() {
    let backend = Backend::postgres();
    let server = Postgres::open(&backend.database().url()).await.unwrap();
    for (name, expected) in [
        ("default_transaction_isolation", "read committed"),
        ("idle_in_transaction_session_timeout", "2s"),
        ("lock_timeout", "5s"),
        ("statement_timeout", "30s"),
        ("application_name", "cache-server"),
    ] {
        assert_eq!(setting(&server, name).await, expected, "{name}");
    }
}

#[tokio::test]
async fn the_url_has_the_last_word() {
    let backend = Backend::postgres();
    let url = format!("{}?options[statement_timeout]=7s&application_name=mine", backend.database().url());
    let server = Postgres::open(&url).await.unwrap();
    assert_eq!(setting(&server, "statement_timeout").await, "7s");
    assert_eq!(setting(&server, "lock_timeout").await, "5s");
    assert_eq!(setting(&server, "application_name").await, "mine");
}
