//! The phases of a connection, by what it writes: its welcome, the frames of its send queue, its close frame, nothing more.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::time::after;

/// How long a client may take to answer a close frame.
const ANSWER: Duration = Duration::from_secs(1);

/// What a connection writes next.
#[derive(Debug, Default)]
pub(crate) enum Phase {
    /// The frames of the send queue.
    #[default]
    Open,
    /// The `welcome`, then the frames of the send queue. The welcome belongs to the connection and not to the session: it is
    /// written first, and nowhere else if the session moves on. Boxed, because it is soon written.
    Welcoming(Box<Bytes>),
    /// The close frame; then the connection waits for the client's own. Boxed, because it is rare.
    Ending(Box<Ending>),
    /// Nothing. The deadline of the ending has passed, and the socket is cut.
    Over,
}

/// A connection on its way to its end.
#[derive(Debug)]
pub(crate) struct Ending {
    /// A `welcome` that was not written before the ending began.
    welcome: Option<Bytes>,
    step: Step,
    /// The client has sent its close frame, or can send nothing more: the connection waits for nothing but its own writes.
    client_is_done: bool,
    /// The socket is cut at this time.
    deadline: Duration,
}

#[derive(Debug)]
enum Step {
    /// The frames of the send queue come first, then these.
    AfterQueue(Vec<Bytes>),
    /// These frames come next, the last of which is the close frame. Nothing may follow a close frame.
    Now(Vec<Bytes>),
    /// The writer has taken the close frame.
    Taken,
    /// The writer has asked for more, so the socket has the close frame.
    Written,
    /// The client's time to answer has begun.
    Awaited,
}

/// How a connection is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CloseMode {
    /// After the frames that wait for it: the reason for the ending is not a fault of the connection.
    AfterPending,
    /// At once: the client would not read the frames that wait, or does not want them.
    Now,
}

/// What the writer finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    Frames,
    /// There will never be anything to write again.
    End,
}

impl Phase {
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self, Self::Ending(_) | Self::Over)
    }

    /// The connection has got a session. A connection whose close frame was taken already writes no welcome.
    pub(crate) fn welcome(&mut self, frame: Bytes) {
        match self {
            Self::Open | Self::Welcoming(_) => *self = Self::Welcoming(Box::new(frame)),
            Self::Ending(ending) => {
                if let Step::AfterQueue(_) | Step::Now(_) = ending.step {
                    ending.welcome = Some(frame);
                }
            }
            Self::Over => {}
        }
    }

    /// Ends the connection with these frames. If it is ending already, it stays with the frames and the deadline that it has.
    pub(crate) fn end(&mut self, frames: Vec<Bytes>, mode: CloseMode, deadline: Duration) {
        let welcome = match self {
            Self::Open => None,
            Self::Welcoming(welcome) => Some(std::mem::take(&mut **welcome)),
            Self::Ending(_) | Self::Over => return,
        };
        let step = match mode {
            CloseMode::AfterPending => Step::AfterQueue(frames),
            CloseMode::Now => Step::Now(frames),
        };
        *self = Self::Ending(Box::new(Ending {
            welcome,
            step,
            client_is_done: false,
            deadline,
        }));
    }

    /// The client sends nothing more. The connection is over when its last frame is written.
    pub(crate) fn client_is_done(&mut self) {
        if let Self::Ending(ending) = self {
            ending.client_is_done = true;
        }
    }

    /// Whether the connection is to be cut, because its ending takes too long. The client's time to answer begins at the first
    /// call after the close frame was written.
    pub(crate) fn is_overdue(&mut self, now: Duration) -> bool {
        match self {
            Self::Open | Self::Welcoming(_) => false,
            Self::Ending(ending) => {
                if let Step::Written = ending.step {
                    ending.step = Step::Awaited;
                    ending.deadline = ending.deadline.min(after(now, ANSWER));
                }
                let is_overdue = now >= ending.deadline;
                if is_overdue {
                    *self = Self::Over;
                }
                is_overdue
            }
            Self::Over => true,
        }
    }

    /// Appends what is to be written next to `out`; `take_queue` takes from the send queue, and returns whether it held anything.
    /// `None` if there is nothing now.
    pub(crate) fn take(
        &mut self,
        out: &mut BytesMut,
        take_queue: impl FnOnce(&mut BytesMut) -> bool,
    ) -> Option<Taken> {
        match self {
            Self::Open => take_queue(out).then_some(Taken::Frames),
            Self::Welcoming(welcome) => {
                out.extend_from_slice(welcome);
                *self = Self::Open;
                take_queue(out);
                Some(Taken::Frames)
            }
            Self::Ending(ending) => ending.take(out, take_queue),
            Self::Over => Some(Taken::End),
        }
    }
}

