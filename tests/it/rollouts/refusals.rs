use crate::harness::{Season, Server, Shop, error_reason, hotshelf, violations};
use hotshelf::grpc::proto::propose_rollout_request::Change;
use hotshelf::grpc::proto::{
    Arm, PauseCandidate, ProposeRolloutRequest, ProposeRolloutResponse, RampStep, StartCandidate,
    StartTest,
};
use tonic::{Code, Status};

fn step(share_bp: u32, hold_s: i64) -> RampStep {
    let hold = prost_types::Duration {
        seconds: hold_s,
        nanos: 0,
    };
    RampStep {
        share_bp,
        hold: Some(hold),
    }
}

fn start(version: u64, steps: Vec<RampStep>) -> ProposeRolloutRequest {
    signed(Change::Start(StartCandidate { version, steps }))
}

fn test(arms: &[(&str, u64, u32)]) -> ProposeRolloutRequest {
    let arm = |(name, version, share_bp): &(&str, u64, u32)| Arm {
        name: (*name).to_owned(),
        version: *version,
        share_bp: *share_bp,
        manifest_sha256: String::new(),
    };
    signed(Change::Test(StartTest {
        arms: arms.iter().map(arm).collect(),
    }))
}

fn signed(change: Change) -> ProposeRolloutRequest {
    ProposeRolloutRequest {
        change: Some(change),
        author: "ann".to_owned(),
        reason: "a test".to_owned(),
        ..ProposeRolloutRequest::default()
    }
}

async fn propose(
    server: &Server,
    request: ProposeRolloutRequest,
) -> Result<ProposeRolloutResponse, Status> {
    let mut operator = server.operator().await;
    Ok(operator.propose_rollout(request).await?.into_inner())
}

/// A bad request, the fields that it is refused for, and what the refusal says.
type Bad = (ProposeRolloutRequest, Vec<&'static str>, &'static str);

fn bad_candidates() -> Vec<Bad> {
    vec![
        (
            start(0, vec![step(1, 0)]),
            vec!["start.version"],
            "0 is not a version",
        ),
        (
            start(2, vec![]),
            vec!["start.steps"],
            "number of steps \"0\"",
        ),
        (
            start(2, vec![step(500, 60), step(100, 0)]),
            vec!["start.steps"],
            "share of a step \"100\" is refused: more than the 500 of the step before",
        ),
        (
            start(2, vec![step(10_001, 0)]),
            vec!["start.steps[0].share_bp"],
            "10001 is not within 0 to 10,000",
        ),
        (
            start(2, vec![step(1, -5), step(2, 0)]),
            vec!["start.steps[0].hold"],
            "-5 s",
        ),
        (
            start(2, vec![step(1, 5)]),
            vec!["start.steps"],
            "hold of the last step \"5\"",
        ),
    ]
}

fn bad_tests() -> Vec<Bad> {
    let nine: Vec<(String, u64)> = (1..=9).map(|n| (format!("a{n}"), n)).collect();
    let nine: Vec<(&str, u64, u32)> = nine.iter().map(|(n, v)| (n.as_str(), *v, 1_111)).collect();
    vec![
        (
            test(&[("a", 1, 4_000), ("b", 2, 5_000)]),
            vec!["test.arms"],
            "sum of shares \"9000\"",
        ),
        (
            test(&[("a", 1, 5_000), ("b", 1, 5_000)]),
            vec!["test.arms"],
            "version of an arm \"1\"",
        ),
        (test(&nine), vec!["test.arms"], "number of arms \"9\""),
        (
            test(&[("a", 1, 10_000)]),
            vec!["test.arms"],
            "1 arm is not within 2 to 8",
        ),
        (
            test(&[("A b", 1, 5_000), ("b", 2, 5_000)]),
            vec!["test.arms"],
            "arm \"A b\"",
        ),
    ]
}

