//! The cost of each step of a message's path: `cargo bench -p courtside --features __bench`.
//!
//! Most of a delivery is the kernel's work for a write, which is not measured here: these benches detect regressions of the crate.
//! If several items are processed at once, the item counter shows the cost of one of them.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::BytesMut;
use courtside::Format;
use courtside::bench::fanout::{Data, FanOut, Frame, Inbound, Outbox};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use serde_json::{Value, json};

/// How many frames wait together in a busy outbox.
const TOGETHER: u64 = 16;

const RECEIVERS: usize = 1000;

fn main() {
    divan::main();
}

fn text() -> String {
    "x".repeat(100)
}

fn line() -> Value {
    json!({ "text": text() })
}

mod inbound {
    use super::*;

    #[divan::bench(args = Format::ALL, sample_size = 100, sample_count = 1000)]
    fn head_of_a_send(bencher: Bencher<'_, '_>, format: Format) {
        let frame = Inbound::of(
            format,
            &json!({"action": "send", "id": 7, "room": "b6ff1c7e9a2d", "type": "say", "data": line()}),
        )
        .unwrap();
        assert!(frame.read());
        bencher.bench_local(|| black_box(&frame).read());
    }

    #[divan::bench(args = Format::ALL, sample_size = 100, sample_count = 1000)]
    fn head_of_a_publish(bencher: Bencher<'_, '_>, format: Format) {
        let frame = Inbound::of(
            format,
            &json!({"action": "publish", "channel": "updates", "data": text()}),
        )
        .unwrap();
        assert!(frame.read());
        bencher.bench_local(|| black_box(&frame).read());
    }

    #[divan::bench(args = Format::ALL, sample_size = 100, sample_count = 1000)]
    fn head_of_a_ping(bencher: Bencher<'_, '_>, format: Format) {
        let frame = Inbound::of(format, &json!({"action": "ping", "received": 400})).unwrap();
        assert!(frame.read());
        bencher.bench_local(|| black_box(&frame).read());
    }
}

mod framing {
    use super::*;

    #[divan::bench(args = Format::ALL, sample_size = 100, sample_count = 1000)]
    fn message(bencher: Bencher<'_, '_>, format: Format) {
        let line = line();
        bencher.bench_local(|| Frame::message(format, black_box(&line)));
    }

    #[divan::bench(args = Format::ALL, sample_size = 100, sample_count = 1000)]
    fn publication(bencher: Bencher<'_, '_>, format: Format) {
        let data = Data::of(format, &text()).unwrap();
        bencher.bench_local(|| Frame::publication(format, black_box(&data)));
    }

    /// Converts a publication from JSON to MessagePack, and back.
    #[divan::bench(args = Format::ALL, sample_size = 100, sample_count = 1000)]
    fn publication_from_the_other_format(bencher: Bencher<'_, '_>, format: Format) {
        let [other] = Format::ALL
            .into_iter()
            .filter(|each| *each != format)
            .collect::<Vec<_>>()[..]
        else {
            unreachable!("there are two formats")
        };
        let data = Data::of(other, &line()).unwrap();
        bencher.bench_local(|| Frame::publication(format, black_box(&data)));
    }
}

mod outbox {
    use super::*;

    /// Frames that wait together are pushed, pulled and acknowledged.
    #[divan::bench(args = [1, TOGETHER], sample_size = 100, sample_count = 1000)]
    fn push_and_pull(bencher: Bencher<'_, '_>, together: u64) {
        let frame = Frame::message(Format::Json, &line()).unwrap();
        let mut outbox = Outbox::default();
        let mut received = 0;
        let mut out = BytesMut::new();
        bencher
            .counter(ItemsCount::new(together))
            .bench_local(move || {
                for _ in 0..together {
                    outbox.push(black_box(&frame));
                }
                while outbox.take(&mut out, 16 << 10) > 0 {}
                received += together;
                outbox.acknowledge(received)
            });
    }
}

mod hub {
    use super::*;

    fn fan_out() -> (FanOut, Frame) {
        let fan = FanOut::new(RECEIVERS).unwrap();
        let data = Data::of(Format::Json, &text()).unwrap();
        let frame = Frame::publication(Format::Json, &data).unwrap();
        fan.publish(&frame);
        let bytes = frame.bytes(Format::Json).len();
        assert_eq!(fan.drain(), RECEIVERS * bytes, "not everybody got it");
        (fan, frame)
    }

    /// One publication from the hub's mailbox into all send queues. One per sample, because the next would find the queues full.
    #[divan::bench(sample_size = 1, sample_count = 2000)]
    fn publish_to_1_000(bencher: Bencher<'_, '_>) {
        let (fan, frame) = fan_out();
        bencher
            .counter(ItemsCount::new(RECEIVERS))
            .with_inputs(|| fan.drain())
            .bench_local_values(|_| fan.publish(black_box(&frame)));
    }

    /// Some publications into all send queues, and out of them again.
    #[divan::bench(args = [1, TOGETHER], sample_size = 1, sample_count = 1000)]
    fn publish_to_1_000_and_drain(bencher: Bencher<'_, '_>, together: u64) {
        let (fan, frame) = fan_out();
        bencher
            .counter(ItemsCount::new(RECEIVERS as u64 * together))
            .bench_local(|| {
                for _ in 0..together {
                    fan.publish(black_box(&frame));
                }
                fan.drain()
            });
    }
}
