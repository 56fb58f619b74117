//! Figures out of samples, and the lines that are printed: a table in Markdown, to be pasted into `docs/performance.md`.

/// The middle one of some samples, which a disturbance of a few of them does not move.
pub(crate) fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    let middle = samples.len() / 2;
    match samples.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => samples[middle],
        _ => f64::midpoint(samples[middle - 1], samples[middle]),
    }
}

/// Nanoseconds as microseconds.
pub(crate) fn us(ns: f64) -> String {
    format!("{:.2}", ns / 1000.0)
}

/// A ratio.
pub(crate) fn times(ratio: f64) -> String {
    format!("{ratio:.2}")
}

/// Prints the head of a table.
pub(crate) fn head(columns: &[&str]) {
    row(columns);
    println!(
        "|{}",
        columns.iter().enumerate().map(|(i, _)| if i == 0 { "---|" } else { "---:|" }).collect::<String>()
    );
}

/// Prints a row.
pub(crate) fn row(cells: &[impl AsRef<str>]) {
    let cells: Vec<_> = cells.iter().map(AsRef::as_ref).collect();
    println!("| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_samples() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 90.0]), 3.0);
        assert!(median(vec![]).is_nan());
    }
}
