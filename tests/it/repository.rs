//! The laws of the repository, checked by a walk over its files: sizes, names, words, dependencies between
//! packages and files, and links.
//!
//! Each law is one test that reports file and line. `repository/tests.rs` shows each a text that breaks it, since
//! a law that cannot fail proves nothing.

mod boundaries;
mod circles;
mod documents;
mod laws;
mod promises;
mod source;
mod tasks;
mod tests;
mod vocabulary;

use std::path::Path;

use laws::Breach;
use source::SourceFile;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn holds(law: impl Fn(&SourceFile) -> Vec<Breach>) {
    let files = source::files(root());
    assert!(
        files.iter().any(|file| file.path == "Cargo.toml"),
        "the walk found nothing"
    );
    let breaches: Vec<String> = files
        .iter()
        .flat_map(law)
        .map(|breach| breach.to_string())
        .collect();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn no_file_of_code_is_longer_than_500_lines() {
    holds(laws::size);
}

#[test]
fn files_and_folders_say_what_they_hold() {
    holds(laws::file_names);
}

#[test]
fn declarations_say_what_they_are() {
    holds(laws::declared_names);
}

#[test]
fn packages_depend_in_one_direction() {
    holds(boundaries::arrows);
}

#[test]
fn no_files_of_a_package_form_a_circle() {
    let files = source::files(root());
    let circles = circles::circles(&files);
    let circles: Vec<String> = circles.iter().map(ToString::to_string).collect();
    assert!(circles.is_empty(), "\n{}\n", circles.join("\n"));
}

#[test]
fn only_the_edge_knows_wire_types() {
    holds(boundaries::wire_types);
}

#[test]
fn model_does_no_io_and_reads_no_clock() {
    holds(boundaries::model_is_pure);
}

#[test]
fn one_file_builds_object_paths() {
    holds(boundaries::object_paths);
}

#[test]
fn only_the_configuration_reads_the_environment() {
    holds(boundaries::environment);
}

#[test]
fn long_lived_tasks_are_started_by_the_supervisor() {
    holds(tasks::starts);
}

#[test]
fn unsafe_code_is_confined_to_the_kernels() {
    holds(boundaries::unsafe_code);
}

#[test]
fn no_test_is_ignored_and_no_code_is_a_stub() {
    holds(laws::unfinished_code);
}

#[test]
fn work_left_to_do_names_its_issue() {
    holds(laws::undone_work);
}

#[test]
fn relative_links_resolve() {
    holds(|file| documents::links(root(), file));
}

#[test]
fn every_row_on_reliability_names_an_existing_test() {
    let files = source::files(root());
    assert!(files.iter().any(|file| file.path == promises::PAGE));
    let known = promises::Known::of(&files);
    holds(|file| promises::every_failure_has_a_test(&known, file));
}

#[test]
fn retired_phrases_stay_retired() {
    holds(vocabulary::phrases);
}

#[test]
fn retired_identifiers_stay_retired() {
    holds(vocabulary::identifiers);
}

#[test]
fn architecture_names_files_that_exist() {
    holds(|file| documents::named_files(root(), file));
}

#[test]
fn readme_stays_a_front_page() {
    holds(documents::front_page);
}

#[test]
fn no_text_names_folders_of_one_machine() {
    holds(documents::machine_paths);
}

#[test]
fn shell_scripts_stop_at_the_first_failure() {
    holds(documents::shell_scripts_are_strict);
}
