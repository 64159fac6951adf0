//! Watched descriptors: what the application does with them, and what it must be notified of.

use super::app::App;
use super::drive::Drive;
use super::model::{Listener, Model};
use super::timers::Free;
use super::world::{SOURCES, World};
use tidegate_core::{Directions, Fault, Token};
use tidegate_sim::LineState;

/// One that is watched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    interest: Directions,
    /// It was given up, or could not be registered.
    ended: bool,
}

/// The notice of a descriptor.
pub(super) type Told = (Token, Result<Directions, Fault>);

impl Model {
    /// The watch of this token, unless it has ended.
    fn watch(&mut self, token: Token) -> Option<&mut Watch> {
        let listener = self.listeners.get_mut(&token)?;
        listener.watch.as_mut().filter(|watch| !watch.ended)
    }

    /// An event goes in: what must be notified?
    pub(super) fn reports_watch(&mut self, token: Token, directions: Directions, closing: bool) {
        if let Some(watch) = self.watch(token) {
            let ready = if closing {
                Directions::BOTH
            } else {
                directions
            };
            let told = ready & watch.interest;
            self.of_watch = (!told.is_empty()).then_some((token, Ok(told)));
        }
    }

    /// It could not be registered.
    pub(super) fn watch_fails(&mut self, token: Token, fault: Fault) {
        if let Some(watch) = self.watch(token) {
            watch.ended = true;
            self.of_watch = Some((token, Err(fault)));
        }
    }

    pub(super) fn watch_was_told(&self) {
        assert_eq!(self.of_watch, None, "no notice came");
    }

    /// When no source is queued: what is wanted is armed, and what has ended is being closed.
    pub(super) fn watches_are_armed(&self) {
        for (token, listener) in &self.listeners {
            let Some(watch) = listener.watch else {
                continue;
            };
            if watch.ended {
                assert!(listener.source.closing, "{token:?} does not end");
            } else {
                let armed = listener.source.armed.contains(watch.interest);
                assert!(armed, "deaf: {token:?} {watch:?}");
            }
        }
    }

    fn watches(&self) -> Vec<Token> {
        let watches = self.listeners.iter();
        let mut tokens: Vec<Token> = watches
            .filter(|(_, listener)| listener.watch.is_some())
            .map(|(token, _)| *token)
            .collect();
        tokens.sort_unstable();
        tokens
    }
}

impl App<'_> {
    /// It is notified of a descriptor, and may change its interest.
    pub(super) fn watched(
        &self,
        free: &mut dyn Free,
        token: Token,
        told: Result<Directions, Fault>,
    ) {
        let shared = &mut *self.0.borrow_mut();
        let expected = shared.model.of_watch.take();
        assert_eq!(expected, Some((token, told)), "unexpected notice");
        if !shared.tame {
            shared.act_on_watch(free, token);
        }
    }
}

impl super::app::Shared<'_> {
    fn act_on_watch(&mut self, free: &mut dyn Free, token: Token) {
        let what = self.input.byte();
        let directions = chosen(what);
        if what >= 128 {
            free.watch_for(token, directions);
        } else if what >= 112 {
            free.unwatch(token);
        } else {
            return;
        }
        if let Some(watch) = self.model.watch(token) {
            watch.interest = directions;
            watch.ended = what < 128;
        }
    }
}

fn chosen(what: u8) -> Directions {
    Directions::READ.when(what & 1 == 1) | Directions::WRITE.when(what & 2 == 2)
}

impl<W: World> Drive<'_, W> {
    /// A descriptor is watched, becomes ready or is so no more, or the application changes its mind.
    pub(super) fn act_on_watches(&mut self) {
        let (what, which) = {
            let input = &mut self.shared.borrow_mut().input;
            (input.byte(), input.byte())
        };
        let watches = self.model().watches();
        let nth = watches.get(usize::from(which) % watches.len().max(1));
        match (what >> 6, nth.copied()) {
            (0, _) | (_, None) => self.watch(chosen(what)),
            (1 | 2, Some(token)) => {
                if let Some(line) = self.kernel.lines.get_mut(&token) {
                    line.set_ready(chosen(what));
                }
            }
            (_, Some(token)) => {
                let shared = alloc::rc::Rc::clone(&self.shared);
                self.world
                    .free(&mut |free| shared.borrow_mut().act_on_watch(free, token));
            }
        }
    }

    fn watch(&mut self, directions: Directions) {
        let taken = self
            .model()
            .listeners
            .values()
            .filter(|it| !it.gone)
            .count();
        let token = self.world.watch(directions);
        assert_eq!(token.is_some(), taken < SOURCES, "slots");
        let Some(token) = token else { return };
        let watch = Some(Watch {
            interest: directions,
            ended: false,
        });
        let known = Listener {
            watch,
            ..Listener::default()
        };
        let before = self.model().listeners.insert(token, known);
        assert!(before.is_none(), "{token:?} comes again");
        self.kernel.lines.insert(token, LineState::default());
    }

    /// What is watched for comes no more. An unwanted condition may last for ever, and must not be reported.
    pub(super) fn calm_watches(&mut self) {
        for (token, line) in &mut self.kernel.lines {
            if let Some(watch) = self.shared.borrow_mut().model.watch(*token) {
                line.set_ready(line.ready() - watch.interest);
            }
        }
    }

    pub(super) fn unwatch_all(&mut self) {
        let watches = self.model().watches();
        for token in watches {
            self.world.free(&mut |free| free.unwatch(token));
            if let Some(watch) = self.model().watch(token) {
                watch.ended = true;
            }
        }
    }
}
