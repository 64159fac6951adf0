//! [`Variant`]: kernels that are deliberately wrong, to see whether the comparison with the real one would tell.

/// One rule of the model broken. A build can choose one only with the feature `wrong-kernels`; without it the model asks,
/// and the answer is always no.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// A level-triggered item goes back to the head of the ready list.
    LevelToHead,
    /// A level-triggered item is reported once and not queued again.
    LevelNotQueuedAgain,
    /// An edge-triggered item is queued again like a level-triggered one.
    EdgeAsLevel,
    /// A modification leaves a fired one-shot item silent.
    ModifyDoesNotArm,
    /// A modification does not queue an item that is ready.
    ModifyDoesNotQueue,
    /// A registration does not queue an item that is ready.
    AddDoesNotQueue,
    /// Every wake-up reaches every item, whatever it asked for.
    WakeIgnoresInterest,
    /// A change of state wakes only those who asked for input.
    StateChangeIsFiltered,
    /// Hang-up and error are reported only on request.
    HangUpOnRequest,
    /// What was true when an item was queued is reported, true or not.
    NoSecondLook,
    /// Nobody is told that there is room again.
    NoWriteEdge,
    /// Reading a part of a write already wakes its writer.
    WriteEdgeOnPartialRead,
    /// A withdrawn item stays in the ready list.
    DeleteLeavesQueued,
    /// The last close of a socket leaves its item in the ready list.
    CloseLeavesQueued,
    /// One shut direction is already a hang-up.
    HangUpOnHalfClose,
    /// The peer's end is `RDHUP` without `IN`.
    EndWithoutInput,
    /// A close with unread input is an orderly end.
    NoErrorOnReset,
    /// A shutdown wakes only the other end.
    ShutdownWakesOneSide,
    /// Items that did not fit into a wait go behind those that did.
    UnsentToTail,
    /// A one-shot item that has fired still reports hang-ups and errors.
    OneshotKeepsHangUp,
    /// A multishot receive always completes with a reset behind bytes.
    MultishotKeepsReset,
    /// What a multishot receive has missed, receives that complete once miss, too.
    ReceiveOnceMissesReset,
}

impl Variant {
    /// Those that only operations of `io_uring(7)` show.
    pub const OF_RING: [Self; 2] = [Self::MultishotKeepsReset, Self::ReceiveOnceMissesReset];

    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::LevelToHead,
        Self::LevelNotQueuedAgain,
        Self::EdgeAsLevel,
        Self::ModifyDoesNotArm,
        Self::ModifyDoesNotQueue,
        Self::AddDoesNotQueue,
        Self::WakeIgnoresInterest,
        Self::StateChangeIsFiltered,
        Self::HangUpOnRequest,
        Self::NoSecondLook,
        Self::NoWriteEdge,
        Self::WriteEdgeOnPartialRead,
        Self::DeleteLeavesQueued,
        Self::CloseLeavesQueued,
        Self::HangUpOnHalfClose,
        Self::EndWithoutInput,
        Self::NoErrorOnReset,
        Self::ShutdownWakesOneSide,
        Self::UnsentToTail,
        Self::OneshotKeepsHangUp,
        Self::MultishotKeepsReset,
        Self::ReceiveOnceMissesReset,
    ];
}
