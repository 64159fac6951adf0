//! [`Scene`]: a world as data, to be run again, made smaller and printed.

use super::peer::Script;
use super::print;
use super::shrink::Shrinker;
use super::{Setup, World};
use crate::faults::Faults;
use alloc::string::String;
use alloc::vec::Vec;
use tidegate_core::ConfigError;
use tidegate_core::{AnyMemory, Handler};

/// What a [`World`] is made of, but for its handler: it can be run as often as wanted, made smaller while it still fails,
/// and printed as a test.
///
/// # Examples
///
/// A handler that loses a byte now and then is found by a random scene, which is reduced to what it takes.
///
/// ```
/// use tidegate_sim::{Faults, Random, Scene, Script, Setup};
/// use tidegate_core::{Conn, Handler, Memory};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     type State = ();
///     fn readable(&mut self, conn: &mut Conn<'_>, _: &mut ()) {
///         let data = conn.data();
///         let n = data.len().min(conn.capacity());
///         let lost = data.get(..n).filter(|data| data.contains(&b'x')).is_some();
///         if conn.send(&data[usize::from(lost)..n]).is_ok() {
///             conn.consume(n);
///         }
///     }
/// }
///
/// // Runs a scene, and answers which faults were put in if it fails.
/// let fails = |scene: &Scene| {
///     let mut memory = Memory::<2, 64, 128>::new();
///     let mut world = scene.world(&mut memory, Echo).unwrap();
///     let lost = |world: &tidegate_sim::World<'_, Echo>| {
///         let mut peers = world.peers().filter(|peer| peer.end() == tidegate_sim::End::Finished);
///         peers.any(|peer| peer.sent().len() > peer.received().len())
///     };
///     let failed = world.settle().is_err() || lost(&world);
///     failed.then(|| world.kernel().faults.clone())
/// };
///
/// let scene = (0..100).find_map(|seed| {
///     let mut random = Random::new(seed);
///     let setup = Setup { seed, faults: Faults::swarm(seed, 9, false), ..Setup::default() };
///     let scripts = (0..5).map(|_| Script::random(&mut random, 12)).collect();
///     Some(Scene { setup, scripts }).filter(|scene| fails(scene).is_some())
/// });
/// let small = scene.unwrap().shrink(fails);
/// assert!(fails(&small).is_some() && small.steps() <= 3);
/// println!("{}", small.as_test("Memory::<2, 64, 128>::new()", "Echo"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// What the world is like.
    pub setup: Setup,
    /// What each peer does.
    pub scripts: Vec<Script>,
}

impl Scene {
    /// Its world, with your handler, and nothing done yet.
    ///
    /// # Errors
    ///
    /// As [`World::new`].
    pub fn world<'m, H: Handler>(
        &self,
        memory: &'m mut impl AnyMemory<State = H::State>,
        handler: H,
    ) -> Result<World<'m, H>, ConfigError> {
        let mut world = World::new(memory, &self.setup, handler)?;
        for script in &self.scripts {
            world.add(script.clone());
        }
        Ok(world)
    }

    /// How much there is in it: the steps of its scripts, and the faults that are put at named calls.
    #[must_use]
    pub fn steps(&self) -> usize {
        let steps: usize = self.scripts.iter().map(|script| script.steps.len()).sum();
        steps + self.setup.faults.named().len()
    }

    /// The smallest scene found that still fails: peers, steps and faults are left out, bytes and times made fewer,
    /// settings reset to their defaults, as long as `fails` returns the faults of the world it ran
    /// ([`Kernel::faults`](crate::Kernel::faults)); `None` is a run that did not fail. Work: some thousand runs.
    ///
    /// It is returned unchanged if it does not fail.
    #[must_use]
    pub fn shrink(self, fails: impl FnMut(&Self) -> Option<Faults>) -> Self {
        Shrinker::new(self, fails).shrink()
    }

    /// It as the text of a test, which settles its world. `memory` and `handler` are the expressions to make them with.
    #[must_use]
    pub fn as_test(&self, memory: &str, handler: &str) -> String {
        print::test(self, memory, handler)
    }
}
