//! The flags of commands that open a registry themselves: those of the settings that a bucket is
//! reached with, made from their table.

use crate::config::{Layers, S3_SETTINGS, SETTINGS, Setting};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use std::collections::BTreeMap;

/// Texts by key, as typed.
pub(super) struct S3Args(BTreeMap<String, String>);

impl S3Args {
    /// Over these variables.
    pub(super) fn layers(&self, variables: BTreeMap<String, String>) -> Layers {
        Layers {
            flags: self.0.clone(),
            variables,
            file: None,
        }
    }
}

fn settings() -> impl Iterator<Item = &'static Setting> {
    SETTINGS
        .iter()
        .filter(|setting| S3_SETTINGS.contains(&setting.key))
}

impl FromArgMatches for S3Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let typed = settings().filter_map(|setting| {
            let text = matches.get_one::<String>(setting.key)?;
            Some((setting.key.to_owned(), text.clone()))
        });
        Ok(Self(typed.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for S3Args {
    fn augment_args(command: Command) -> Command {
        command.args(settings().map(super::serve::argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
