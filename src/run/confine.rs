//! The sandbox of a command: what it still needs, and what people are told of it.

use super::Failure;
use crate::ops::console;
use crate::ops::sandbox::{self, Needs};

/// Gives up all but `needs` and says what holds: all of it if it `tells`, else what is missing only. `None` gives up
/// nothing, loudly. Before any thread is started.
pub(super) fn confine(needs: Option<&Needs>, tells: bool) -> Result<(), Failure> {
    let Some(needs) = needs else {
        console::error(
            "WARNING: --no-sandbox: what strangers sent is read with all the rights that this program was started with",
        );
        return Ok(());
    };
    let state = sandbox::enter(needs).map_err(Failure::usage)?;
    if tells {
        console::error(&format!("sandbox: {state}"));
    }
    if let Some(missing) = state.missing() {
        console::error(&format!("WARNING: the sandbox is not whole: {missing}"));
    }
    state.hints().iter().for_each(|hint| console::error(hint));
    Ok(())
}
