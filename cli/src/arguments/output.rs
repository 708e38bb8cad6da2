//! How a command reports its results.

use super::words::Words;
use crate::options::Action;
use crate::output::Form;

/// The options about what is printed.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    pub(crate) debug: bool,
    pub(crate) form: Form,
}

impl Output {
    pub(super) fn of(words: &Words) -> Self {
        let debug = words.flag("debug");
        let form = if words.flag("json") {
            Form::Json
        } else if words.flag("env") {
            Form::Env(words.action)
        } else {
            // Nothing else goes where data go.
            Form::Text { verbose: (debug || words.flag("verbose")) && !words.flag("tee") }
        };
        Self { debug, form }
    }

    /// Whether the action has something to print that must not be lost: these others print nothing, or nothing of
    /// importance.
    pub(crate) fn is_needed(self, action: Action) -> bool {
        matches!(self.form, Form::Json)
            || !matches!(action, Action::Verify | Action::Open | Action::Close | Action::Serve)
    }
}