impl Ending {
    fn take(
        &mut self,
        out: &mut BytesMut,
        take_queue: impl FnOnce(&mut BytesMut) -> bool,
    ) -> Option<Taken> {
        let welcome = self.welcome.take();
        if let Some(welcome) = &welcome {
            out.extend_from_slice(welcome);
        }
        if let Step::AfterQueue(_) = self.step
            && take_queue(out)
        {
            return Some(Taken::Frames);
        }
        if welcome.is_some() {
            return Some(Taken::Frames);
        }
        match &mut self.step {
            Step::AfterQueue(frames) | Step::Now(frames) => {
                for frame in frames {
                    out.extend_from_slice(frame);
                }
                self.step = Step::Taken;
                return Some(Taken::Frames);
            }
            Step::Taken => self.step = Step::Written,
            Step::Written | Step::Awaited => {}
        }
        self.client_is_done.then_some(Taken::End)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What the writer gets of a connection in whose send queue `queued` waits.
    fn take(phase: &mut Phase, queued: &mut &'static str) -> (Option<Taken>, String) {
        let mut out = BytesMut::new();
        let taken = phase.take(&mut out, |out| {
            out.extend_from_slice(queued.as_bytes());
            !std::mem::take(queued).is_empty()
        });
        (taken, String::from_utf8_lossy(&out).into_owned())
    }

    fn frames(text: &str) -> (Option<Taken>, String) {
        (Some(Taken::Frames), text.to_owned())
    }

    fn nothing() -> (Option<Taken>, String) {
        (None, String::new())
    }

    fn end() -> (Option<Taken>, String) {
        (Some(Taken::End), String::new())
    }

    fn goodbye() -> Vec<Bytes> {
        vec!["goodbye,".into(), "close".into()]
    }

    #[test]
    fn an_open_connection_writes_its_queue() {
        let mut phase = Phase::Open;
        assert_eq!(take(&mut phase, &mut "queued"), frames("queued"));
        assert_eq!(take(&mut phase, &mut ""), nothing());
        phase.client_is_done();
        assert!(!phase.is_ending() && !phase.is_overdue(at(1000)));
    }

    #[test]
    fn the_welcome_is_written_once_and_before_the_queue() {
        let mut phase = Phase::Open;
        phase.welcome("welcome,".into());
        assert!(!phase.is_ending());
        assert_eq!(take(&mut phase, &mut "queued"), frames("welcome,queued"));
        assert!(matches!(phase, Phase::Open));
    }

    #[test]
    fn an_ending_at_once_leaves_the_queue_alone_but_writes_the_welcome() {
        let mut phase = Phase::Open;
        phase.welcome("welcome".into());
        phase.end(goodbye(), CloseMode::Now, DEADLINE);
        assert!(phase.is_ending());
        let mut queued = "queued";
        assert_eq!(take(&mut phase, &mut queued), frames("welcome"));
        assert_eq!(take(&mut phase, &mut queued), frames("goodbye,close"));
        assert_eq!(take(&mut phase, &mut queued), nothing());
        assert_eq!(queued, "queued");
    }

    #[test]
    fn an_ending_after_the_queue_lets_nothing_follow_the_close_frame() {
        let mut phase = Phase::Open;
        phase.end(goodbye(), CloseMode::AfterPending, DEADLINE);
        assert_eq!(take(&mut phase, &mut "queued"), frames("queued"));
        assert_eq!(take(&mut phase, &mut "more"), frames("more"));
        assert_eq!(take(&mut phase, &mut ""), frames("goodbye,close"));
        phase.welcome("welcome".into());
        assert_eq!(take(&mut phase, &mut "late"), nothing());
        phase.client_is_done();
        assert_eq!(take(&mut phase, &mut "late"), end());
    }

    #[test]
    fn a_session_that_comes_before_the_close_frame_is_welcomed() {
        let mut phase = Phase::Open;
        phase.end(goodbye(), CloseMode::AfterPending, DEADLINE);
        phase.welcome("welcome,".into());
        assert_eq!(take(&mut phase, &mut "queued"), frames("welcome,queued"));
        assert_eq!(take(&mut phase, &mut ""), frames("goodbye,close"));
    }

    #[test]
    fn the_first_reason_counts() {
        let mut phase = Phase::Open;
        phase.end(goodbye(), CloseMode::Now, DEADLINE);
        phase.end(vec!["other".into()], CloseMode::AfterPending, at(1));
        assert!(!phase.is_overdue(at(2)));
        assert_eq!(take(&mut phase, &mut "queued"), frames("goodbye,close"));
    }

    #[test]
    fn the_connection_is_over_when_both_sides_have_closed() {
        let mut phase = Phase::Open;
        phase.end(vec!["echo".into()], CloseMode::Now, DEADLINE);
        phase.client_is_done();
        assert_eq!(take(&mut phase, &mut ""), frames("echo"));
        assert_eq!(take(&mut phase, &mut ""), end());
    }

    #[test]
    fn a_client_has_a_second_to_answer_a_close_frame_that_was_written() {
        let mut phase = Phase::Open;
        phase.end(goodbye(), CloseMode::Now, DEADLINE);
        let _close = take(&mut phase, &mut "");
        assert!(!phase.is_overdue(at(10)), "it was not written yet");
        let _nothing = take(&mut phase, &mut "");
        assert!(!phase.is_overdue(at(20)));
        let _nothing = take(&mut phase, &mut "");
        assert!(!phase.is_overdue(at(20)));
        assert!(phase.is_overdue(at(21)));
        assert_eq!(take(&mut phase, &mut "queued"), end());
    }

    #[test]
    fn a_close_frame_that_is_not_written_has_until_the_deadline() {
        for mode in [CloseMode::Now, CloseMode::AfterPending] {
            let mut phase = Phase::Open;
            phase.end(goodbye(), mode, DEADLINE);
            assert!(!phase.is_overdue(at(59)));
            assert!(phase.is_overdue(DEADLINE));
            assert!(phase.is_ending() && phase.is_overdue(at(61)));
            phase.welcome("welcome".into());
            phase.end(goodbye(), mode, at(100));
            assert_eq!(take(&mut phase, &mut "queued"), end());
        }
    }
}
