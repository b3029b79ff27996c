//! The plot: each match a dot, and the window that no match exceeds as a line.

use std::fmt::Write;

/// A match.
pub(crate) struct Dot {
    /// How long its oldest ticket had waited, in seconds.
    pub(crate) waited: f64,
    /// The difference between its highest and its lowest rank.
    pub(crate) spread: f64,
}

/// The matches of one run.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) dots: Vec<Dot>,
    /// How much the window grows each second.
    pub(crate) widening: f64,
}

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 62.0;
const BOTTOM: f64 = 48.0;
const TOP: f64 = 20.0;

/// The largest values that are shown.
const SECONDS: f64 = 90.0;
const RANKS: f64 = 500.0;

const COLORS: [&str; 3] = ["#0b6fb8", "#c4581c", "#2f8a4b"];

fn x(seconds: f64) -> f64 {
    LEFT + seconds / SECONDS * (WIDTH - LEFT - 16.0)
}

fn y(ranks: f64) -> f64 {
    HEIGHT - BOTTOM - ranks / RANKS * (HEIGHT - BOTTOM - TOP)
}

/// The plot of these runs, whose windows all begin at `window`.
pub(crate) fn svg(series: &[Series], window: f64) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"#333\">\n\
         <title>The spread of ranks in each match, by the time that its oldest ticket has waited</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    axes(&mut out);
    for (one, color) in series.iter().zip(COLORS) {
        let _ = write!(
            out,
            "<path stroke=\"{color}\" stroke-opacity=\"0.5\" stroke-width=\"3.4\" stroke-linecap=\"round\" d=\""
        );
        let shown = |dot: &&Dot| dot.waited <= SECONDS && dot.spread <= RANKS;
        for dot in one.dots.iter().filter(shown) {
            let (x, y) = (x(dot.waited), y(dot.spread));
            let _ = write!(out, "M{x:.0} {y:.0}h0");
        }
        let _ = writeln!(out, "\"/>");
        let end = ((RANKS - window) / one.widening).min(SECONDS);
        let (x0, y0, x1, y1) = (x(0.0), y(window), x(end), y(window + one.widening * end));
        let _ = writeln!(
            out,
            "<path d=\"M{x0:.1} {y0:.1} L{x1:.1} {y1:.1}\" stroke=\"{color}\" stroke-width=\"1.5\" fill=\"none\"/>"
        );
    }
    for ((one, color), row) in series.iter().zip(COLORS).zip(0_u8..) {
        let (cx, cy) = (WIDTH - 262.0, TOP + 14.0 + 20.0 * f64::from(row));
        let _ = writeln!(
            out,
            "<circle cx=\"{cx}\" cy=\"{cy}\" r=\"4\" fill=\"{color}\"/><text x=\"{}\" y=\"{}\">{}</text>",
            cx + 10.0,
            cy + 4.5,
            one.name
        );
    }
    out.push_str("</svg>\n");
    out
}

fn axes(out: &mut String) {
    for step in 0..=9_u8 {
        let seconds = f64::from(step) * 10.0;
        let (at, below) = (x(seconds), HEIGHT - BOTTOM + 18.0);
        let _ = writeln!(
            out,
            "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{seconds}</text>"
        );
    }
    for step in 0..=5_u8 {
        let ranks = f64::from(step) * 100.0;
        let at = y(ranks);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {at:.1} H{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{ranks}</text>",
            WIDTH - 16.0,
            LEFT - 8.0,
            at + 4.5
        );
    }
    let middle = (HEIGHT - BOTTOM) / 2.0;
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">the oldest ticket has waited, in seconds</text>\n\
         <text transform=\"translate(16 {middle}) rotate(-90)\" text-anchor=\"middle\">spread of ranks in the match</text>",
        x(SECONDS / 2.0),
        HEIGHT - 8.0
    );
}
