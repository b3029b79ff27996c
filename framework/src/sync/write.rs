//! Writing what the tree holds, in either format.

use super::key::{Digits, Key};
use super::keys::Names;

/// A patch that cannot be written: a whole state has to be sent in its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unfit;

pub(super) type Written = Result<(), Unfit>;

/// An encoding that is written value by value. The counts are exact; `is_first` is said of the first of each compound.
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

/// JSON. Nothing here fails: a `Vec` takes everything, and what JSON cannot say is not in a tree.
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
        // Without an early end, so that many bytes are compared at once.
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

/// MessagePack; with names, keys are looked up there.
pub(super) struct MsgPack<'o, 'n, 'k> {
    pub(super) out: &'o mut Vec<u8>,
    pub(super) names: Option<&'n mut Names<'k>>,
}

// Nothing here fails, either: the results are of a `Vec` that takes everything.
impl Sink for MsgPack<'_, '_, '_> {
    fn null(&mut self) {
        self.out.push(0xc0);
    }

    fn bool(&mut self, value: bool) {
        self.out.push(if value { 0xc3 } else { 0xc2 });
    }

    fn uint(&mut self, value: u64) {
        // Most are small.
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