#[tokio::test]
async fn bad_fields_are_named_with_value_and_limit() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, 1, &[]).await;
    let unsigned = ProposeRolloutRequest {
        author: String::new(),
        reason: " ".to_owned(),
        change: None,
        ..ProposeRolloutRequest::default()
    };
    let fields = vec!["author", "reason", "change"];
    let unsigned = (unsigned, fields, "give one of start");
    let bad = bad_candidates().into_iter().chain(bad_tests());
    for (request, fields, said) in bad.chain([unsigned]) {
        let refused = propose(&server, request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert_eq!(violations(&refused), fields);
        assert!(
            refused.message().contains(said),
            "{said:?} in {:?}",
            refused.message()
        );
    }
    assert_eq!(
        server.status().await.desired.unwrap().number,
        1,
        "nothing was written"
    );
    server.stop().await;
}

#[tokio::test]
async fn change_that_conflicts_with_the_current_rollout_is_refused_and_names_it() {
    let shop = Shop::with_two_versions().await;
    let server = Server::serving(&shop, 1, &[]).await;
    let refused = propose(&server, start(9, vec![step(100, 0)]))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert!(refused.message().contains("version 9"), "{refused:?}");
    let refused = propose(&server, signed(Change::Pause(PauseCandidate {})))
        .await
        .unwrap_err();
    assert_eq!(error_reason(&refused), "ROLLOUT_IMPOSSIBLE");
    propose(&server, start(2, vec![step(100, 0)]))
        .await
        .unwrap();
    for request in [
        start(2, vec![step(500, 0)]),
        test(&[("a", 1, 5_000), ("b", 2, 5_000)]),
    ] {
        let refused = propose(&server, request).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
        assert_eq!(error_reason(&refused), "ROLLOUT_IMPOSSIBLE");
        let said = "rollout 2 (version 2 at 100 bp, version 1 at 9900 bp; by ann: a test)";
        assert!(refused.message().contains(said), "{refused:?}");
    }
    let late = ProposeRolloutRequest {
        expected_rollout: Some(1),
        ..signed(Change::Pause(PauseCandidate {}))
    };
    let refused = propose(&server, late).await.unwrap_err();
    assert_eq!(error_reason(&refused), "ROLLOUT_NOT_EXPECTED");
    server.stop().await;
}

#[tokio::test]
async fn of_two_racing_candidates_the_loser_learns_who_won() {
    let shop = Shop::new();
    for factors in [8, 16, 24] {
        shop.publish_sized(Season::Spring, factors).await;
    }
    let one = Server::serving(&shop, 1, &[]).await;
    let other = Server::start(&shop, &[]).await;
    other.until_live(1).await;
    let named = |author: &str, version| ProposeRolloutRequest {
        author: author.to_owned(),
        ..start(version, vec![step(100, 0)])
    };
    let (ann, bob) = tokio::join!(
        propose(&one, named("ann", 2)),
        propose(&other, named("bob", 3))
    );
    let (winner, lost) = match (ann, bob) {
        (Ok(_), Err(lost)) => ("version 2 at 100 bp, version 1 at 9900 bp; by ann", lost),
        (Err(lost), Ok(_)) => ("version 3 at 100 bp, version 1 at 9900 bp; by bob", lost),
        both => panic!("{both:?}"),
    };
    // A later proposal has observed the winner's record or lost the create to it.
    let is_told = matches!(lost.code(), Code::Aborted | Code::FailedPrecondition);
    assert!(is_told && lost.message().contains(winner), "{lost:?}");
    one.stop().await;
    other.stop().await;
}

#[test]
fn mistyped_commands_never_reach_a_server() {
    for (args, said) in [
        (vec!["start", "2", "--share", "1"], "is not a share"),
        (
            vec!["start", "2", "--steps", "1%:10x,100%"],
            "is not a duration such as",
        ),
        (vec!["start", "--arm", "a=1"], "is not an arm"),
        (vec!["start"], "required"),
    ] {
        let signed = ["--author", "ann", "--reason", "a test"];
        let run = hotshelf(&[&["rollout"], &args[..], &signed].concat());
        assert!(run.refusal(2).contains(said), "{run:?}");
    }
    let run = hotshelf(&["rollout", "abort", "--author", "ann"]);
    assert!(run.refusal(2).contains("--reason"), "{run:?}");
}
