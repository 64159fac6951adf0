//! The beginning of a full trace, and of its replay.

use super::Dispatcher;
use crate::config::Config;
use crate::trace::Entry;
use crate::unavailable::Unavailable;

impl Dispatcher<'_> {
    /// Records all from now on, beginning with what the machine was made with.
    pub(crate) fn trace_to(
        &mut self,
        sink: &'static mut (dyn FnMut(&Entry<'_>) + Send),
        config: &Config,
    ) {
        let connections = Some(self.m.admission.capacity());
        let start = Entry::Start {
            config: Config {
                connections,
                ..config.clone()
            },
            windows: self.m.windows,
            sources: self.slots.others.capacity(),
            timers: self.timers.capacity(),
        };
        self.recorder.trace_to(sink);
        self.trace(|| start);
    }

    /// Lets there be fewer sources that are not connections, and free timers, than the table has.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: it has not so many.
    pub(crate) fn restrict(&mut self, sources: u32, timers: u32) -> Result<(), Unavailable> {
        self.slots.others.restrict(sources)?;
        self.timers.restrict(timers)
    }
}
