//! The server as other people's tools see it, which know nothing but its address.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

use hotshelf_model::{Defaults, IndexChoice, Query, Strategy};
use serde_json::{Value, json};

use crate::harness::{CATEGORIES, MODEL, Season, Server, Shop, catalogue, ranked};
use crate::tools::{self, Tool};

const RECOMMENDATIONS: &str = "hotshelf.v1.RecommendationService";
const MODELS: &str = "hotshelf.v1.ModelService";
const EVENTS: &str = "hotshelf.v1.EventService";

/// grpcurl, without proto files: all it knows comes from reflection.
struct Grpcurl<'a> {
    tool: &'a Path,
    to: SocketAddr,
}

impl Grpcurl<'_> {
    fn run(&self, before: &[&str], after: &[&str]) -> Output {
        let mut command = Command::new(self.tool);
        command
            .arg("-plaintext")
            .args(before)
            .arg(self.to.to_string())
            .args(after);
        command.output().unwrap()
    }

    fn text(&self, after: &[&str]) -> String {
        let output = self.run(&[], after);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn call(&self, method: &str, message: &Value) -> Value {
        let message = message.to_string();
        let output = self.run(&["-emit-defaults", "-d", &message], &[method]);
        assert!(output.status.success(), "{method} {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn refusal(&self, method: &str, message: &Value) -> String {
        let output = self.run(&["-d", &message.to_string()], &[method]);
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// For the data listener and the admin listener.
fn both<'a>(tool: &'a Path, server: &Server) -> [Grpcurl<'a>; 2] {
    [server.data, server.admin].map(|to| Grpcurl { tool, to })
}

#[tokio::test]
async fn grpcurl_without_proto_files_lists_and_describes_the_services() {
    let Some(tool) = tools::find(Tool::Grpcurl) else {
        return;
    };
    let server = Server::start(&Shop::new(), &[]).await;
    let [data, admin] = both(&tool, &server);
    let listed = data.text(&["list"]);
    assert_eq!(
        listed.lines().collect::<Vec<_>>(),
        [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            EVENTS,
            RECOMMENDATIONS,
        ]
    );
    assert!(admin.text(&["list"]).contains(MODELS));
    for (curl, service) in [(&data, EVENTS), (&data, RECOMMENDATIONS), (&admin, MODELS)] {
        let described = curl.text(&["describe", service]);
        assert!(
            described.contains(&format!(
                "service {} {{",
                service.rsplit('.').next().unwrap()
            )),
            "{described}"
        );
    }
    let fields = data.text(&["describe", "hotshelf.v1.RecommendRequest"]);
    assert!(fields.contains("optional uint32 n = 5;"), "{fields}");
    server.stop().await;
}

#[tokio::test]
async fn grpcurl_without_proto_files_calls_each_rpc() {
    let Some(tool) = tools::find(Tool::Grpcurl) else {
        return;
    };
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::start(&shop, &[]).await;
    let [data, admin] = both(&tool, &server);
    // Nothing is live yet; every call below leaves its mark on the next.
    let health = json!({ "service": RECOMMENDATIONS });
    assert_eq!(
        data.call("grpc.health.v1.Health/Check", &health)["status"],
        "NOT_SERVING"
    );
    let done = admin.call(
        &format!("{MODELS}/ReloadModel"),
        &json!({ "author": "grpcurl" }),
    );
    assert_eq!(
        (&done["changed"], &done["version"], &done["state"]),
        (&json!(true), &json!("1"), &json!("VERSION_STATE_LIVE"))
    );
    let status = admin.call(&format!("{MODELS}/GetModelStatus"), &json!({}));
    assert_eq!(status["live"]["author"], "grpcurl");
    let versions = admin.call(
        &format!("{MODELS}/ListModelVersions"),
        &json!({ "model": MODEL }),
    );
    assert_eq!(versions["versions"][0]["users"], "240");
    server.until_ready().await;
    assert_eq!(
        data.call("grpc.health.v1.Health/Check", &health)["status"],
        "SERVING"
    );
    let answer = data.call(
        &format!("{RECOMMENDATIONS}/Recommend"),
        &json!({ "userId": "u0042", "n": 3 }),
    );
    let expected: Vec<_> = spring
        .top("u0042")
        .into_iter()
        .take(3)
        .map(|(id, _)| id)
        .collect();
    let items = answer["items"].as_array().unwrap();
    let ids: Vec<_> = items
        .iter()
        .map(|item| item["productId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, expected);
    let similar = format!("{RECOMMENDATIONS}/SimilarProducts");
    let answer = data.call(&similar, &json!({ "productId": "p0001", "n": 3 }));
    assert_eq!(answer["items"].as_array().unwrap().len(), 3);
    let refused = data.refusal(&similar, &json!({ "productId": "none" }));
    assert!(
        refused.contains("NotFound") && refused.contains("none"),
        "{refused}"
    );
    assert!(
        refused.contains("\"reason\": \"UNKNOWN_PRODUCT\""),
        "what the refusal carries is shown in words: {refused}"
    );
    server.stop().await;
}

fn script(python: &Path, name: &str, args: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/python")
        .join(name);
    let output = Command::new(python)
        .arg(script)
        .args(args)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn python_stubs_generated_from_proto_call_recommend() {
    let Some(python) = tools::find(Tool::Python) else {
        return;
    };
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let address = server.data.to_string();
    let args = [
        "--address",
        &address,
        "--user",
        "u0042",
        "--strategy",
        "collaborative",
    ];
    let answer = script(&python, "call_recommend.py", &args);
    let items = answer["items"].as_array().unwrap();
    let given: Vec<_> = items
        .iter()
        .map(|item| {
            (
                item["product_id"].as_str().unwrap().to_owned(),
                item["score"].as_f64().unwrap() as f32,
            )
        })
        .collect();
    let query = Query {
        user_id: "u0042",
        strategy: Strategy::Collaborative,
        ..Query::default()
    };
    assert_eq!(given, ranked(&spring.model, &query));
    assert_eq!(
        (&answer["strategy"], &answer["version"]),
        (&json!("STRATEGY_COLLABORATIVE"), &json!("1"))
    );
    server.stop().await;
}

#[tokio::test]
async fn python_stubs_generated_from_proto_call_similar_products_with_a_filter() {
    let Some(python) = tools::find(Tool::Python) else {
        return;
    };
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let address = server.data.to_string();
    let args = [
        "--address",
        &address,
        "--similar",
        "p0001",
        "--category",
        CATEGORIES[2],
        "--price-max",
        "5",
        "--n",
        "4",
    ];
    let answer = script(&python, "call_recommend.py", &args);
    assert_eq!(answer["product_id"], "p0001");
    let items = answer["items"].as_array().unwrap();
    assert_eq!(items.len(), 4);
    for item in items {
        let id = item["product_id"].as_str().unwrap();
        let product = catalogue().into_iter().find(|product| product.id == id);
        let product = product.unwrap();
        assert_eq!(item["product_name"].as_str(), product.name.as_deref());
        assert_eq!(item["category"], CATEGORIES[2]);
        let price = item["price"].as_f64().unwrap() as f32;
        assert!(Some(price) == product.price && price <= 5.0, "{item}");
    }
    server.stop().await;
}

#[tokio::test]
async fn safetensors_and_pyarrow_alone_recompute_what_the_server_answers() {
    let Some(python) = tools::find(Tool::Python) else {
        return;
    };
    let shop = Shop::new();
    let spring = shop.publish_without_content(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let root = shop.root().display().to_string();
    for user in ["u0000", "u0042", "u0239"] {
        let args = [
            "--registry",
            &root,
            "--model",
            MODEL,
            "--version",
            "1",
            "--user",
            user,
        ];
        let report = script(&python, "read_version.py", &args);
        assert_eq!(
            report["parts"].as_object().unwrap().len(),
            5,
            "every part was opened"
        );
        let answer = server.recommend(user).await.unwrap();
        assert_eq!(answer.items.len(), 10);
        let recomputed = report["items"].as_array().unwrap();
        assert_eq!(recomputed.len(), 10);
        for (own, other) in answer.items.iter().zip(recomputed) {
            assert_eq!(own.product_id, other["product_id"], "{user} {answer:?}");
            let (score, expected) = (own.score, other["score"].as_f64().unwrap());
            // Eight products and sums in f32, each rounded by at most 2^-24 of the largest score.
            let close = 16.0 * f64::from(f32::EPSILON) * answer.items[0].score;
            assert!(
                (score - expected).abs() <= close,
                "{user}: {score} and {expected}"
            );
        }
    }
    server.stop().await;
}

/// The answers of a server by the second implementation, as the script reports them.
fn verified(python: &Path, shop: &Shop, server: &Server) -> Value {
    let (root, address) = (shop.root().display().to_string(), server.data.to_string());
    let args = [
        "--registry",
        &root,
        "--model",
        MODEL,
        "--version",
        "1",
        "--address",
        &address,
        "--people",
        "120",
        "--products",
        "60",
    ];
    script(python, "verify_answers.py", &args)
}

#[tokio::test]
async fn second_implementation_in_numpy_blends_all_sides_alike_under_each_plan() {
    let Some(python) = tools::find(Tool::Python) else {
        return;
    };
    let grocer = Defaults {
        strategy: Strategy::Blended,
        include_seen: true,
    };
    for index in [IndexChoice::Auto, IndexChoice::Exact, IndexChoice::Hnsw] {
        let shop = Shop::new();
        let published = shop.publish_blended(Season::Spring, index, Some(grocer));
        let version = published.await.version;
        let server = Server::serving(&shop, version, &[]).await;
        let report = verified(&python, &shop, &server);
        assert_eq!(report["is_good"], true, "{index:?}: {report:#}");
        for what in ["blended", "default", "hybrid", "similar by sequence"] {
            let count = report["answers"][what].as_u64();
            assert!(count.is_some_and(|count| count >= 15), "{what}: {report:#}");
        }
        for plan in ["transitions", "history", "popularity"] {
            assert!(
                report["plans"][plan]
                    .as_u64()
                    .is_some_and(|count| count > 5),
                "{report:#}"
            );
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn second_implementation_in_numpy_gives_the_same_answers() {
    let Some(python) = tools::find(Tool::Python) else {
        return;
    };
    for index in [IndexChoice::Auto, IndexChoice::Exact, IndexChoice::Hnsw] {
        let shop = Shop::new();
        let version = shop.publish_indexed(Season::Spring, index).await.version;
        let server = Server::serving(&shop, version, &[]).await;
        let report = verified(&python, &shop, &server);
        assert_eq!(report["is_good"], true, "{index:?}: {report:#}");
        let answers = report["answers"].as_object().unwrap().values();
        let answers: u64 = answers.map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(answers, 120 + 2 + 60, "{report:#}");
        server.stop().await;
    }
}
