//! Why a message is not taken.

/// What can't be let pass. After one, no byte of its connection is read as a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It has two readings, or none.
    #[error("the message is malformed")]
    Malformed,
    /// The head is too large or has too many fields.
    #[error("the head is too large")]
    HeadTooLarge,
    /// The request target is too long.
    #[error("the request target is too long")]
    TargetTooLong,
}
