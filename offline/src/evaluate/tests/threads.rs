//! Any number of threads gives the same evaluation.

use super::*;

#[test]
fn threads_change_no_number() {
    let mut lines = String::new();
    for user in 0..60 {
        for product in 0..8 {
            let at = if product == 7 { 101 } else { 1 };
            lines.push_str(&format!(
                "u{user} p{} {at}\n",
                (user * 7 + product * product) % 23
            ));
        }
    }
    let shop = shop(&lines);
    let on = |threads: usize| {
        let mut options = options(plan(SeenPolicy::Included, 5), FitParams::default());
        options.params.als.factors = 4;
        options.threads = NonZeroUsize::new(threads).unwrap();
        let found = evaluate_parameters(&shop, &options, Progress::silent()).unwrap();
        let path = tempfile::NamedTempFile::new().unwrap();
        found.evaluated.per_user.write(path.path()).unwrap();
        (found.evaluated.report, std::fs::read(path.path()).unwrap())
    };
    let one = on(1);
    assert!(one.0.users > 50, "{:?}", one.0);
    assert_eq!(one, on(3));
}
