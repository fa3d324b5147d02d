//! Large bodies: cut into pieces and put together, in the pieces that a script says.

use fulmar_protocol::limits::{BODY_BYTES_MAX, FRAME_BYTES_MAX, PART_BYTES_MAX};
use fulmar_protocol::{Assembly, AssemblyError, Chunks, Deliver, Frame, Frames, Send};

use crate::script::Script;

/// Pieces of one body; each may have up to [`PART_BYTES_MAX`] bytes.
const PIECES_MAX: usize = 64;

/// Puts a body together from pieces of any size, compared with plain appending; then cuts a body of
/// the length that came and carries it through frames.
pub fn assembly(data: &[u8]) {
    let mut script = Script::new(data);
    let total_bytes = (script.number() % (BODY_BYTES_MAX as u64 + 1)) as usize;
    let first = piece(&mut script);
    if first.len() > total_bytes {
        // A frame that announces less than it has doesn't decode.
        return;
    }
    let (mut assembly, mut model) = (Assembly::new(total_bytes, &first), first);
    for _ in 0..PIECES_MAX {
        if script.is_over() || model.len() == total_bytes {
            break;
        }
        let piece = piece(&mut script);
        let bytes = model.len() + piece.len();
        match assembly.push(&piece) {
            Ok(is_complete) => {
                model.extend(piece);
                assert_eq!(is_complete, model.len() == total_bytes);
            }
            Err(error) => {
                assert_eq!(error, AssemblyError::TooMany { total_bytes, bytes });
                assert!(bytes > total_bytes);
            }
        }
        assert_eq!((assembly.held_bytes(), assembly.total_bytes()), (model.len(), total_bytes));
        assert!(model.len() <= total_bytes, "no more than was announced is held");
    }
    assert_eq!(assembly.into_body(), model);
    check_frames(&model, script.byte());
}

/// A piece of the length that the script says, filled with one byte, or with the script's own.
fn piece(script: &mut Script<'_>) -> Vec<u8> {
    match script.byte() {
        0..64 => script.bytes()[..].chunks(PART_BYTES_MAX).next().unwrap_or_default().to_vec(),
        filling => vec![filling; script.number() as usize % (PART_BYTES_MAX + 1)],
    }
}

/// The body as a sender cuts it, through frames, as a receiver puts it together.
fn check_frames(body: &[u8], content: u8) {
    let total_bytes = Chunks::total_bytes(body);
    let mut stream = Vec::new();
    for (nth, body) in Chunks::new(body).enumerate() {
        assert!(body.len() <= PART_BYTES_MAX);
        let send = Send { peer: u64::MAX, number: u64::MAX, content, total_bytes, body };
        let frame = if nth == 0 { Frame::Send(send) } else { Frame::Part { body } };
        frame.encode(&mut stream);
    }
    let mut frames = Frames::new(&stream, FRAME_BYTES_MAX).map(|frame| frame.expect("a length"));
    let first = frames.next().expect("at least one frame");
    let Ok(Frame::Send(first)) = Frame::decode(first) else { panic!("the first is a send") };
    assert_eq!((first.total_bytes, first.content), (total_bytes, content));
    check_deliver(&first);
    let Some(total_bytes) = total_bytes else {
        assert_eq!(first.body, body);
        assert_eq!(frames.next(), None);
        return;
    };
    let mut assembly = Assembly::new(total_bytes as usize, first.body);
    let mut is_complete = false;
    for frame in frames {
        assert!(!is_complete, "nothing comes behind the last piece");
        let Ok(Frame::Part { body }) = Frame::decode(frame) else { panic!("the others are parts") };
        is_complete = assembly.push(body).expect("as many as announced");
    }
    assert!(is_complete);
    assert_eq!(assembly.into_body(), body);
}

/// What one peer sent in a frame fits into a frame for another, whatever the numbers around it.
fn check_deliver(send: &Send<'_>) {
    let Send { content, total_bytes, body, .. } = *send;
    let (position, peer, ordinal, time_ms) = (u64::MAX, u64::MAX, u64::MAX, u64::MAX);
    let deliver =
        Deliver { position, peer, ordinal, time_ms, content, own: true, total_bytes, body };
    let mut stream = Vec::new();
    Frame::Deliver(deliver).encode(&mut stream);
    let frame = Frames::new(&stream, FRAME_BYTES_MAX).next().expect("a frame").expect("fits");
    assert_eq!(Frame::decode(frame), Ok(Frame::Deliver(deliver)));
}
