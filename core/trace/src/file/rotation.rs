//! When a trace goes on in a new file, as `--out-rotate SIZE|DURATION[,KEEP]` says it.

use std::str::FromStr;
use std::time::Duration;

/// When to begin a new file, and how many to keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes of a file, by a block more at most.
    pub size: Option<u64>,
    /// The age of a file; one without events grows older.
    pub age: Option<Duration>,
    /// Files that are kept, the one that is written among them; `None`: all.
    pub keep: Option<usize>,
}

/// Words that are no rotation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// A word that is neither.
    #[error("'{}' is neither a size such as 64M (K, M, G, T) nor a duration such as 1h (s, m, h, d)", .0.escape_debug())]
    Word(String),
    /// A number that is too large.
    #[error("'{}' is too large", .0.escape_debug())]
    Large(String),
    /// Nothing would fit.
    #[error("'{}' is nothing; a size, a duration and a number of files are 1 at least", .0.escape_debug())]
    Zero(String),
    /// Only a number of files.
    #[error("it says how many files to keep, but not when to begin a new one: 64M,10 or 1h,10")]
    When,
    /// Two of one sort.
    #[error("'{}' is the second {what}", word.escape_debug())]
    Twice {
        /// The second.
        word: String,
        /// Of what there are two.
        what: &'static str,
    },
    /// The number of files is not the last word.
    #[error("'{}' comes after the number of files to keep, which is the last: 64M,10", .0.escape_debug())]
    Order(String),
}

impl FromStr for Rotation {
    type Err = RotationError;

    fn from_str(words: &str) -> Result<Rotation, RotationError> {
        let mut rotation = Rotation::default();
        for word in words.split(',').map(str::trim) {
            if rotation.keep.is_some() {
                return Err(RotationError::Order(word.to_owned()));
            }
            rotation.add(word)?;
        }
        if rotation.size.is_none() && rotation.age.is_none() {
            return Err(RotationError::When);
        }
        Ok(rotation)
    }
}

impl Rotation {
    fn add(&mut self, word: &str) -> Result<(), RotationError> {
        let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (digits, unit) = word.split_at(digits);
        if digits.is_empty() {
            return Err(RotationError::Word(word.to_owned()));
        }
        let large = || RotationError::Large(word.to_owned());
        let number: u64 = digits.parse().map_err(|_| large())?;
        if number == 0 {
            return Err(RotationError::Zero(word.to_owned()));
        }
        let times = |factor: u64| number.checked_mul(factor).ok_or_else(large);
        let size = |shift: u32| times(1 << shift).map(Quantity::Size);
        let age = |seconds: u64| times(seconds).map(|seconds| Quantity::Age(Duration::from_secs(seconds)));
        let quantity = match unit {
            "" => Quantity::Keep(usize::try_from(number).map_err(|_| large())?),
            "K" => size(10)?,
            "M" => size(20)?,
            "G" => size(30)?,
            "T" => size(40)?,
            "s" => age(1)?,
            "m" => age(60)?,
            "h" => age(60 * 60)?,
            "d" => age(24 * 60 * 60)?,
            _ => return Err(RotationError::Word(word.to_owned())),
        };
        let twice = match quantity {
            Quantity::Size(size) => self.size.replace(size).map(|_| "size"),
            Quantity::Age(age) => self.age.replace(age).map(|_| "duration"),
            Quantity::Keep(keep) => {
                self.keep = Some(keep);
                None
            }
        };
        twice.map_or(Ok(()), |what| Err(RotationError::Twice { word: word.to_owned(), what }))
    }
}

enum Quantity {
    Size(u64),
    Age(Duration),
    Keep(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(words: &str) -> String {
        words.parse::<Rotation>().unwrap_err().to_string()
    }

    #[test]
    fn sizes_durations_and_numbers_are_told_apart() {
        let rotation = |size, age, keep| Ok(Rotation { size, age: age_of(age), keep });
        fn age_of(seconds: Option<u64>) -> Option<Duration> {
            seconds.map(Duration::from_secs)
        }
        assert_eq!("64M".parse(), rotation(Some(64 << 20), None, None));
        assert_eq!("1h".parse(), rotation(None, Some(3600), None));
        assert_eq!("64M,10".parse(), rotation(Some(64 << 20), None, Some(10)));
        assert_eq!("5m, 2G, 3".parse(), rotation(Some(2 << 30), Some(300), Some(3)));
        assert_eq!("1K".parse(), rotation(Some(1024), None, None));
        assert_eq!("2d,1".parse(), rotation(None, Some(172_800), Some(1)));
    }

    #[test]
    fn errors_say_what_is_possible() {
        let word = "is neither a size such as 64M (K, M, G, T) nor a duration such as 1h (s, m, h, d)";
        for (words, bad) in
            [("", ""), ("64MB", "64MB"), ("fast", "fast"), ("1.5h", "1.5h"), ("64M,", ""), ("-1h", "-1h")]
        {
            assert_eq!(error(words), format!("'{bad}' {word}"));
        }
        assert_eq!(
            error("10"),
            "it says how many files to keep, but not when to begin a new one: 64M,10 or 1h,10"
        );
        assert_eq!(
            error("10,64M"),
            "'64M' comes after the number of files to keep, which is the last: 64M,10"
        );
        assert_eq!(error("1h,0"), "'0' is nothing; a size, a duration and a number of files are 1 at least");
        assert_eq!(error("1h,2h"), "'2h' is the second duration");
        assert_eq!(error("1K,2M"), "'2M' is the second size");
        assert!(error("99999999999999999999M").ends_with("is too large"));
        assert!(error("99999999T").ends_with("is too large"));
    }
}
