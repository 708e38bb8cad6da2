//! The tables as a picture: a bar for each row with the reference in it, whose length shows our speed.
//!
//! It is drawn from the printed Markdown tables, new or old, so that picture and text cannot differ.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};

use crate::rows::NOT_THE_REFERENCE;
use crate::table::HEADING;

const WIDTH: f64 = 960.0;
/// Where the bars start and where the longest could end. To the left is the name of the row, to the right its figure.
const PLOT: [f64; 2] = [430.0, 890.0];
const ROW: f64 = 18.0;
/// Between two tables.
const GAP: f64 = 14.0;
const TOP: f64 = 92.0;

/// Each colour twice, for light and for dark mode. The background is part of the picture: a page may be dark although
/// its reader prefers light.
pub(crate) const STYLE: &str = "\
text { font: 12px sans-serif; fill: #1f2328 } .title { font-size: 16px; font-weight: bold }
.muted { fill: #59636e } .back { fill: #ffffff } .grid { stroke: #d1d9e0 } .one { stroke: #59636e }
.faster { fill: #0969da } .slower { fill: #bc4c00 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .muted { fill: #9198a1 } .back { fill: #0d1117 } .grid { stroke: #3d444d }
.one { stroke: #9198a1 } .faster { fill: #4493f8 } .slower { fill: #db6d28 }
}";

/// The content of the picture.
#[derive(Debug)]
pub(crate) struct Chart {
    /// The machine and the day.
    about: String,
    /// The bars of each table.
    tables: Vec<Vec<Bar>>,
}

#[derive(Debug)]
struct Bar {
    what: String,
    /// The text from the table.
    text: String,
    times: f64,
}

impl Chart {
    /// Reads the tables in a Markdown text. The text before the first one, up to a semicolon, says what they were
    /// measured on.
    pub(crate) fn parse(markdown: &str) -> Result<Self> {
        let heading = HEADING.lines().next();
        let mut chart = Self { about: String::new(), tables: Vec::new() };
        // The paragraph that was read last.
        let mut paragraph = String::new();
        let mut lines = markdown.lines();
        let mut ended = false;
        while let Some(line) = lines.next() {
            if Some(line) == heading {
                if chart.tables.is_empty() {
                    paragraph.split(';').next().unwrap_or_default().clone_into(&mut chart.about);
                }
                let rows = lines.by_ref().skip(1).take_while(|line| line.starts_with('|'));
                let bars = rows.map(Bar::parse).collect::<Result<Vec<_>>>()?;
                chart.tables.push(bars.into_iter().flatten().collect());
                paragraph.clear();
            } else if line.trim().is_empty() {
                ended = true;
            } else {
                if ended {
                    paragraph.clear();
                } else if !paragraph.is_empty() {
                    paragraph.push(' ');
                }
                paragraph.push_str(line.trim());
                ended = false;
            }
        }
        chart.tables.retain(|bars| !bars.is_empty());
        Ok(chart)
    }

    /// Whether there is nothing to draw.
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub(crate) fn svg(&self) -> String {
        let bars = || self.tables.iter().flatten();
        let ends = bars().fold([1.0, 10.0], |[least, most], bar| [bar.times.min(least), bar.times.max(most)]);
        let ticks = ticks(ends);
        let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
        let x = |times: f64| PLOT[0] + (PLOT[1] - PLOT[0]) * (times / low).ln() / (high / low).ln();
        let mut body = String::new();
        let mut y = TOP;
        for table in &self.tables {
            for bar in table {
                let class = if bar.times < 1.0 { "slower" } else { "faster" };
                let (from, to) = (x(bar.times.min(1.0)), x(bar.times.max(1.0)));
                text(&mut body, (PLOT[0] - 8.0, y + 12.0), r#"text-anchor="end""#, &bar.what);
                rectangle(&mut body, class, [from, y + 2.0, to - from, ROW - 4.0]);
                text(&mut body, (to + 5.0, y + 12.0), "", &bar.text);
                y += ROW;
            }
            y += GAP;
        }
        let bottom = y - GAP + 4.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" role=\"img\">\n<title>How many times as fast as the reference</title>\n\
             <style>\n{STYLE}\n</style>\n",
            height = bottom + 12.0
        );
        rectangle(&mut svg, "back", [0.0, 0.0, WIDTH, bottom + 12.0]);
        text(&mut svg, (16.0, 28.0), r#"class="title""#, "How many times as fast as the reference");
        text(&mut svg, (16.0, 48.0), r#"class="muted""#, &self.about);
        let scale = "1 is as fast as the reference, more is faster; the scale is logarithmic";
        text(&mut svg, (16.0, 66.0), r#"class="muted""#, scale);
        for tick in ticks {
            text(&mut svg, (x(tick), TOP - 8.0), r#"class="muted" text-anchor="middle""#, &tick.to_string());
            line(&mut svg, "grid", x(tick), [TOP - 4.0, bottom]);
        }
        line(&mut body, "one", x(1.0), [TOP - 4.0, bottom]);
        svg + &body + "</svg>\n"
    }
}

impl Bar {
    /// The bar of a row; none if the reference is not in it.
    fn parse(row: &str) -> Result<Option<Self>> {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [what, _, _, text, _] = cells[..] else { bail!("this row has not five columns: {row}") };
        if what.contains(NOT_THE_REFERENCE) {
            return Ok(None);
        }
        let times = text.strip_suffix('×').and_then(|number| number.parse::<f64>().ok());
        let times =
            times.filter(|times| *times > 0.0).with_context(|| format!("{text:?} is not how many times: {row}"))?;
        // A remark in parentheses appears in the table only.
        let what = what.split_once(" (").map_or(what, |(what, _)| what).to_owned();
        Ok(Some(Self { what, text: text.to_owned(), times }))
    }
}

/// 1, 2, 5, 10 and so on, and their fractions: from the last one that is at most `least` to the first that is at least
/// `most`.
fn ticks([least, most]: [f64; 2]) -> Vec<f64> {
    let all = (-3..=5).flat_map(|power: i32| {
        ["1", "2", "5"].map(|digit| format!("{digit}e{power}").parse::<f64>().expect("a number"))
    });
    let all: Vec<f64> = all.collect();
    let from = all.iter().rposition(|tick| *tick <= least).unwrap_or(0);
    let to = all.iter().position(|tick| *tick >= most).unwrap_or(all.len() - 1);
    all[from..=to].to_vec()
}

pub(crate) fn text(svg: &mut String, (x, y): (f64, f64), attributes: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let blank = if attributes.is_empty() { "" } else { " " };
    let _ = writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}"{blank}{attributes}>{text}</text>"#);
}

pub(crate) fn rectangle(svg: &mut String, class: &str, [x, y, width, height]: [f64; 4]) {
    let _ = writeln!(svg, r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#);
}

fn line(svg: &mut String, class: &str, x: f64, [from, to]: [f64; 2]) {
    let _ = writeln!(svg, r#"<path class="{class}" d="M{x:.1} {from:.1}V{to:.1}"/>"#);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use dmverity_tests::workspace;

    use super::*;

    fn table(rows: &[&str]) -> String {
        format!("Machine & <kernel>,\n2026-11-22; load average 1.\n\n{HEADING}\n{}\n\nMore.\n", rows.join("\n"))
    }

    #[test]
    fn the_chart_in_the_readme_has_the_figures_of_the_benchmarks() {
        let page = fs::read_to_string(workspace().join("man/benchmarks.md")).unwrap();
        let picture = fs::read_to_string(workspace().join("tests/bench/speed.svg")).unwrap();
        let chart = Chart::parse(&page).unwrap();
        assert!(chart.svg() == picture, "run `make bench-chart`");
        let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
        assert!(readme.contains("](tests/bench/speed.svg)"));
        assert!(chart.about.contains(", reference veritysetup "), "{}", chart.about);
        // Every row of the tables is there, except those that have no reference in them.
        let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains("×"));
        let rows = rows.filter(|line| !line.contains("(left: "));
        assert_eq!(chart.tables.iter().flatten().count(), rows.count());
    }

    #[test]
    fn rows_without_the_reference_are_left_out() {
        let left = "| format (left: not the reference, but ours, the data alone) | 0.185 | 0.541 | 0.34× | 4.3 |";
        let chart = Chart::parse(&table(&["| format, sha1 (once) | 1.0 | 0.5 | 2.00× | 4.3 |", left])).unwrap();
        let [bars] = &chart.tables[..] else { panic!("{chart:?}") };
        assert_eq!(bars.iter().map(|bar| (&*bar.what, &*bar.text)).collect::<Vec<_>>(), [("format, sha1", "2.00×")]);
        assert_eq!(chart.about, "Machine & <kernel>, 2026-11-22");
        assert!(chart.svg().contains(">Machine &amp; &lt;kernel&gt;, 2026-11-22</text>"));
        assert!(Chart::parse(&table(&[left])).unwrap().is_empty());
        assert!(Chart::parse("| exit code | means |\n|---|---|\n| 0 | success |\n").unwrap().is_empty());
    }

    #[test]
    fn rows_that_cannot_be_read_are_errors() {
        for row in
            ["| format | 1.0 | 0.5 | 2.00× |", "| format | 1.0 | 0.5 | fast | 4.3 |", "| f | 1 | 1 | 0.00× | 1 |"]
        {
            assert!(Chart::parse(&table(&[row])).is_err(), "{row}");
        }
    }

    #[test]
    fn bars_go_from_one_to_their_figure() {
        let rows = ["| a | 1.0 | 0.1 | 10.0× | 1.0 |", "| b | 0.1 | 1.0 | 0.10× | 1.0 |"];
        let svg = Chart::parse(&table(&rows)).unwrap().svg();
        // The scale goes from 0.1 to 10, so that 1 is in the middle.
        assert!(svg.contains(r#"<rect class="faster" x="660.0" y="94.0" width="230.0" height="14.0"/>"#), "{svg}");
        assert!(svg.contains(r#"<rect class="slower" x="430.0" y="112.0" width="230.0" height="14.0"/>"#), "{svg}");
        assert_eq!(ticks([0.3, 530.0]), [0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]);
    }
}
