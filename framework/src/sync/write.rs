//! Writes the tree in either format.

use super::key::{Digits, Key};
use super::keys::Names;

/// The patch cannot be written. The server has to send a whole state instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unfit;

pub(super) type Written = Result<(), Unfit>;

/// An encoder that is given a state value by value. Counts are exact. `is_first` is true for the first part of an object or
/// array.
pub(super) trait Sink {
    fn null(&mut self);
    fn bool(&mut self, value: bool);
    fn uint(&mut self, value: u64);
    fn int(&mut self, value: i64);
    fn f32(&mut self, value: f32);
    fn f64(&mut self, value: f64);
    fn text(&mut self, value: &str);
    fn open_array(&mut self, count: usize) -> Written;
    fn item(&mut self, is_first: bool);
    fn close_array(&mut self);
    fn open_object(&mut self, count: usize) -> Written;
    fn key(&mut self, key: &Key, is_first: bool) -> Written;
    fn close_object(&mut self);
}

/// JSON. Nothing here fails: writing to a `Vec` never does, and a tree holds only what JSON can express.
pub(super) struct Json<'o>(pub(super) &'o mut Vec<u8>);

impl Json<'_> {
    fn number<T: serde::Serialize>(&mut self, value: T) {
        let _written = serde_json::to_writer(&mut *self.0, &value);
    }
}

impl Sink for Json<'_> {
    fn null(&mut self) {
        self.0.extend_from_slice(b"null");
    }

    fn bool(&mut self, value: bool) {
        self.0
            .extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn uint(&mut self, value: u64) {
        self.number(value);
    }

    fn int(&mut self, value: i64) {
        self.number(value);
    }

    fn f32(&mut self, value: f32) {
        self.number(value);
    }

    fn f64(&mut self, value: f64) {
        self.number(value);
    }

    fn text(&mut self, value: &str) {
        let is_plain = |byte: &u8| (*byte >= b' ') & (*byte != b'"') & (*byte != b'\\');
        // The loop has no early exit, so that the compiler can compare many bytes at once.
        let is_plain = value.bytes().fold(true, |all, byte| all & is_plain(&byte));
        if is_plain {
            self.0.push(b'"');
            self.0.extend_from_slice(value.as_bytes());
            self.0.push(b'"');
        } else {
            let _written = serde_json::to_writer(&mut *self.0, value);
        }
    }

    fn open_array(&mut self, _: usize) -> Written {
        self.0.push(b'[');
        Ok(())
    }

    fn item(&mut self, is_first: bool) {
        if !is_first {
            self.0.push(b',');
        }
    }

    fn close_array(&mut self) {
        self.0.push(b']');
    }

    fn open_object(&mut self, _: usize) -> Written {
        self.0.push(b'{');
        Ok(())
    }

    fn key(&mut self, key: &Key, is_first: bool) -> Written {
        self.item(is_first);
        self.text(key.text(&mut Digits::default()));
        self.0.push(b':');
        Ok(())
    }

    fn close_object(&mut self) {
        self.0.push(b'}');
    }
}

/// MessagePack. If there are names, keys are looked up in them.
pub(super) struct MsgPack<'o, 'n, 'k> {
    pub(super) out: &'o mut Vec<u8>,
    pub(super) names: Option<&'n mut Names<'k>>,
}

// Writing to a `Vec` never fails, so the results of `rmp` are ignored.
impl Sink for MsgPack<'_, '_, '_> {
    fn null(&mut self) {
        self.out.push(0xc0);
    }

    fn bool(&mut self, value: bool) {
        self.out.push(if value { 0xc3 } else { 0xc2 });
    }

    fn uint(&mut self, value: u64) {
        // Most integers are small.
        match value {
            0..=0x7f => self.out.push(value as u8),
            0x80..=0xff => self.out.extend_from_slice(&[0xcc, value as u8]),
            0x100..=0xffff => {
                let [high, low] = (value as u16).to_be_bytes();
                self.out.extend_from_slice(&[0xcd, high, low]);
            }
            _ => {
                let _written = rmp::encode::write_uint(self.out, value);
            }
        }
    }

    fn int(&mut self, value: i64) {
        let _written = rmp::encode::write_sint(self.out, value);
    }

    fn f32(&mut self, value: f32) {
        let _written = rmp::encode::write_f32(self.out, value);
    }

    fn f64(&mut self, value: f64) {
        let _written = rmp::encode::write_f64(self.out, value);
    }

    fn text(&mut self, value: &str) {
        if value.len() < 32 {
            self.out.push(0xa0 | value.len() as u8);
            self.out.extend_from_slice(value.as_bytes());
        } else {
            let _written = rmp::encode::write_str(self.out, value);
        }
    }

    fn open_array(&mut self, count: usize) -> Written {
        let count = u32::try_from(count).map_err(|_| Unfit)?;
        let _written = rmp::encode::write_array_len(self.out, count);
        Ok(())
    }

    fn item(&mut self, _: bool) {}

    fn close_array(&mut self) {}

    fn open_object(&mut self, count: usize) -> Written {
        if count < 16 {
            self.out.push(0x80 | count as u8);
            return Ok(());
        }
        let count = u32::try_from(count).map_err(|_| Unfit)?;
        let _written = rmp::encode::write_map_len(self.out, count);
        Ok(())
    }

    fn key(&mut self, key: &Key, _: bool) -> Written {
        if let Some(names) = &mut self.names
            && let Some(index) = names.index(key.as_ref())?
        {
            self.uint(index.into());
            return Ok(());
        }
        self.text(key.text(&mut Digits::default()));
        Ok(())
    }

    fn close_object(&mut self) {}
}
