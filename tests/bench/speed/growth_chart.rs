//! The table of growth as a picture: for `format` and for `verify`, time and memory against the size, with a line for
//! sparse files and one for full ones.
//!
//! It is drawn from the printed Markdown table, so that picture and text cannot differ.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};

use crate::chart::{STYLE, rectangle, text};
use crate::growth::{HEADING, NONE};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 620.0;
/// Where the plots start and end: those of `format` and of `verify`, those of time and of memory.
const COLUMNS: [[f64; 2]; 2] = [[70.0, 450.0], [550.0, 930.0]];
const ROWS: [[f64; 2]; 2] = [[100.0, 320.0], [400.0, 560.0]];
/// The lines of sparse and of full files.
const LINES: &str = "\
.line { fill: none; stroke-width: 2 } .sparse { stroke: #bc4c00 } .full { stroke: #0969da }
@media (prefers-color-scheme: dark) { .sparse { stroke: #db6d28 } .full { stroke: #4493f8 } }";
const FILES: [&str; 2] = ["sparse", "full"];

/// The figures of one size.
#[derive(Debug, PartialEq)]
struct Point {
    /// As in the table.
    size: String,
    /// For `format` and `verify`, for sparse and full files: seconds and MiB, if measured.
    figures: [[Option<[f64; 2]>; 2]; 2],
}

/// The picture of the table in a Markdown text; none if there is no such table.
pub(crate) fn draw(markdown: &str) -> Result<Option<String>> {
    let heading = HEADING.lines().next();
    let mut lines = markdown.lines().skip_while(|line| Some(*line) != heading).skip(2);
    let lines = lines.by_ref().take_while(|line| line.starts_with('|'));
    let points = lines.map(point).collect::<Result<Vec<_>>>()?;
    Ok((!points.is_empty()).then(|| svg(&points)))
}

fn point(row: &str) -> Result<Point> {
    let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
    let [size, figures @ ..] = &cells[..] else { bail!("an empty row") };
    let number = |cell: &str| cell.parse::<f64>().with_context(|| format!("{cell:?} is no figure: {row}"));
    let both = |cells: &[&str]| match *cells {
        [NONE, NONE] => Ok(None),
        [time, memory] => Ok(Some([number(time)?, number(memory)?])),
        _ => bail!("this row has not nine columns: {row}"),
    };
    let figures = figures.chunks(2).map(both).collect::<Result<Vec<_>>>()?;
    let [format_sparse, format_full, verify_sparse, verify_full] = figures[..] else {
        bail!("this row has not nine columns: {row}")
    };
    Ok(Point { size: (*size).to_owned(), figures: [[format_sparse, format_full], [verify_sparse, verify_full]] })
}

fn svg(points: &[Point]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" role=\"img\">\n<title>Time and memory against the size of the file</title>\n\
         <style>\n{STYLE}\n{LINES}\n</style>\n"
    );
    rectangle(&mut svg, "back", [0.0, 0.0, WIDTH, HEIGHT]);
    text(&mut svg, (16.0, 28.0), r#"class="title""#, "Time and memory against the size of the file");
    for (file, x) in FILES.into_iter().zip([16.0, 120.0]) {
        polyline(&mut svg, file, &[(x, 48.0), (x + 24.0, 48.0)]);
        text(&mut svg, (x + 30.0, 52.0), "", file);
    }
    for (action, name) in ["format", "verify"].into_iter().enumerate() {
        for (kind, unit) in ["seconds, logarithmic", "peak memory, MiB"].into_iter().enumerate() {
            let (columns, rows) = (COLUMNS[action], ROWS[kind]);
            text(&mut svg, (columns[0], rows[0] - 12.0), "", &format!("{name}: {unit}"));
            plot(&mut svg, points, [action, kind], columns, rows);
        }
    }
    svg + "</svg>\n"
}

fn plot(svg: &mut String, points: &[Point], [action, kind]: [usize; 2], [left, right]: [f64; 2], rows: [f64; 2]) {
    let [top, bottom] = rows;
    let of = |point: &Point, file: usize| point.figures[action][file].map(|figures| figures[kind]);
    // The same scale for both actions.
    let all = points.iter().flat_map(|point| point.figures.iter().flatten().flatten()).map(|figures| figures[kind]);
    let ends = all.fold([f64::MAX, 0.0_f64], |[least, most], figure| [least.min(figure), most.max(figure)]);
    let ticks = if kind == 0 { powers(ends) } else { fours(ends[1]) };
    let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
    let share = |figure: f64| if kind == 0 { (figure / low).ln() / (high / low).ln() } else { figure / high };
    let y = |figure: f64| bottom - share(figure) * (bottom - top);
    for tick in &ticks {
        let at = y(*tick);
        let _ = writeln!(svg, r#"<path class="grid" d="M{left:.1} {at:.1}H{right:.1}"/>"#);
        text(svg, (left - 6.0, at + 4.0), r#"class="muted" text-anchor="end""#, &tick.to_string());
    }
    let mut xs = vec![left];
    let step = (right - left) / f64::from(u8::try_from(points.len().max(2) - 1).unwrap_or(u8::MAX));
    xs.extend(points.iter().skip(1).scan(left, |x, _| {
        *x += step;
        Some(*x)
    }));
    for (point, x) in points.iter().zip(&xs) {
        text(svg, (*x, bottom + 18.0), r#"class="muted" text-anchor="middle""#, &point.size);
    }
    for (file, class) in FILES.into_iter().enumerate() {
        let line = points.iter().zip(&xs).filter_map(|(point, x)| Some((*x, y(of(point, file)?))));
        polyline(svg, class, &line.collect::<Vec<_>>());
    }
}

/// Powers of ten from at most the least to at least the most.
fn powers([least, most]: [f64; 2]) -> Vec<f64> {
    let all: Vec<f64> = (-5..=5).map(|power| format!("1e{power}").parse().expect("a number")).collect();
    let from = all.iter().rposition(|tick| *tick <= least).unwrap_or(0);
    let to = all.iter().position(|tick| *tick >= most).unwrap_or(all.len() - 1);
    all[from..=to.max(from + 1)].to_vec()
}

/// Zero, and multiples of four to at least the most.
fn fours(most: f64) -> Vec<f64> {
    let mut ticks = vec![0.0, 4.0];
    while ticks[ticks.len() - 1] < most {
        ticks.push(ticks[ticks.len() - 1] + 4.0);
    }
    ticks
}

fn polyline(svg: &mut String, class: &str, points: &[(f64, f64)]) {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(svg, r#"<polyline class="line {class}" points="{}"/>"#, points.join(" "));
}

#[cfg(test)]
mod tests {
    use std::fs;

    use dmverity_tests::workspace;

    use super::*;

    #[test]
    fn the_picture_has_the_figures_of_the_benchmarks() {
        let page = fs::read_to_string(workspace().join("man/benchmarks.md")).unwrap();
        let picture = fs::read_to_string(workspace().join("tests/bench/growth.svg")).unwrap();
        assert!(draw(&page).unwrap() == Some(picture), "run `make bench-chart`");
    }

    #[test]
    fn figures_that_were_not_measured_are_left_out() {
        let row = point("| 1 MiB | 0.5 | 2.0 | - | - | 0.25 | 3.0 | - | - |").unwrap();
        assert_eq!(row.figures, [[Some([0.5, 2.0]), None], [Some([0.25, 3.0]), None]]);
        let page = format!(
            "{HEADING}\n| 1 MiB | 1 | 2 | - | - | 1 | 2 | 10 | 4 |\n| 4 MiB | 1 | 2 | - | - | 1 | 2 | 1 | 4 |\n"
        );
        let svg = draw(&page).unwrap().unwrap();
        // Ten seconds are at the top of the plot, one at its bottom.
        assert!(svg.contains(r#"<polyline class="line full" points="550.0,100.0 930.0,320.0"/>"#), "{svg}");
        assert!(svg.contains(r#"<polyline class="line full" points=""/>"#), "{svg}");
        assert_eq!(draw("no table").unwrap(), None);
        assert!(draw(&format!("{HEADING}\n| 1 MiB | 1 | 2 |\n")).is_err());
        assert!(draw(&format!("{HEADING}\n| 1 MiB | x | 2 | 1 | 2 | 1 | 2 | 1 | 2 |\n")).is_err());
    }

    #[test]
    fn the_scales_hold_all_figures() {
        assert_eq!(powers([0.002, 3.0]), [0.001, 0.01, 0.1, 1.0, 10.0]);
        assert_eq!(powers([1.0, 1.0]), [1.0, 10.0]);
        assert_eq!(fours(9.5), [0.0, 4.0, 8.0, 12.0]);
    }
}
