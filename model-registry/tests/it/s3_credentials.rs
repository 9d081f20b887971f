//! Credentials that are asked for: the agent of a container, as it stands on EKS.

use crate::backends::s3_options;
use crate::faulty_s3::FaultyS3;
use crate::s3_server::{KEY, SECRET};
use crate::shop::{model, new_version, options};
use hotshelf_registry::{Registry, S3Options};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TOKEN: &str = "shown-to-the-agent";

/// Gives the keys to requests with the token; counts the requests.
async fn agent() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/credentials", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && client.read_buf(&mut head).await.unwrap() > 0 {}
            let head = String::from_utf8(head).unwrap().to_lowercase();
            let keys = serde_json::json!({
                "AccessKeyId": KEY,
                "SecretAccessKey": SECRET,
                "Token": "of-the-session",
                "Expiration": "2999-01-01T00:00:00Z",
            });
            let (status, body) = if head.contains(&format!("authorization: {TOKEN}")) {
                ("200 OK", keys.to_string())
            } else {
                ("403 Forbidden", String::new())
            };
            let len = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}"
            );
            client.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

#[tokio::test]
async fn containers_agent_is_asked_once_and_shown_the_token() {
    let server = FaultyS3::start().await;
    let (url, asked) = agent().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let variables = BTreeMap::from([
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(), url),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE".to_owned(),
            file.display().to_string(),
        ),
        ("AWS_ENDPOINT_URL".to_owned(), server.endpoint()),
    ]);
    let given = S3Options::from_variables(&variables).unwrap();
    let registry = Registry::open("s3://shelf/root", &given).unwrap();
    let registry = registry.with_options(options(1));
    registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1, "kept until it runs out");

    // A token that the agent does not know: nothing is read, and who says so is named.
    std::fs::write(&file, "another").unwrap();
    let stranger = Registry::open("s3://shelf/root", &given).unwrap();
    let error = stranger.with_options(options(1)).newest(&model()).await;
    assert_eq!(error.unwrap_err().kind(), "unavailable");
}

#[tokio::test]
async fn wrong_keys_read_and_write_nothing() {
    let server = FaultyS3::start().await;
    let mut wrong = s3_options(&server.endpoint());
    if let Some(hotshelf_registry::S3Credentials::Keys {
        secret_access_key, ..
    }) = &mut wrong.credentials
    {
        "guessed".clone_into(secret_access_key);
    }
    let registry = Registry::open("s3://shelf/root", &wrong).unwrap();
    let registry = registry.with_options(options(1));
    assert_eq!(
        registry.newest(&model()).await.unwrap_err().kind(),
        "unavailable"
    );
    let refused = registry.publish(&model(), new_version("ann")).await;
    assert_eq!(refused.unwrap_err().kind(), "read_only");
}
