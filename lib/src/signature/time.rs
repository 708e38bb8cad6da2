//! Moments at which certificates are valid.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use der::DateTime;

/// Text that is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is neither a time of RFC 3339 nor @ and seconds since 1970")]
pub struct TimeError {
    text: String,
}

/// A moment, in seconds since 1970 in UTC; as text in the form of RFC 3339.
///
/// ```
/// use dmverity::signature::Time;
///
/// let time: Time = "2026-11-26T14:28:43+02:00".parse()?;
/// assert_eq!(time.to_string(), "2026-11-26T12:28:43Z");
/// assert_eq!(time, "@1795696123".parse()?);
/// # Ok::<(), dmverity::signature::TimeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(u64);

impl Time {
    /// The moment this many seconds after the start of 1970 in UTC.
    pub fn from_unix(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The number of seconds since the start of 1970 in UTC.
    pub fn unix(self) -> u64 {
        self.0
    }

    /// The system's clock; `None` if there is none.
    pub fn now() -> Option<Self> {
        // WebAssembly without a system has no clock: asking for the time panics.
        if cfg!(all(target_family = "wasm", target_os = "unknown")) {
            return None;
        }
        let passed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Some(Self(passed.map_or(0, |passed| passed.as_secs())))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_unix_duration(Duration::from_secs(self.0)) {
            Ok(date) => date.fmt(f),
            // After the year 9999.
            Err(_) => write!(f, "@{}", self.0),
        }
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let seconds = match text.strip_prefix('@') {
            Some(digits) if digits.bytes().all(|each| each.is_ascii_digit()) => digits.parse().ok(),
            Some(_) => None,
            None => rfc3339(text),
        };
        seconds.map(Self).ok_or_else(|| TimeError { text: text.to_owned() })
    }
}

/// `2026-11-26T12:28:43Z`, with a fraction that is dropped, or with a difference to UTC in place of `Z`.
fn rfc3339(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(19)?;
    let local: DateTime = format!("{}Z", date.replace('t', "T")).parse().ok()?;
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|each: char| each.is_ascii_digit());
            (zone.len() < fraction.len()).then_some(zone)?
        }
    };
    let local = local.unix_duration().as_secs();
    if zone.eq_ignore_ascii_case("z") {
        return Some(local);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let number = |text: &str, most: u64| {
        let is_pair = text.len() == 2 && text.bytes().all(|each| each.is_ascii_digit());
        text.parse::<u64>().ok().filter(|number| is_pair && *number <= most)
    };
    let difference = 3600 * number(hours, 23)? + 60 * number(minutes, 59)?;
    match zone.as_bytes()[0] {
        b'+' => local.checked_sub(difference),
        b'-' => local.checked_add(difference),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_several_forms() {
        for text in ["2026-11-26T12:28:43Z", "2026-11-26t12:28:43z", "2026-11-26T12:28:43.123Z"] {
            assert_eq!(text.parse(), Ok(Time(1_795_696_123)), "{text}");
        }
        assert_eq!("2026-11-26T10:58:43-01:30".parse(), Ok(Time(1_795_696_123)));
        assert_eq!(Time(u64::MAX).to_string(), "@18446744073709551615");
        for text in [
            "",
            "@",
            "@-1",
            "@+1",
            "2026-11-26",
            "2026-11-26T12:28:43",
            "2026-11-26T12:28:43.Z",
            "2026-13-26T12:28:43Z",
            "2026-11-26T12:28:43+2:00",
            "2026-11-26T12:28:43+24:00",
            "2026-11-26T12:28:43 02:00",
            "1970-01-01T00:00:00+01:00",
        ] {
            assert_eq!(text.parse::<Time>(), Err(TimeError { text: text.to_owned() }), "{text}");
        }
    }
}
