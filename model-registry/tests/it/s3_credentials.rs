//! Credentials that are asked for: the agent of a container, as it stands on EKS.

use crate::backends::s3_options;
use crate::faulty_s3::FaultyS3;
use crate::s3_server::{KEY, SECRET};
use crate::s3_tls::with_causes;
use crate::shop::{model, new_version, options};
use hotshelf_registry::{Registry, S3Options};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TOKEN: &str = "shown-to-the-agent";
const URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// Answers requests with the token, and counts all.
struct Agent {
    url: String,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<String>>,
}

/// As an agent spells them.
fn keys(key: &str, secret: &str, token: &str) -> String {
    let keys = serde_json::json!({
        "AccessKeyId": key,
        "SecretAccessKey": secret,
        "Token": token,
        "Expiration": "2999-01-01T00:00:00Z",
    });
    keys.to_string()
}

impl Agent {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/credentials", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let answer = Arc::new(Mutex::new(keys(KEY, SECRET, "of-the-session")));
        let (count, said) = (Arc::clone(&asked), Arc::clone(&answer));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && client.read_buf(&mut head).await.unwrap() > 0
                {
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                let (status, body) = match head.contains(&format!("authorization: {TOKEN}\r\n")) {
                    true => ("200 OK", said.lock().unwrap().clone()),
                    false => ("403 Forbidden", String::new()),
                };
                let len = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}"
                );
                // A peer that has read enough closes.
                let _ = client.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, asked, answer }
    }

    fn says(&self, answer: String) {
        *self.answer.lock().unwrap() = answer;
    }
}

/// A bucket, its agent, and the file with the agent's token.
struct Pod {
    server: FaultyS3,
    agent: Agent,
    file: PathBuf,
    _folder: TempDir,
}

impl Pod {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, TOKEN).unwrap();
        Self {
            server: FaultyS3::start().await,
            agent: Agent::start().await,
            file,
            _folder: folder,
        }
    }

    fn registry(&self) -> Registry {
        let variables = [
            (URI, self.agent.url.clone()),
            (TOKEN_FILE, self.file.display().to_string()),
            ("AWS_ENDPOINT_URL", self.server.endpoint()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        let given = S3Options::from_variables(&variables.into()).unwrap();
        let registry = Registry::open("s3://shelf/root", &given).unwrap();
        registry.with_options(options(1))
    }

    /// Why nothing can be read.
    async fn refusal(&self) -> String {
        let error = self.registry().newest(&model()).await.unwrap_err();
        assert_eq!(error.kind(), "unavailable");
        assert!(error.is_retryable(), "another text will come");
        with_causes(&error)
    }
}

#[tokio::test]
async fn containers_agent_is_asked_once_and_shown_the_token() {
    let pod = Pod::start().await;
    let registry = pod.registry();
    registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    let asked = pod.agent.asked.load(Ordering::Relaxed);
    assert_eq!(asked, 1, "kept until it runs out");

    // A token that the agent does not know: nothing is read, and who says so is named.
    std::fs::write(&pod.file, "another").unwrap();
    let said = pod.refusal().await;
    assert!(
        said.contains(&pod.agent.url) && said.contains("403"),
        "{said}"
    );
}

#[tokio::test]
async fn blanks_and_line_breaks_around_tokens_and_issued_keys_are_cut_off() {
    let pod = Pod::start().await;
    let registry = pod.registry();
    registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    let padded = |text: &str| format!(" \t{text}\r\n\n");
    std::fs::write(&pod.file, padded(TOKEN)).unwrap();
    let around = keys(&padded(KEY), &padded(SECRET), &padded("of-the-session"));
    pod.agent.says(around);
    let newest = pod.registry().newest(&model()).await.unwrap();
    assert_eq!(newest.unwrap().get(), 1);
}

#[tokio::test]
async fn token_that_cannot_be_a_header_is_refused_by_its_file_until_it_can() {
    let pod = Pod::start().await;
    let path = pod.file.display().to_string();
    for token in ["hush\nhush", "hush\u{0}hush", "h\u{fc}sh-hush", "", "\n"] {
        std::fs::write(&pod.file, token).unwrap();
        let said = pod.refusal().await;
        assert!(said.contains(&format!("token file {path}")), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
    let asked = pod.agent.asked.load(Ordering::Relaxed);
    assert_eq!(asked, 0, "nobody is shown such a token");
    std::fs::write(&pod.file, TOKEN).unwrap();
    assert_eq!(pod.registry().newest(&model()).await.unwrap(), None);
}

#[tokio::test]
async fn issued_keys_that_cannot_be_headers_are_refused_by_name_until_they_can() {
    let pod = Pod::start().await;
    let registry = pod.registry();
    for (answer, field) in [
        (keys("hush\nhush", SECRET, "t"), "AccessKeyId"),
        (keys(KEY, "hush\nhush", "t"), "SecretAccessKey"),
        (keys(KEY, SECRET, "hush\r\nx: hush"), "SessionToken"),
        (keys(KEY, SECRET, "hush\u{fc}"), "SessionToken"),
        (keys(KEY, SECRET, " "), "SessionToken: is empty"),
        (String::new(), "no JSON object"),
        ("hush".repeat(100_000), "longer than 65536 bytes"),
    ] {
        pod.agent.says(answer);
        let error = registry.newest(&model()).await.unwrap_err();
        let said = with_causes(&error);
        assert!(said.contains(field), "{said}");
        assert!(said.contains(&pod.agent.url), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
    pod.agent.says(keys(KEY, SECRET, "of-the-session"));
    assert_eq!(registry.newest(&model()).await.unwrap(), None);
}

#[cfg(unix)]
#[tokio::test]
async fn token_file_of_another_kind_is_refused_and_never_waited_for() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let pod = Pod::start().await;
    let link = |to: &str| {
        std::fs::remove_file(&pod.file).unwrap();
        std::os::unix::fs::symlink(to, &pod.file).unwrap();
    };
    link("/dev/zero");
    assert!(pod.refusal().await.contains("it is a device"));
    link("/");
    assert!(pod.refusal().await.contains("it is a folder"));
    std::fs::remove_file(&pod.file).unwrap();
    mknodat(CWD, &pod.file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert!(pod.refusal().await.contains("it is a FIFO"));
    std::fs::remove_file(&pod.file).unwrap();
    std::fs::write(&pod.file, "x".repeat(20_000)).unwrap();
    assert!(pod.refusal().await.contains("longer than 16384 bytes"));
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
