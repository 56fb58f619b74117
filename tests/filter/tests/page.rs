//! Every filter in docs/filters.md is one, and can be asked of a trace.

use std::sync::Arc;

use tracer_dsl::filter::Filter;
use tracer_event::{Probes, Session, sample};
use tracer_trace::filter::EventFilter;

#[test]
fn every_example_is_a_filter() {
    let page = include_str!("../../../docs/filters.md");
    let mut blocks = page.split("```");
    let session = Session { probes: Arc::new(Probes::new(vec![sample::probe()])), ..Session::default() };
    let mut seen = 0;
    // Every second piece is inside a block.
    while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
        let (language, text) = block.split_once('\n').unwrap();
        let lines: Vec<(&str, bool)> = match language {
            "filter" => text.lines().map(|line| (line, true)).collect(),
            // What is asked of the kernel, or of what a function returns, no trace can be asked.
            _ => text
                .lines()
                .filter_map(|line| {
                    Some((line.split('\'').nth(1)?, !line.contains("collect") && !line.contains("explain")))
                })
                .collect(),
        };
        for (line, stored) in lines {
            let filter: Filter = line.parse().unwrap_or_else(|found| panic!("`{line}`: {found}"));
            if stored {
                EventFilter::new(&filter, &session).unwrap_or_else(|found| panic!("`{line}`: {found}"));
            }
            assert!(filter.warnings.is_empty() || line == "arp or tcp and port 80", "`{line}`");
            seen += 1;
        }
    }
    assert!(seen >= 30, "only {seen} filters found: does this test still read the page?");
}
