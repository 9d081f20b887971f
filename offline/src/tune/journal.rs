//! Finished trials in a file, one JSON value a line, so that an interrupted search goes on.
//!
//! The first line names the search: the digests of the data and the settings. A journal of another
//! search is refused; a last line that was cut off is written again.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use hotshelf_model::FitParams;
use serde::{Deserialize, Serialize};

use super::{Finished, TuneOptions};
use crate::error::Error;

/// Version of the file, and its mark.
const FORMAT: u32 = 1;
/// Longest journal that is read (chosen: ten times the most trials).
const BYTES_MAX: u64 = 8 << 20;

/// The first line.
#[derive(Serialize, Deserialize, PartialEq)]
struct Head {
    hotshelf_trials: u32,
    search: String,
}

/// Whether a file with this beginning is a journal.
pub(crate) fn is_journal(head: &[u8]) -> bool {
    head.starts_with(b"{\"hotshelf_trials\":")
}

/// A journal, or none.
pub(super) struct Journal {
    path: Option<PathBuf>,
    file: Option<File>,
    finished: Vec<Finished>,
}

impl Journal {
    /// Reads what is there and opens the file for what comes.
    ///
    /// # Errors
    /// A file that is no journal of this search, or that cannot be read or written.
    pub(super) fn open(tune: &TuneOptions) -> Result<Self, Error> {
        let mut journal = Self {
            path: tune.journal.clone(),
            file: None,
            finished: Vec::new(),
        };
        let Some(path) = &tune.journal else {
            return Ok(journal);
        };
        let head = Head {
            hotshelf_trials: FORMAT,
            search: tune.fingerprint.clone(),
        };
        journal.finished = read(path, &head)?;
        let mut text = line(&head);
        journal
            .finished
            .iter()
            .for_each(|trial| text += &line(trial));
        // Written anew: what was cut off must not stay.
        let failed = |source| Error::Write {
            path: path.clone(),
            source,
        };
        let mut file = File::create(path).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        journal.file = Some(file);
        Ok(journal)
    }

    /// A finished trial of this number and these parameters.
    pub(super) fn take(&self, number: usize, params: &FitParams) -> Option<Finished> {
        let found = self.finished.get(number - 1)?;
        let same = found.params.als == params.als && found.params.sides == params.sides;
        same.then(|| found.clone())
    }

    pub(super) fn write(&mut self, trial: &Finished) -> Result<(), Error> {
        let (Some(file), Some(path)) = (&mut self.file, &self.path) else {
            return Ok(());
        };
        let written = file.write_all(line(trial).as_bytes());
        written
            .and_then(|()| file.sync_data())
            .map_err(|source| Error::Write {
                path: path.clone(),
                source,
            })
    }
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain numbers and names") + "\n"
}

/// Trials of a journal, none where there is no file yet.
fn read(path: &Path, head: &Head) -> Result<Vec<Finished>, Error> {
    let unreadable = |source| Error::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
        Ok(file) => {
            let mut limited = file.take(BYTES_MAX);
            limited.read_to_string(&mut text).map_err(unreadable)?;
        }
    }
    let mut lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let Some(first) = lines.next() else {
        return Ok(Vec::new());
    };
    let refuse = |why: &str| {
        Err(Error::Argument(format!(
            "--resume {}: {why}; name another file to start anew",
            path.display()
        )))
    };
    match serde_json::from_str::<Head>(first) {
        Err(_) => return refuse("line 1 is not that of a journal of trials"),
        Ok(found) if found != *head => {
            return refuse("line 1 names another search: other data, settings or parameters");
        }
        Ok(_) => {}
    }
    let mut finished = Vec::new();
    for (at, line) in lines.enumerate() {
        match serde_json::from_str::<Finished>(line) {
            Ok(trial) if trial.number == at + 1 => finished.push(trial),
            _ => return refuse(&format!("line {} is not trial {}", at + 2, at + 1)),
        }
    }
    Ok(finished)
}
