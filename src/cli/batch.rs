//! Commands of the batch program that people try here.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The commands of `hotshelf-offline`; a test holds them against its `--help`.
const OFFLINE: [&str; 3] = ["train", "evaluate", "publish"];

/// Prints why the arguments could not be parsed, and ends the process as clap does. A command of
/// `hotshelf-offline` gets a message that leads there.
pub(super) fn exit(error: &clap::Error) -> ! {
    if let Some(command) = offline_command(error) {
        let message = format!(
            "\"{command}\" is a command of hotshelf-offline: run \"hotshelf-offline {command}\" \
             (built beside hotshelf by cargo build --workspace)\n"
        );
        clap::Error::raw(ErrorKind::InvalidSubcommand, message).exit()
    }
    error.exit()
}

fn offline_command(error: &clap::Error) -> Option<&'static str> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    OFFLINE.into_iter().find(|command| command == typed)
}
