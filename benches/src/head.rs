//! Just enough of a message head: where it ends, and single fields of it.

/// Length of the head at the beginning of `bytes`, its empty line included.
pub fn length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// The value of the first field with this name.
pub fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        found.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
    })
}

/// A number in decimal; 0 if it is none.
pub fn number(text: &[u8]) -> usize {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whatever_their_case() {
        let head = b"HTTP/1.1 200 OK\r\nX-Content-Length: 1\r\ncontent-length:  42 \r\n\r\nrest";
        assert_eq!(length(head), Some(head.len() - 4));
        assert_eq!(field(head, "Content-Length").map(number), Some(42));
        assert_eq!(field(head, "transfer-encoding"), None);
        assert_eq!(length(b"HTTP/1.1 200 OK\r\n\r"), None);
    }
}
