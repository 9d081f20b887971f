//! Properties of lists, and several lengths, against hand-worked numbers.

use super::*;

/// Users of a: 1 2 3 4, of b: 1 2, of c: 3, of d: nobody but 4. Everybody comes back for something.
const PAST: &str = "1 a 1\n2 a 1\n3 a 1\n4 a 1\n1 b 1\n2 b 1\n3 c 1\n4 d 1\n";

#[test]
fn map_mrr_and_hit_rate_agree_with_a_hand_worked_list() {
    // Most popular without seen ones, among equals the lower row first. User 1 has a and b and gets c,
    // d; wants d: rank 2. User 3 has a and c and gets b, d; wants b and d: ranks 1 and 2.
    let report = measured(
        &shop(&format!("{PAST}1 d 101\n3 b 101\n3 d 102")),
        plan(SeenPolicy::Excluded, 2),
    );
    let popular = of(&report, "most_popular");
    assert!(
        (popular.means.map - (0.5 + 1.0) / 2.0).abs() < 1e-12,
        "{popular:?}"
    );
    assert!((popular.means.mrr - (0.5 + 1.0) / 2.0).abs() < 1e-12);
    assert_eq!(
        (popular.means.hit_rate, popular.means.precision),
        (1.0, 0.75)
    );
}

#[test]
fn novelty_and_popularity_bias_agree_with_a_hand_worked_list() {
    // User 1 wants d and gets c and d from most popular. One of four users has each: 2 bits. The products of
    // user 1 have 4 and 2 users: a mean of 3, of which 1 is two thirds less.
    let report = measured(
        &shop(&format!("{PAST}1 d 101")),
        plan(SeenPolicy::Excluded, 2),
    );
    let popular = of(&report, "most_popular");
    assert!(
        (popular.means.novelty.unwrap() - 2.0).abs() < 1e-12,
        "{popular:?}"
    );
    assert!((popular.means.popularity_bias.unwrap() + 2.0 / 3.0).abs() < 1e-12);
    // With seen ones: a and b, had by 4 and by 2, 0 and 1 bit; as popular as what user 1 has.
    let report = measured(
        &shop(&format!("{PAST}1 d 101")),
        plan(SeenPolicy::Included, 2),
    );
    let popular = of(&report, "most_popular");
    assert!(
        (popular.means.novelty.unwrap() - 0.5).abs() < 1e-12,
        "{popular:?}"
    );
    assert!(popular.means.popularity_bias.unwrap().abs() < 1e-12);
}

#[test]
fn diversity_is_the_mean_distance_of_pairs_by_content() {
    // Embeddings of the shop's own: c along x, d along y, b between them at 45 degrees.
    let mapping = "[catalogue.embeddings]\nfile = \"e.safetensors\"\nids = \"ids.txt\"\n";
    let folder = tempfile::tempdir().unwrap();
    let lines =
        "1,a,1,purchase\n2,b,1,purchase\n3,c,1,purchase\n4,d,1,purchase\n1,b,101,purchase\n";
    let events = format!("user,product,at,what\n{lines}");
    std::fs::write(folder.path().join("events.csv"), events).unwrap();
    std::fs::write(folder.path().join("ids.txt"), "a\nb\nc\nd\n").unwrap();
    let rows = [[1.0, 1.0], [2.0, 2.0], [1.0, 0.0], [0.0, 3.0f32]];
    let numbers: Vec<u8> = rows
        .concat()
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect();
    let header = r#"{"embeddings":{"dtype":"F32","shape":[4,2],"data_offsets":[0,32]}}   "#;
    let length = (header.len() as u64).to_le_bytes();
    let file = [&length[..], header.as_bytes(), &numbers].concat();
    std::fs::write(folder.path().join("e.safetensors"), file).unwrap();
    let mapping = Mapping::parse(
        &folder.path().join("shop.toml"),
        &format!("{MAPPING}{mapping}"),
    );
    let read = read_shop(
        &mapping.unwrap(),
        IngestOptions::default(),
        Progress::silent(),
    );
    let report = measured(&read.unwrap().0, plan(SeenPolicy::Excluded, 3));
    // b, c, d: cos 45° twice and cos 90°.
    let cosine = 0.5f64.sqrt();
    let expected = (2.0 * (1.0 - cosine) + 1.0) / 3.0;
    let found = of(&report, "most_popular").means.diversity.unwrap();
    assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    assert_eq!(report.diversity_by, "content embeddings");
}

#[test]
fn every_length_has_the_numbers_of_an_evaluation_of_its_own() {
    let lines = format!("{PAST}1 d 101\n2 c 101\n3 b 101\n3 d 102\n4 c 103");
    let shop = shop(&lines);
    let mut lengths = plan(SeenPolicy::Excluded, 2);
    lengths.lengths = vec![2, 1, 3];
    let all = measured(&shop, lengths);
    for (at, k) in [1, 3].into_iter().enumerate() {
        let alone = measured(&shop, plan(SeenPolicy::Excluded, k));
        for scores in &all.rankers {
            let means = of(&alone, scores.ranker).means.clone();
            assert_eq!(scores.lengths[at], MeansAt { k, means }, "{k}");
        }
    }
    assert_eq!((all.k, all.lengths), (2, vec![2, 1, 3]));
}

#[test]
fn file_of_users_has_the_means_of_the_report() {
    let lines = format!("{PAST}1 d 101\n2 c 101\n3 b 101\n3 d 102\n4 c 103");
    let shop = shop(&lines);
    let options = options(plan(SeenPolicy::Excluded, 2), FitParams::default());
    let found = evaluate_parameters(&shop, &options, Progress::silent()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.csv");
    found.evaluated.per_user.write(&path).unwrap();
    let written = std::fs::read(&path).unwrap();
    assert!(is_per_user(&written));
    assert!(!is_per_user(b"user,segment"));
    let mut rows = csv::Reader::from_reader(written.as_slice());
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let report = &found.evaluated.report;
    assert_eq!(rows.len(), 4 * report.rankers.len());
    for scores in &report.rankers {
        let own = rows.iter().filter(|row| &row[2] == scores.ranker);
        let ndcg: Vec<f64> = own.map(|row| row[6].parse().unwrap()).collect();
        assert!((ndcg.iter().sum::<f64>() / 4.0 - scores.means.ndcg).abs() < 1e-12);
    }
}
