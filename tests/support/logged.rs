//! What the server logs on the test's thread.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // Everything here is part of a test, whose failure is a panic.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::util::SubscriberInitExt;

/// What is logged until this is dropped.
#[must_use]
pub struct Logged {
    text: Text,
    _until_dropped: Box<dyn std::any::Any>,
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Logged {
    /// From here on.
    pub fn begin() -> Self {
        let text = Text::default();
        let writer = text.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone());
        Self {
            text,
            _until_dropped: Box::new(log.with_ansi(false).finish().set_default()),
        }
    }

    /// So far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.text.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
