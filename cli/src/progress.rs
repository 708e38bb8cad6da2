//! The progress of long-running work, on standard error: a bar on a terminal once the work has taken a second, lines
//! where an option asks for them, otherwise nothing.

use std::env;
use std::ffi::OsStr;
use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dmverity::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::arguments::LongWork;
use crate::escape::{text_of, without_raw};
use crate::failure::Result;
use crate::output;

/// Between two lines of JSON, unless `--progress-frequency` says otherwise.
const JSON_EVERY: Duration = Duration::from_millis(500);

/// Work that ends sooner needs no bar.
const BAR_AFTER: Duration = Duration::from_secs(1);

/// The time between two draws of a bar: more would fill a serial console, and the eye does not follow them.
const BAR_EVERY: Duration = Duration::from_millis(100);

const MIB: u64 = 1 << 20;

/// Shows progress, or nothing.
pub(crate) enum Display {
    Nothing,
    Bar(Mutex<Bar>),
    Lines(Lines),
}

impl Display {
    /// What the options and the terminal ask for. Lines of JSON name the `device`, bars the action.
    pub(crate) fn new(work: &LongWork, device: &Path) -> Result<Self> {
        let json = work.progress_json;
        let every = work.frequency()?;
        Ok(if work.batch_mode {
            Self::Nothing
        } else if json || every.is_some() {
            let every = every.unwrap_or(JSON_EVERY);
            let device = without_raw(&text_of(device), r"\");
            let now = Instant::now();
            Self::Lines(Lines { device, json, every, started: now, last: Mutex::new(now) })
        } else if stderr().is_terminal() && obeys_escapes(env::var_os("TERM").as_deref()) {
            Self::Bar(Mutex::new(Bar::new(work.action, Instant::now())))
        } else {
            Self::Nothing
        })
    }

    pub(crate) fn show(&self, progress: Progress) {
        match self {
            Self::Nothing => {}
            // A thread that finds the bar being drawn skips it: it has nothing newer to show.
            Self::Bar(bar) => {
                if let Ok(mut bar) = bar.try_lock() {
                    bar.show(progress, Instant::now());
                }
            }
            Self::Lines(lines) => lines.show(progress),
        }
    }
}

/// Whether a terminal of this name supports what a bar needs. One without a name is a serial console or less.
fn obeys_escapes(term: Option<&OsStr>) -> bool {
    term.is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// A bar that is drawn when its time has come.
pub(crate) struct Bar {
    drawing: ProgressBar,
    pace: Pace,
    is_drawn: bool,
    /// Whether it shows how much is left.
    has_end: bool,
}

impl Bar {
    fn new(action: &str, now: Instant) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(Self::style(true));
        bar.set_prefix(action.to_owned());
        Self { drawing: bar, pace: Pace::from(now), is_drawn: false, has_end: true }
    }

    /// How it is drawn; of a stream that may end at any time only what was done.
    fn style(has_end: bool) -> ProgressStyle {
        let template = if has_end {
            "{prefix} [{wide_bar}] {percent:>3}%  {binary_bytes_per_sec}  {eta} left"
        } else {
            "{prefix} {binary_bytes}  {binary_bytes_per_sec}"
        };
        ProgressStyle::with_template(template).expect("the template is right").progress_chars("=> ")
    }

    fn show(&mut self, Progress { done, total }: Progress, now: Instant) {
        if !self.pace.is_due(now) {
            return;
        }
        let has_end = total != Progress::UNKNOWN;
        if has_end != self.has_end {
            self.has_end = has_end;
            self.drawing.set_style(Self::style(has_end));
        }
        if !self.is_drawn {
            self.is_drawn = true;
            self.drawing.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.drawing.update(|state| {
            state.set_len(total);
            state.set_pos(done);
        });
    }
}

/// What comes next starts on a line of its own.
impl Drop for Bar {
    fn drop(&mut self) {
        if self.is_drawn {
            self.drawing.finish_and_clear();
        }
    }
}

/// When a bar is drawn.
struct Pace {
    next: Instant,
}

impl Pace {
    /// The pace of work that starts now.
    fn from(start: Instant) -> Self {
        Self { next: start + BAR_AFTER }
    }

    /// Whether the bar is due now; if so, it is not due again for a while.
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next;
        if is_due {
            self.next = now + BAR_EVERY;
        }
        is_due
    }
}

/// A line every now and then, and one at the end.
pub(crate) struct Lines {
    device: String,
    json: bool,
    every: Duration,
    started: Instant,
    last: Mutex<Instant>,
}

/// As the reference's other tools print it: numbers are texts, because not every reader of JSON has whole numbers of 64
/// bits.
#[derive(Serialize)]
struct Line<'a> {
    device: &'a str,
    device_bytes: String,
    device_size: String,
    speed: String,
    eta_ms: String,
    time_ms: String,
}

