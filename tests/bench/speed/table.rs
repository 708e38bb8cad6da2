//! Medians, and the table they are printed in.

use std::time::Duration;

/// The heading, in Markdown.
pub(crate) const HEADING: &str = "\
| what | reference (median s) | ours (median s) | times as fast | peak memory ours (MiB) |
|---|---:|---:|---:|---:|";

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Line {
    /// The name of the row.
    pub(crate) what: String,
    /// The median time of the reference, or of the program measured instead.
    pub(crate) reference: Duration,
    /// The median time of ours.
    pub(crate) ours: Duration,
    /// The largest resident memory of ours.
    pub(crate) peak_kib: u64,
}

impl Line {
    /// In Markdown.
    pub(crate) fn markdown(&self) -> String {
        let Self { what, reference, ours, peak_kib } = self;
        let ratio = reference.as_secs_f64() / ours.as_secs_f64();
        format!("| {what} | {} | {} | {} | {} |", seconds(*reference), seconds(*ours), times(ratio), mib(*peak_kib))
    }
}

/// The median; of an even number of times, the mean of the two in the middle.
///
/// # Panics
/// If there are none.
pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let middle = times.len() / 2;
    if times.len() % 2 == 1 { times[middle] } else { (times[middle - 1] + times[middle]) / 2 }
}

/// With its significant digits.
pub(crate) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.1 {
        format!("{seconds:.5}")
    } else if seconds < 10.0 {
        format!("{seconds:.3}")
    } else {
        format!("{seconds:.1}")
    }
}

pub(crate) fn times(ratio: f64) -> String {
    if ratio < 10.0 {
        format!("{ratio:.2}×")
    } else if ratio < 100.0 {
        format!("{ratio:.1}×")
    } else {
        format!("{ratio:.0}×")
    }
}

/// With one digit after the point, rounded up.
pub(crate) fn mib(kib: u64) -> String {
    let tenths = (kib * 10).div_ceil(1024);
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(times: &[u64]) -> Vec<Duration> {
        times.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn the_median_does_not_depend_on_the_order() {
        assert_eq!(median(&milliseconds(&[7])), Duration::from_millis(7));
        assert_eq!(median(&milliseconds(&[9, 1, 5])), Duration::from_millis(5));
        assert_eq!(median(&milliseconds(&[9, 1, 5, 6])), Duration::from_micros(5500));
    }

    #[test]
    fn one_far_off_does_not_move_the_median() {
        assert_eq!(median(&milliseconds(&[10, 11, 12, 13, 90_000])), Duration::from_millis(12));
    }

    #[test]
    fn a_line_has_as_many_columns_as_the_heading() {
        let [reference, ours] = [1200, 150].map(Duration::from_millis);
        let line = Line { what: "format".to_owned(), reference, ours, peak_kib: 4097 }.markdown();
        assert_eq!(line, "| format | 1.200 | 0.150 | 8.00× | 4.1 |");
        for heading in HEADING.lines() {
            assert_eq!(heading.matches('|').count(), line.matches('|').count());
        }
    }

    #[test]
    fn digits_that_mean_nothing_are_left_out() {
        assert_eq!(["0.00080", "0.100", "39.6"], [800, 100_000, 39_612_345].map(|n| seconds(Duration::from_micros(n))));
        assert_eq!(["0.25×", "27.5×", "4000×"], [0.25, 27.5, 4000.2].map(times));
        assert_eq!(["0.0", "0.1", "1.0", "64.0"], [0, 1, 1024, 65536].map(mib));
    }
}
