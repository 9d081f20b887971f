use crate::harness::{MODEL, Server, Shop};
use hotshelf::grpc::proto::{GetModelStatusRequest, RecommendRequest, Rollout};

async fn live(server: &Server, model: &str) -> Rollout {
    let request = GetModelStatusRequest {
        model: model.to_owned(),
    };
    let status = server.operator().await.get_model_status(request).await;
    status.unwrap().into_inner().live.unwrap()
}

async fn version(server: &Server, model: &str) -> u64 {
    let request = RecommendRequest {
        user_id: "u0001".to_owned(),
        model: model.to_owned(),
        ..RecommendRequest::default()
    };
    server.ask(request).await.unwrap().version
}

#[tokio::test]
async fn models_of_one_server_have_rollouts_of_their_own() {
    let shop = Shop::new();
    let checkout = shop.beside("checkout");
    for shop in [&shop, &checkout] {
        shop.publish_two().await;
        shop.propose(1).await;
    }
    let models = format!("{MODEL},checkout");
    let server = Server::start(&shop, &[("models", &models)]).await;
    server.until_ready().await;
    server.rollout(&["start", "2", "--share", "100%", "--model", "checkout"]);
    assert_eq!(live(&server, "checkout").await.number, 2);
    assert_eq!(version(&server, "checkout").await, 2);
    for model in ["", MODEL] {
        assert_eq!(
            live(&server, model).await.number,
            1,
            "{model:?} has its own"
        );
        assert_eq!(version(&server, model).await, 1);
    }
    server.rollout(&["rollback", "--model", "checkout"]);
    assert_eq!(version(&server, "checkout").await, 1);
    assert_eq!(live(&server, MODEL).await.number, 1);
    server.stop().await;
}