impl Lines {
    fn show(&self, progress: Progress) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.done < progress.total && last.elapsed() < self.every {
            return;
        }
        *last = Instant::now();
        output::print_error(&self.line(progress, self.started.elapsed()));
    }

    fn line(&self, Progress { done, total }: Progress, elapsed: Duration) -> String {
        let milliseconds = elapsed.as_millis().max(1);
        let speed = u128::from(done) * 1000 / milliseconds;
        let total = Some(total).filter(|&total| total != Progress::UNKNOWN);
        let to_do = total.map_or(0, |total| total.saturating_sub(done));
        let left = u128::from(to_do) * milliseconds / u128::from(done.max(1));
        if self.json {
            let line = Line {
                device: &self.device,
                device_bytes: done.to_string(),
                device_size: total.unwrap_or(0).to_string(),
                speed: speed.to_string(),
                eta_ms: left.to_string(),
                time_ms: elapsed.as_millis().to_string(),
            };
            return serde_json::to_string(&line).expect("texts") + "\n";
        }
        let Some(total) = total else {
            return format!("Progress: {} MiB done, speed {} MiB/s\n", done / MIB, speed / u128::from(MIB));
        };
        let permille = u128::from(done) * 1000 / u128::from(total.max(1));
        let seconds = left / 1000;
        format!(
            "Progress: {:>3}.{}%, ETA {:02}m{:02}s, {} MiB done, speed {} MiB/s\n",
            permille / 10,
            permille % 10,
            seconds / 60,
            seconds % 60,
            done / MIB,
            speed / u128::from(MIB),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(json: bool) -> Lines {
        let now = Instant::now();
        Lines { device: "d".to_owned(), json, every: JSON_EVERY, started: now, last: Mutex::new(now) }
    }

    #[test]
    fn lines_have_speed_and_time_left() {
        let half = Progress { done: 512 * MIB, total: 1024 * MIB };
        assert_eq!(
            lines(true).line(half, Duration::from_secs(2)),
            "{\"device\":\"d\",\"device_bytes\":\"536870912\",\"device_size\":\"1073741824\",\"speed\":\"268435456\",\
             \"eta_ms\":\"2000\",\"time_ms\":\"2000\"}\n"
        );
        assert_eq!(
            lines(false).line(half, Duration::from_secs(2)),
            "Progress:  50.0%, ETA 00m02s, 512 MiB done, speed 256 MiB/s\n"
        );
    }

    #[test]
    fn a_stream_without_a_length_has_no_time_left() {
        let some = Progress { done: 512 * MIB, total: Progress::UNKNOWN };
        assert_eq!(lines(false).line(some, Duration::from_secs(2)), "Progress: 512 MiB done, speed 256 MiB/s\n");
        let json = lines(true).line(some, Duration::from_secs(2));
        assert!(json.contains("\"device_size\":\"0\"") && json.contains("\"eta_ms\":\"0\""), "{json}");
    }

    /// Milliseconds at which a bar is drawn of work that says every `step` how far it is, until `end`.
    fn drawn(step: usize, end: u64) -> Vec<u64> {
        let start = Instant::now();
        let mut pace = Pace::from(start);
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        (0..=end).step_by(step).filter(|&milliseconds| pace.is_due(after(milliseconds))).collect()
    }

    #[test]
    fn a_bar_stays_away_for_a_second_and_is_drawn_ten_times_a_second_at_most() {
        assert!(drawn(1, 999).is_empty());
        assert_eq!(drawn(1, 1000), [1000]);
        assert_eq!(drawn(1, 1300), [1000, 1100, 1200, 1300]);
        assert_eq!(drawn(30, 1400), [1020, 1140, 1260, 1380]);
        assert_eq!(drawn(700, 3000), [1400, 2100, 2800]);
    }

    #[test]
    fn a_bar_needs_a_terminal_that_obeys_it() {
        for (term, obeys) in [("xterm-256color", true), ("linux", true), ("vt100", true), ("dumb", false), ("", false)]
        {
            assert_eq!(obeys_escapes(Some(OsStr::new(term))), obeys, "{term}");
        }
        assert!(!obeys_escapes(None));
    }

    #[test]
    fn nothing_done_and_no_time_gone_are_no_division_by_zero() {
        let none = Progress { done: 0, total: 0 };
        assert!(lines(true).line(none, Duration::ZERO).contains("\"eta_ms\":\"0\""));
        assert!(lines(false).line(none, Duration::ZERO).starts_with("Progress:   0.0%"));
    }
}
