//! Lines from standard input, read by a thread of their own: a read of a terminal or pipe can't be
//! interrupted, and nothing should wait for it at the end.

use std::io::{BufRead, BufReader, Read};
use std::thread;

use fulmar_client::limits::BODY_BYTES_MAX;
use tokio::sync::mpsc;

/// A longer line can't be sent as one message, so it is not kept either.
const LINE_BYTES_MAX: usize = BODY_BYTES_MAX;

/// Lines that wait for the program; then the reading waits.
const LINES_WAITING_MAX: usize = 64;

/// A line without its end, or what is wrong with it.
pub(crate) type Line = Result<String, String>;

/// Starts to read; the channel ends with the input.
pub(crate) fn lines() -> mpsc::Receiver<Line> {
    let (sender, lines) = mpsc::channel(LINES_WAITING_MAX);
    thread::spawn(move || {
        let mut input = BufReader::new(std::io::stdin());
        while let Some(line) = next_line(&mut input) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn next_line(input: &mut impl BufRead) -> Option<Line> {
    let mut bytes = Vec::new();
    let read = input.by_ref().take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut bytes);
    match read {
        Err(error) => return Some(Err(format!("standard input: {error}"))),
        Ok(0) => return None,
        Ok(_) => {}
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    } else if bytes.len() > LINE_BYTES_MAX {
        let skipped = skip_line(input);
        let bytes = bytes.len() as u64 + skipped;
        return Some(Err(format!("a line of {bytes} bytes; at most {LINE_BYTES_MAX} can be sent")));
    }
    Some(String::from_utf8(bytes).map_err(|_| "a line that is not UTF-8 was not sent".into()))
}

/// Passes over the rest of a line; how many bytes that was.
fn skip_line(input: &mut impl BufRead) -> u64 {
    let mut skipped = 0;
    loop {
        let Ok(buffer) = input.fill_buf() else { return skipped };
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let used = end.map_or(buffer.len(), |end| end + 1);
        let done = end.is_some() || buffer.is_empty();
        input.consume(used);
        skipped += used as u64;
        if done {
            return skipped - u64::from(end.is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_bounded_and_checked() {
        let long = "x".repeat(LINE_BYTES_MAX + 10);
        let whole = "y".repeat(LINE_BYTES_MAX);
        let mut bytes = format!("one\n\n{long}\n{whole}\n").into_bytes();
        bytes.extend(b"\xff\xfe\nlast");
        let mut input = BufReader::with_capacity(4_096, &bytes[..]);
        let mut next = || next_line(&mut input);
        assert_eq!(next(), Some(Ok("one".into())));
        assert_eq!(next(), Some(Ok(String::new())));
        let told = next().unwrap().unwrap_err();
        assert!(told.contains(&format!("{} bytes", LINE_BYTES_MAX + 10)), "{told}");
        assert_eq!(next(), Some(Ok(whole.clone())));
        assert!(next().unwrap().unwrap_err().contains("UTF-8"));
        assert_eq!(next(), Some(Ok("last".into())));
        assert_eq!(next(), None);
    }
}
