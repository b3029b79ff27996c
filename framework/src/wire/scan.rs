//! The short way through JSON: an action's fields found in one pass, without serde.
//!
//! Most frames are plain, and each one costs this. What is out of the ordinary (an error, a key with an escape, deep nesting) is
//! left to serde, which says precisely what is wrong; so whatever is accepted here must mean the same there, and a test holds
//! the two against each other. Grammar: RFC 8259.

use super::action::Fields;

/// How many levels can be told apart: one bit each. A server allows no more.
const LEVELS: usize = u64::BITS as usize;

/// What stands between two quotes, escapes as they are.
struct Text<'a> {
    bytes: &'a [u8],
    has_escapes: bool,
}

struct Scan<'a> {
    text: &'a [u8],
    /// What is read next. Never beyond the end: slicing relies on it.
    at: usize,
}

/// The fields of the object that `text` is, if it is one that needs no second look and has no more than `nesting` levels.
pub(super) fn fields(text: &[u8], nesting: usize) -> Option<Fields<'_>> {
    // Within texts any bytes would be taken.
    std::str::from_utf8(text).ok()?;
    let levels = nesting.checked_sub(1).filter(|levels| *levels <= LEVELS)?;
    let mut scan = Scan { text, at: 0 };
    let mut fields = Fields::default();
    // One bit for each slot that has had its value: `null` leaves the slot empty, and still is one.
    let mut seen = 0_u16;
    scan.expect(b'{')?;
    if scan.skips(b'}') {
        return scan.is_done().then_some(fields);
    }
    loop {
        scan.expect(b'"')?;
        // A key with an escape may be any.
        let key = scan.text().filter(|text| !text.has_escapes)?;
        scan.expect(b':')?;
        let value = scan.value(levels)?;
        if let Some((bit, slot)) = fields.slot(key.bytes) {
            if seen & bit != 0 {
                return None;
            }
            seen |= bit;
            *slot = Some(value).filter(|value| *value != b"null");
        }
        match scan.next()? {
            b',' => {}
            b'}' => return scan.is_done().then_some(fields),
            _ => return None,
        }
    }
}

