//! The sandbox of a command: what it still needs, and what people are told of it.

use super::Failure;
use crate::ops::console::{self, Level};
use crate::ops::sandbox::{self, Needs};

/// Gives up all but `needs` and says at `level` what holds, and what is missing as a warning. `None` gives up
/// nothing, loudly. Before any thread is started.
pub(super) fn confine(needs: Option<&Needs>, level: Level) -> Result<(), Failure> {
    let Some(needs) = needs else {
        console::warning(
            "--no-sandbox: what strangers sent is read with all the rights that this program was started with",
        );
        return Ok(());
    };
    let state = sandbox::enter(needs).map_err(Failure::usage)?;
    console::log(level, &format!("sandbox: {state}"));
    if let Some(missing) = state.missing() {
        console::warning(&format!("the sandbox is not whole: {missing}"));
    }
    state.hints().iter().for_each(|hint| console::warning(hint));
    Ok(())
}
