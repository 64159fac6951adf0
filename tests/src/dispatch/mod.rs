//! [`dispatch`]: any sequence of calls into the core, with every law checked after each.
//!
//! The input is a [`Plan`](input::Plan) of nine bytes, then steps of one byte each (see [`steps`]) with their
//! arguments, then a closing phase without input: an honest driver, well-behaved peers, and a clock that goes to
//! `poll_timeout`. In it the laws of liveness are checked: no wake-up was lost, nothing spins, and after `stop` all is
//! closed in time.
//!
//! Three parties know nothing of each other: the [`Kernel`](kernel::Kernel) and its peers, the [`App`](app::App), and the
//! [`Model`](model::Model), which learns from what goes in and comes out and from nothing else.

mod app;
mod closing;
mod connecting;
mod connection;
mod datagrams;
mod drive;
mod input;
mod kernel;
mod laws;
mod model;
mod rest;
mod steps;
mod timers;
mod watches;
mod world;

use alloc::rc::Rc;
use app::{App, Shared};
use core::cell::RefCell;
use drive::Drive;
use input::{Input, N, Plan, RX, TX, WINDOWS};
use model::Model;
use tidegate_core::{Dispatcher, Memory, Session, Table};
use world::Bare;

/// Lets the bytes play driver, kernel, peers and application at once, against a session or a bare dispatcher.
///
/// # Panics
///
/// When a law is broken: that is what it is for.
pub fn dispatch(data: &[u8]) {
    let mut input = Input::new(data);
    let plan = Plan::decode(&mut input);
    let shared = Rc::new(RefCell::new(Shared::new(input, Model::new(&plan))));
    let app = App(Rc::clone(&shared));
    if plan.session {
        let mut memory = Box::new(Memory::<N, RX, TX, u64>::new());
        let mut windows = Box::new(datagrams::Windows::new());
        let mut session = Session::new(&mut memory, &plan.config, app).expect("a sound config");
        session.set_datagram_memory(&mut windows);
        Drive::new(session, shared, plan).run();
    } else {
        let mut table = Box::new(Table::<N>::new());
        let core = Dispatcher::new(&mut table, &plan.config, WINDOWS).expect("a sound config");
        let bare = Bare {
            core,
            app,
            receive: [[0; RX]; N],
            send: [[0; TX]; N],
        };
        Drive::new(bare, shared, plan).run();
    }
}
