//! The cost of a journal: `cargo bench -p courtside --features __bench --bench journal`.
//!
//! The files are in the system's temporary directory. What syncs, or has several threads, depends on the disk and on what else
//! the machine does: compare runs side by side.
#![allow(missing_docs, clippy::unwrap_used)]

use courtside::bench::journal::{Appender, Commits, EncodedTurn, Written};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

mod record {
    use super::*;

    /// A turn with an event of so many bytes.
    #[divan::bench(args = [100, 4096], sample_size = 100, sample_count = 1000)]
    fn encode(bencher: Bencher<'_, '_>, bytes: usize) {
        let frame = vec![b'x'; bytes];
        bencher.bench_local(|| EncodedTurn::of(black_box(&frame)));
    }

    #[divan::bench(args = [100, 4096], sample_size = 100, sample_count = 1000)]
    fn decode(bencher: Bencher<'_, '_>, bytes: usize) {
        let turn = EncodedTurn::of(&vec![b'x'; bytes]);
        assert_eq!(turn.decode(), 1);
        bencher.bench_local(|| black_box(&turn).decode());
    }
}

mod append {
    use super::*;

    #[divan::bench(args = [220, 4096], sample_size = 10, sample_count = 1000)]
    fn without_sync(bencher: Bencher<'_, '_>, bytes: usize) {
        let mut appender = Appender::new(bytes, false).unwrap();
        bencher.bench_local(move || assert!(appender.append()));
    }

    #[divan::bench(args = [220, 4096], sample_size = 1, sample_count = 300)]
    fn with_sync(bencher: Bencher<'_, '_>, bytes: usize) {
        let mut appender = Appender::new(bytes, true).unwrap();
        bencher.bench_local(move || assert!(appender.append()));
    }
}

mod commit {
    use super::*;

    /// Lists that wait at the same time, through the journal's thread and back.
    #[divan::bench(args = [1, 16], sample_size = 10, sample_count = 300)]
    fn without_waiting_for_the_disk(bencher: Bencher<'_, '_>, lists: usize) {
        let commits = Commits::new(false).unwrap();
        bencher
            .counter(ItemsCount::new(lists))
            .bench_local(move || assert_eq!(commits.commit(lists), lists));
    }

    #[divan::bench(args = [1, 16], sample_size = 1, sample_count = 300)]
    fn waiting_for_the_disk(bencher: Bencher<'_, '_>, lists: usize) {
        let commits = Commits::new(true).unwrap();
        bencher
            .counter(ItemsCount::new(lists))
            .bench_local(move || assert_eq!(commits.commit(lists), lists));
    }
}

/// Reads 64 MiB of records of 220 bytes, which the system's cache holds.
#[divan::bench(sample_size = 1, sample_count = 10)]
fn replay(bencher: Bencher<'_, '_>) {
    const BYTES: usize = 64 << 20;
    let written = Written::new(BYTES).unwrap();
    assert!(written.replay() > BYTES / 250);
    bencher
        .counter(BytesCount::new(BYTES))
        .bench_local(move || written.replay());
}
