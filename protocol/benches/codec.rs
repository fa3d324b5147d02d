//! What the codec costs per frame: encoding and decoding the three frames of the message path, and
//! cutting a receive buffer full of them. `cargo bench -p fulmar-protocol`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fulmar_protocol::{Deliver, Frame, Frames, Send, limits, split_frame};

const BODY: [u8; 100] = [0x61; 100];
/// One receive buffer of the server.
const BUFFER_BYTES: usize = 4_096;

fn frames() -> [(&'static str, Frame<'static>); 3] {
    let send = Send {
        peer: 1_234_567,
        number: 1_790_000_000_123,
        content: 1,
        total_bytes: None,
        body: &BODY,
    };
    let deliver = Deliver {
        position: 123_456,
        peer: 7_654_321,
        ordinal: 1_234,
        time_ms: 1_790_000_000_000,
        content: 1,
        own: false,
        total_bytes: None,
        body: &BODY,
    };
    [
        ("send", Frame::Send(send)),
        ("deliver", Frame::Deliver(deliver)),
        ("ack", Frame::Ack { position: 123_456 }),
    ]
}

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(&mut out);
    out
}

/// As many whole frames as fit into a buffer, in the mix of a busy connection: a send, a deliver
/// and an ack by turns.
fn buffer() -> (Vec<u8>, u64) {
    let mut buffer = Vec::new();
    let mut count = 0;
    for (_, frame) in frames().iter().cycle() {
        let bytes = encoded(frame);
        if buffer.len() + bytes.len() > BUFFER_BYTES {
            break;
        }
        buffer.extend_from_slice(&bytes);
        count += 1;
    }
    (buffer, count)
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(1));
    let mut out = Vec::with_capacity(BUFFER_BYTES);
    for (name, frame) in frames() {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                black_box(&frame).encode(&mut out);
                black_box(out.len())
            });
        });
    }
    group.finish();
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(1));
    for (name, frame) in frames() {
        let whole = encoded(&frame);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let split = split_frame(black_box(&whole), limits::FRAME_BYTES_MAX);
                let (frame, _) = split.expect("a length").expect("a whole frame");
                black_box(Frame::decode(frame).is_ok())
            });
        });
    }
    group.finish();
}

fn cut_buffer(c: &mut Criterion) {
    let (buffer, count) = buffer();
    let mut group = c.benchmark_group("buffer of 4 KiB");
    group.throughput(Throughput::Elements(count));
    group.bench_function("split", |bencher| {
        bencher.iter(|| Frames::new(black_box(&buffer), limits::FRAME_BYTES_MAX).count());
    });
    group.bench_function("split and decode", |bencher| {
        bencher.iter(|| {
            Frames::new(black_box(&buffer), limits::FRAME_BYTES_MAX)
                .flatten()
                .filter(|frame| black_box(Frame::decode(frame)).is_ok())
                .count()
        });
    });
    group.finish();
}

criterion_group!(codec, encode, decode, cut_buffer);
criterion_main!(codec);