impl<'a> Scan<'a> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skips(&mut self, wanted: u8) -> bool {
        let is_there = self.peek() == Some(wanted);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        self.skips(wanted).then_some(())
    }

    fn is_done(&mut self) -> bool {
        self.peek().is_none()
    }

    /// The rest of a text whose first quote has been taken.
    fn text(&mut self) -> Option<Text<'a>> {
        let start = self.at;
        let mut has_escapes = false;
        loop {
            self.at += plain(&self.text[self.at..]);
            match self.text.get(self.at)? {
                b'"' => {
                    let bytes = &self.text[start..self.at];
                    self.at += 1;
                    return Some(Text { bytes, has_escapes });
                }
                b'\\' => {
                    has_escapes = true;
                    self.escape()?;
                }
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let length = match self.text.get(self.at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            b'u' => {
                let digits = self.text.get(self.at + 2..self.at + 6)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                6
            }
            _ => return None,
        };
        self.at += length;
        Some(())
    }

    /// A key within a value, and its colon.
    fn key(&mut self) -> Option<()> {
        self.expect(b'"')?;
        self.text()?;
        self.expect(b':')
    }

    /// A whole value of no more than `levels`.
    fn value(&mut self, levels: usize) -> Option<&'a [u8]> {
        self.peek()?;
        let start = self.at;
        let (mut depth, mut objects) = (0, 0_u64);
        loop {
            match self.next()? {
                b'"' => {
                    self.text()?;
                }
                opening @ (b'{' | b'[') => {
                    if depth == levels {
                        return None;
                    }
                    depth += 1;
                    objects = objects << 1 | u64::from(opening == b'{');
                    let closing = if opening == b'{' { b'}' } else { b']' };
                    if self.peek()? != closing {
                        if opening == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b't' => self.literal(b"rue")?,
                b'f' => self.literal(b"alse")?,
                b'n' => self.literal(b"ull")?,
                b'-' => {
                    let digit = *self.text.get(self.at)?;
                    self.at += 1;
                    self.number(digit)?;
                }
                digit => self.number(digit)?,
            }
            // A value has ended, and perhaps others with it.
            loop {
                if depth == 0 {
                    return Some(&self.text[start..self.at]);
                }
                match (self.next()?, objects & 1 == 1) {
                    (b',', true) => {
                        self.key()?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => {
                        depth -= 1;
                        objects >>= 1;
                    }
                    _ => return None,
                }
            }
        }
    }

    fn literal(&mut self, rest: &[u8]) -> Option<()> {
        let end = self.at + rest.len();
        if self.text.get(self.at..end)? != rest {
            return None;
        }
        self.at = end;
        Some(())
    }

    /// The rest of a number that begins with `first`. What may not follow a number is seen by whoever looks there next.
    fn number(&mut self, first: u8) -> Option<()> {
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn digits(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    }

    fn some_digits(&mut self) -> Option<()> {
        let start = self.at;
        self.digits();
        (self.at > start).then_some(())
    }
}

/// How many bytes at the front are neither the end of a text nor an escape nor a control character.
fn plain(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return 8 * index + special.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &&u8| **byte >= b' ' && **byte != b'"' && **byte != b'\\';
    8 * words.len() + rest.iter().take_while(is_plain).count()
}

/// Sets the high bit of the lowest byte that ends a plain text, if there is one; above it, others may be set wrongly.
///
/// Subtracting borrows from the high bit only where a byte is smaller than what is subtracted from it, or where the byte below
/// borrowed. Bytes from 0x80 up have that bit anyway, so they are masked out: <https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord>.
const fn special(word: u64) -> u64 {
    const EACH: u64 = u64::MAX / 255;
    let quote = word ^ (EACH * b'"' as u64);
    let escape = word ^ (EACH * b'\\' as u64);
    let control = word.wrapping_sub(EACH * b' ' as u64) & !word;
    let quote = quote.wrapping_sub(EACH) & !quote;
    let escape = escape.wrapping_sub(EACH) & !escape;
    (control | quote | escape) & (EACH * 0x80)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::json;
    use super::*;

    const PLAIN: [&str; 6] = [
        r#"{"action":"send","id":7,"room":"b6ff1c7e9a2d","type":"steer","data":{"dx":1.50,"keys":["a",{},[]],"on":true}}"#,
        r#"{"action":"publish","channel":"updates","data":"\"Tor!\" \u00e9 é € 🏀 and more than sixteen bytes of it"}"#,
        r#" { "action" : "subscribe" , "channel" : "c" , "since" : { "epoch" : "e" , "offset" : 12 } , "presence" : null } "#,
        r#"{"action":"join","kind":"arena","mode":"any","options":[-0.5e+3,0,-1E2,false,null,"",[[[]]]],"other":[1]}"#,
        r#"{"action":"ping","received":18446744073709551615}"#,
        "{}",
    ];

    #[test]
    fn plain_frames_take_the_short_way() {
        for text in PLAIN {
            let text = text.as_bytes();
            assert_eq!(fields(text, 32), Some(json::by_serde(text).unwrap()));
        }
    }

    #[test]
    fn what_is_out_of_the_ordinary_takes_the_long_way() {
        for text in [
            r#"{"id":null,"id":1}"#,
            r#"{"id":1,"id":null}"#,
            r#"{"\u0069d":1}"#,
            "{\"id\":\u{c}1}",
            "{\"id\":1}\u{c}",
            "\u{feff}{}",
        ] {
            assert_eq!(fields(text.as_bytes(), 32), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_no_text() {
        let text = b"{\"data\":\"\xc3\"}";
        assert_eq!(fields(text, 32), None);
        assert!(json::by_serde(text).is_err());
    }

    #[test]
    fn levels_are_counted_as_on_the_long_way() {
        for (opening, closing) in [("[", "]"), ("{\"a\":", "}")] {
            for most in [2, 3, 32, 64, 65] {
                for levels in [most - 2, most - 1, most] {
                    let (open, close) = (opening.repeat(levels), closing.repeat(levels));
                    let text = format!(r#"{{"action":"publish","data":{open}1{close}}}"#);
                    let is_plain = fields(text.as_bytes(), most).is_some();
                    let is_deep = json::is_deeper_than(text.as_bytes(), most);
                    assert_eq!(is_plain, !is_deep, "{levels} of {most}");
                }
            }
        }
    }

    /// Texts that are almost JSON: what differs between two readers shows there.
    fn mangled() -> impl Strategy<Value = String> {
        let token = prop_oneof![
            8 => prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\n", "\\\"", "-", "0", "1", ".", "e", "E+", "-0", "true",
                "nul", "null", " ", "\n", "\u{b}", "\u{1f}", "é", "\"id\"", "\"id\":1,", "\"\\u0069d\":2", "\"x\":", "[[", "]]",
            ])
            .prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ];
        let edit = (any::<prop::sample::Index>(), 0..4_usize, token);
        let edits = prop::collection::vec(edit, 1..4);
        (prop::sample::select(PLAIN.to_vec()), edits).prop_map(|(text, edits)| {
            let mut chars: Vec<char> = text.chars().collect();
            for (at, removed, token) in edits {
                let at = at.index(chars.len() + 1);
                let end = chars.len().min(at + removed);
                chars.splice(at..end, token.chars());
            }
            chars.into_iter().collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn eight_bytes_at_a_time_see_what_one_sees(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let is_special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
            let first = bytes.iter().position(is_special);
            prop_assert_eq!(plain(&bytes), first.unwrap_or(bytes.len()));
        }

        #[test]
        fn what_is_accepted_means_the_same_to_serde(text in mangled()) {
            let text = text.as_bytes();
            if let Some(fields) = fields(text, 8) {
                let by_serde = json::by_serde(text);
                prop_assert!(by_serde.is_ok(), "{by_serde:?}");
                let by_serde = by_serde.unwrap();
                prop_assert_eq!(fields, by_serde);
                // The same place, too: parts of the frame are handed on.
                prop_assert_eq!(fields.data.map(<[u8]>::as_ptr_range), by_serde.data.map(<[u8]>::as_ptr_range));
                prop_assert!(!json::is_deeper_than(text, 8));
            }
        }
    }
}
