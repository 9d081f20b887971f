use super::board::STEADY_AFTER;
use super::*;
use prometheus::Opts;
use tokio::sync::mpsc;

/// Runs as it is told to, once per run.
struct Scripted {
    runs: mpsc::Receiver<Run>,
    started: mpsc::Sender<()>,
}

enum Run {
    Panic,
    End,
    For(Duration),
}

impl Supervised for Scripted {
    async fn run(&mut self, stop: &CancellationToken) {
        let _ = self.started.send(()).await;
        match stop.run_until_cancelled(self.runs.recv()).await.flatten() {
            Some(Run::Panic) => panic!("a \u{1b} mistake"),
            Some(Run::For(time)) => {
                tokio::time::sleep(time).await;
                panic!("after a while");
            }
            Some(Run::End) | None => {}
        }
    }
}

/// A supervised task, and what tells it.
struct Rig {
    supervisor: Supervisor,
    restarts: IntCounterVec,
    tasks: JoinSet<()>,
    stop: CancellationToken,
    tell: mpsc::Sender<Run>,
    started: mpsc::Receiver<()>,
}

impl Rig {
    fn new() -> Self {
        let restarts = IntCounterVec::new(Opts::new("restarts", "x"), &["task"]).unwrap();
        let supervisor = Supervisor::new(restarts.clone());
        let (tell, runs) = mpsc::channel(8);
        let (started, is_started) = mpsc::channel(8);
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let name = TaskName::of_model("watch", "shop");
        let task = Scripted { runs, started };
        supervisor.spawn(&mut tasks, name, stop.clone(), task);
        Self {
            supervisor,
            restarts,
            tasks,
            stop,
            tell,
            started: is_started,
        }
    }

    async fn run(&mut self, run: Run) {
        self.started.recv().await.unwrap();
        self.tell.send(run).await.unwrap();
    }

    fn count(&self) -> u64 {
        self.restarts.with_label_values(&["watch"]).get()
    }

    fn failing(&self) -> Vec<String> {
        self.supervisor.board().failing()
    }
}

#[tokio::test(start_paused = true)]
async fn task_that_panics_or_ends_is_restarted_counted_and_shown() {
    let mut rig = Rig::new();
    assert_eq!((rig.count(), rig.failing()), (0, Vec::new()));
    rig.run(Run::Panic).await;
    rig.run(Run::End).await;
    rig.started.recv().await.unwrap();
    assert_eq!(rig.count(), 2);
    let said = "task watch of model shop failed 2 times in a row: it ended";
    assert_eq!(rig.failing(), [said]);
    assert_eq!(rig.supervisor.board().failing_for("shop"), [said]);
    assert!(rig.supervisor.board().failing_for("other").is_empty());
    rig.tell.send(Run::Panic).await.unwrap();
    rig.started.recv().await.unwrap();
    let said = &rig.failing()[0];
    assert!(
        said.ends_with(r"it panicked: a \u{1b} mistake"),
        "escaped: {said}"
    );
}

#[tokio::test(start_paused = true)]
async fn task_that_ran_for_a_while_fails_no_more_and_begins_at_the_first_wait() {
    let mut rig = Rig::new();
    for _ in 0..8 {
        rig.run(Run::Panic).await;
    }
    let board = Arc::clone(rig.supervisor.board());
    rig.run(Run::For(STEADY_AFTER + Duration::from_secs(1)))
        .await;
    tokio::time::sleep(STEADY_AFTER).await;
    assert!(board.failing().is_empty(), "{:?}", board.failing());
    let before = tokio::time::Instant::now();
    rig.started.recv().await.unwrap();
    assert!(before.elapsed() <= Duration::from_secs(1) + 2 * PAUSE_FIRST);
    assert!(board.failing()[0].contains("failed once"));
}

#[tokio::test(start_paused = true)]
async fn task_that_fails_again_and_again_is_told_by_how_long() {
    let mut rig = Rig::new();
    let limit = Duration::from_secs(600);
    let board = Arc::clone(rig.supervisor.board());
    rig.run(Run::Panic).await;
    let began = tokio::time::Instant::now();
    while began.elapsed() < limit {
        assert!(board.failing_for_longer_than(limit).is_empty());
        rig.run(Run::Panic).await;
    }
    rig.started.recv().await.unwrap();
    assert_eq!(board.failing_for_longer_than(limit).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn stop_ends_a_task_that_runs_and_one_that_waits() {
    for is_waiting in [false, true] {
        let mut rig = Rig::new();
        if is_waiting {
            for _ in 0..12 {
                rig.run(Run::Panic).await;
            }
            while rig.count() < 12 {
                tokio::task::yield_now().await;
            }
        }
        rig.stop.cancel();
        rig.tasks.join_next().await.unwrap().unwrap();
        assert_eq!(rig.count(), if is_waiting { 12 } else { 0 });
    }
}

#[test]
fn waits_double_up_to_a_limit() {
    let waits = [1, 2, 3, 9, 10, 11, u32::MAX].map(|failures| pause(failures).as_millis());
    assert_eq!(waits, [100, 200, 400, 25_600, 30_000, 30_000, 30_000]);
}
