//! The latencies as a picture: a line for each server, from its fastest reads to its slowest.

use std::fmt::Write as _;

use super::latency::{QUANTILES, Way};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 440.0;
/// Where the lines are: left, right, top, bottom.
const PLOT: [f64; 4] = [60.0, 640.0, 60.0, 400.0];

/// For light and dark mode, as in the chart of the other benchmarks.
const STYLE: &str = "\
text { font: 12px sans-serif; fill: #1f2328 } .title { font-size: 16px; font-weight: bold }
.back { fill: #ffffff } .grid { stroke: #d1d9e0 } .line { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) { text { fill: #f0f6fc } .back { fill: #0d1117 } .grid { stroke: #3d444d } }";

const COLOURS: [&str; 7] = ["#59636e", "#9a6700", "#0969da", "#1a7f37", "#8250df", "#bc4c00", "#cf222e"];

/// Microseconds on a logarithmic scale, between powers of two.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(ways: &[Way]) -> Self {
        let all = || ways.iter().flat_map(|way| QUANTILES.map(|(_, at)| way.quantile(at)));
        let low = all().fold(f64::MAX, f64::min).log2().floor();
        Self { low, high: all().fold(0.0, f64::max).log2().ceil().max(low + 1.0) }
    }

    fn y(&self, microseconds: f64) -> f64 {
        let [.., top, bottom] = PLOT;
        bottom - (microseconds.log2() - self.low) / (self.high - self.low) * (bottom - top)
    }
}

pub(crate) fn draw(ways: &[Way]) -> String {
    let [left, right, top, bottom] = PLOT;
    let scale = Scale::of(ways);
    let step = (right - left) / 5.0;
    let x = |index: usize| (0..index).fold(left, |x, _| x + step);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\">\n<style>\n{STYLE}\n</style>\n\
         <rect class=\"back\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
         <text class=\"title\" x=\"{left}\" y=\"30\">Random 4 KiB reads over NBD, one in flight: microseconds</text>\n"
    );
    let mut power = scale.low;
    while power <= scale.high {
        let (value, y) = (power.exp2(), scale.y(power.exp2()));
        _ = writeln!(svg, "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>", left - 6.0, y + 4.0);
        power += 1.0;
    }
    for (index, (name, _)) in QUANTILES.iter().enumerate() {
        _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
            x(index),
            bottom + 20.0
        );
    }
    let mut y = top;
    for (way, colour) in ways.iter().zip(COLOURS.iter().cycle()) {
        let points = QUANTILES.iter().enumerate();
        let points: Vec<String> =
            points.map(|(index, &(_, at))| format!("{:.1},{:.1}", x(index), scale.y(way.quantile(at)))).collect();
        _ = writeln!(svg, "<polyline class=\"line\" stroke=\"{colour}\" points=\"{}\"/>", points.join(" "));
        let (from, to, text) = (right + 20.0, right + 44.0, right + 52.0);
        _ = writeln!(svg, "<line class=\"line\" stroke=\"{colour}\" x1=\"{from}\" x2=\"{to}\" y1=\"{y}\" y2=\"{y}\"/>");
        let p50 = way.quantile(500);
        _ = writeln!(svg, "<text x=\"{text}\" y=\"{:.1}\">{}: p50 {p50:.1}</text>", y + 4.0, way.name);
        y += 20.0;
    }
    svg + "</svg>\n"
}
