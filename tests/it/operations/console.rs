//! A page's `console` blocks as commands with what they should say, and what they said.
//!
//! ```text
//! $ command          run
//! > its next line
//! what it says       compared; `...` stands for any text of a line, alone on a line for any lines
//! ```

use std::collections::BTreeMap;

/// Stands for what is different every time.
const ANY: &str = "...";

/// Begins the line that the script writes after each command.
const MARK: &str = "@@ended";

/// One command of a page.
#[derive(Debug)]
pub(super) struct Step {
    /// Where it stands, from 1.
    pub(super) line: usize,
    pub(super) command: String,
    shown: Vec<String>,
}

/// How a command ended.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    code: i32,
    said: Vec<String>,
}

/// The commands of a page, in order.
pub(super) fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut is_console = false;
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if !is_console {
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                line: number + 1,
                command: command.to_owned(),
                shown: Vec::new(),
            });
        } else {
            let step = steps.last_mut().expect("a block begins with a command");
            match line.strip_prefix("> ").filter(|_| step.shown.is_empty()) {
                Some(more) => step.command.extend(["\n", more]),
                None => step.shown.push(line.to_owned()),
            }
        }
    }
    steps
}

/// All of them as one script that marks where each ended, and how.
pub(super) fn script(steps: &[Step]) -> String {
    let marked = steps.iter().enumerate().map(|(number, step)| {
        let Step { command, .. } = step;
        format!("{command}\nprintf '\\n{MARK} %s %s\\n' {number} $?\n")
    });
    marked.collect()
}

/// What the script said, by the number of the command.
pub(super) fn taken_apart(said: &str) -> BTreeMap<usize, Outcome> {
    let mut outcomes = BTreeMap::new();
    let mut lines = Vec::new();
    for line in said.lines() {
        let Some(mark) = line.strip_prefix(MARK) else {
            lines.push(line.to_owned());
            continue;
        };
        let mut numbers = mark.split_whitespace();
        let number = numbers.next().and_then(|n| n.parse().ok());
        let code = numbers.next().and_then(|n| n.parse().ok());
        let (number, code) = number.zip(code).expect("the script wrote both");
        // The mark's own line break, and one that the command may have left out.
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        let said = std::mem::take(&mut lines);
        outcomes.insert(number, Outcome { code, said });
    }
    outcomes
}

impl Step {
    /// A command whose shown words are a refusal has to fail; any other has to succeed.
    fn is_refused(&self) -> bool {
        let refusals = ["hotshelf: ", "ERROR:"];
        let is_refusal = |line: &String| refusals.iter().any(|r| line.starts_with(r));
        self.shown.iter().any(is_refusal)
    }

    /// Where page and program disagree, in words; `None` where they agree.
    pub(super) fn breach(&self, outcome: &Outcome) -> Option<String> {
        let is_as_shown = matches(&self.shown, &outcome.said);
        if is_as_shown && self.is_refused() == (outcome.code != 0) {
            return None;
        }
        Some(format!(
            "line {}: $ {}\n--- shown\n{}\n--- said, exit {}\n{}",
            self.line,
            self.command,
            self.shown.join("\n"),
            outcome.code,
            outcome.said.join("\n"),
        ))
    }
}

/// Whether these lines are what is shown.
fn matches(shown: &[String], said: &[String]) -> bool {
    let Some((first, rest)) = shown.split_first() else {
        return said.is_empty();
    };
    if first == ANY {
        return (0..=said.len()).any(|skipped| matches(rest, &said[skipped..]));
    }
    let Some((line, more)) = said.split_first() else {
        return false;
    };
    is_line(first, line) && matches(rest, more)
}

/// Whether this line is the one that is shown. Blanks count as one: columns are as wide as their widest word.
fn is_line(shown: &str, said: &str) -> bool {
    let one_blank = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (shown, said) = (one_blank(shown), one_blank(said));
    let pieces: Vec<&str> = shown.split(ANY).map(str::trim).collect();
    let [first, middle @ .., last] = pieces.as_slice() else {
        return shown == said;
    };
    let Some(mut rest) = said.strip_prefix(first) else {
        return false;
    };
    for piece in middle {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn lines_match_apart_from_placeholders() {
    for (shown, said, is_same) in [
        ("a b", "a   b", true),
        ("a b", "a c", false),
        ("fetch ... ms", "  fetch  12.5 ms", true),
        ("fetch ... ms", "fetch 12.5 s", false),
        ("at ... by ... now", "at 1 by 2 now", true),
        ("at ... by ... now", "at 1 to 2 now", false),
        ("...", "whatever", true),
        ("one ... one", "one", false),
    ] {
        assert_eq!(is_line(shown, said), is_same, "{shown} and {said}");
    }
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (shown, said, is_same) in [
        ("", "", true),
        ("", "a", false),
        ("a", "", false),
        ("a\n...", "a\nb\nc", true),
        ("...\nc", "a\nb\nc", true),
        ("a\n...\nc", "a\nc", true),
        ("a\n...\nd", "a\nb\nc", false),
    ] {
        assert_eq!(
            matches(&lines(shown), &lines(said)),
            is_same,
            "{shown} and {said}"
        );
    }
}

#[test]
fn commands_fail_where_their_page_shows_a_refusal_and_nowhere_else() {
    let page = "```console\n$ one\n> two\nsaid\n```\n$ no command\n```sh\n$ neither\n```\n\
                ```console\n$ three\nhotshelf: no\n```\n";
    let steps = steps(page);
    let commands: Vec<&str> = steps.iter().map(|step| step.command.as_str()).collect();
    assert_eq!(commands, ["one\ntwo", "three"]);
    let outcomes = taken_apart("said\n\n@@ended 0 0\nhotshelf: no\n\n@@ended 1 1\n");
    let breach = |step: usize, outcome: &Outcome| steps[step].breach(outcome);
    for number in [0, 1] {
        assert_eq!(breach(number, &outcomes[&number]), None);
        let code = 1 - outcomes[&number].code;
        let said = outcomes[&number].said.clone();
        assert!(
            breach(number, &Outcome { code, said }).is_some(),
            "exit {code}"
        );
    }
}
