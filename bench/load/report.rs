//! The results: lines for people, or one JSON object.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::process::Usage;

/// Latencies in microseconds, from 1 µs to a minute.
pub(crate) fn histogram() -> Histogram<u64> {
    // The crate accepts these constant bounds; if not, an unbounded histogram works, too.
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap_or_else(|_| {
        let mut unbounded =
            Histogram::new(3).unwrap_or_else(|_| unreachable!("3 digits are allowed"));
        unbounded.auto(true);
        unbounded
    })
}

/// Figures, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<(&'static str, Value, &'static str)>,
    /// Why the run counts as failed.
    faults: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, name: &'static str, value: impl Into<Value>, unit: &'static str) {
        self.figures.push((name, value.into(), unit));
    }

    /// Adds a number with its significant digits.
    pub(crate) fn number(&mut self, name: &'static str, value: f64, unit: &'static str) {
        let digits = if value.abs() >= 1000.0 {
            0
        } else {
            2 - value.abs().max(0.001).log10().floor().min(2.0) as i32
        };
        let scale = 10_f64.powi(digits);
        self.add(name, json!((value * scale).round() / scale), unit);
    }

    pub(crate) fn latencies(&mut self, times: &Histogram<u64>) {
        for (name, quantile) in [
            ("p50_us", 0.5),
            ("p90_us", 0.9),
            ("p99_us", 0.99),
            ("p999_us", 0.999),
        ] {
            self.add(name, times.value_at_quantile(quantile), "");
        }
        self.add("max_us", times.max(), "");
    }

    /// Adds the resources that server and generator used between two measurements, in total and for each of `count` items.
    pub(crate) fn cpu(
        &mut self,
        server: Option<(Usage, Usage)>,
        own: (Usage, Usage),
        over: Duration,
        count: u64,
    ) {
        let share = |(before, after): (Usage, Usage)| {
            let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
            (
                cpu,
                100.0 * cpu / over.as_secs_f64(),
                1e6 * cpu / count.max(1) as f64,
            )
        };
        if let Some(server) = server {
            let (cpu, percent, each) = share(server);
            self.number("server_cpu_s", cpu, "");
            self.number("server_cpu_percent", percent, "");
            self.number(
                "server_us_each",
                each,
                "µs of the server's CPU, which is also seconds per million",
            );
            self.number("server_rss_mb", server.1.memory as f64 / 1e6, "");
        }
        let (_, percent, each) = share(own);
        self.number("own_cpu_percent", percent, "of a core for this generator");
        self.number("own_us_each", each, "µs of this generator's CPU");
    }

    pub(crate) fn fault(&mut self, what: String) {
        self.faults.push(what);
    }

    pub(crate) fn has_failed(&self) -> bool {
        !self.faults.is_empty()
    }

    pub(crate) fn json(&self) -> String {
        let mut object = Map::new();
        for (name, value, _) in &self.figures {
            object.insert((*name).to_owned(), value.clone());
        }
        object.insert("faults".to_owned(), json!(self.faults));
        Value::Object(object).to_string()
    }

    pub(crate) fn lines(&self) -> String {
        let mut lines = String::new();
        for (name, value, unit) in &self.figures {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            lines += &format!("{name:>22}  {value} {unit}\n");
        }
        for fault in &self.faults {
            lines += &format!("{:>22}  {fault}\n", "FAULT");
        }
        lines
    }
}
