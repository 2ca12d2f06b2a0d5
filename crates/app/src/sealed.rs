//! Lines of JSON that carry their own checksum: `{..,"crc32c":"e3069283"}`, the CRC32C of the text of the line before `,"crc32c"`.

use serde::Serialize;
use tamis_event::crc32c;

/// Eight hexadecimal digits follow, then the end of the text and of the object.
const KEY: &str = ",\"crc32c\":\"";
const END: &str = "\"}";

/// An object as a sealed line.
pub(crate) fn sealed(object: &impl Serialize) -> String {
    let mut line = serde_json::to_string(object).expect("plain data serialises");
    assert_eq!(line.pop(), Some('}'), "it is an object");
    let sum = crc32c(line.as_bytes());
    line.push_str(&format!("{KEY}{sum:08x}{END}\n"));
    line
}

/// Does the line have the checksum that it carries?
pub(crate) fn is_sealed(line: &str) -> bool {
    let Some((text, digits)) = line.strip_suffix(END).and_then(|line| line.rsplit_once(KEY)) else {
        return false;
    };
    format!("{:08x}", crc32c(text.as_bytes())) == digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_bit_breaks_the_seal() {
        let line = sealed(&serde_json::json!({"a": 1, "b": "x"}));
        let line = line.trim_end();
        // By `google_crc32c` of Python.
        assert_eq!(line, r#"{"a":1,"b":"x","crc32c":"a512a53a"}"#);
        assert!(is_sealed(line));
        for at in 0..line.len() {
            for bit in 0..7 {
                let mut bytes = line.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                assert!(!is_sealed(std::str::from_utf8(&bytes).unwrap()), "bit {bit} of byte {at}");
            }
        }
    }
}
