//! Losses, accounts and clocks: what is known besides the events, and what is not.

use super::*;
use tracer_event::ClockSample;

fn lose(sink: &mut StatsSink, probe: u16, events: u64) {
    let session = session();
    let probe = session.probes.probe(probe).unwrap();
    sink.loss(&Loss { events, probe, cpu: 0, before: None }).unwrap();
}

/// Lost and account of a probe's row.
fn fate(sink: &StatsSink, probe: &str) -> (Option<u64>, Option<Account>) {
    let report = report(sink);
    let named = |row: &&Row| row.key[1] == Cell::Text(probe.into());
    let row = table(&report, "probe").rows.iter().find(named).unwrap();
    (row.lost, row.account)
}

const PROBE: &str = "__nft_trace_packet";
const ACCOUNT: Account =
    Account { hits: 20, filtered: 5, limited: 4, delivered: 4, lost: 7, missed: Some(1) };

#[test]
fn losses_are_those_of_their_probe() {
    let mut sink = counted(&[Hits::at(1)]);
    lose(&mut sink, 0, 3);
    lose(&mut sink, 0, 4);
    lose(&mut sink, 1, 1);
    assert_eq!(fate(&sink, PROBE), (Some(7), None));
    assert_eq!(fate(&sink, "skb:kfree_skb"), (Some(1), None));
    assert_eq!(report(&sink).lost, 8);
}

#[test]
fn an_account_knows_what_was_not_told() {
    let mut sink = counted(&[Hits::at(1)]);
    lose(&mut sink, 0, 3);
    sink.account(&[ACCOUNT, Account::default()]).unwrap();
    assert_eq!(fate(&sink, PROBE), (Some(7), Some(ACCOUNT)));
    // Of the next session as much is lost, all told.
    sink.begin(&session()).unwrap();
    assert_eq!(fate(&sink, PROBE), (Some(7), None), "this session has not ended");
    lose(&mut sink, 0, 7);
    sink.account(&[ACCOUNT, Account::default()]).unwrap();
    let twice = Account { hits: 40, filtered: 10, limited: 8, delivered: 8, lost: 14, missed: Some(2) };
    assert_eq!(fate(&sink, PROBE), (Some(14), Some(twice)));
    assert_eq!(
        fate(&sink, "skb:kfree_skb"),
        (Some(0), Some(Account::default())),
        "what the kernel does not count is not 0"
    );
}

#[test]
fn accounts_that_cannot_be_neither_panic_nor_wrap() {
    let mut sink = counted(&[]);
    let most = Account {
        hits: u64::MAX,
        filtered: u64::MAX,
        limited: u64::MAX,
        delivered: u64::MAX,
        lost: u64::MAX,
        missed: Some(u64::MAX),
    };
    for _ in 0..2 {
        lose(&mut sink, 0, u64::MAX);
        lose(&mut sink, 1, u64::MAX);
        sink.account(&[most, most, most]).unwrap();
    }
    assert_eq!(report(&sink).lost, u64::MAX);
    assert_eq!(fate(&sink, PROBE), (Some(u64::MAX), None), "two accounts of one session");
    let huge = Hits::at(u64::MAX);
    feed(&mut sink, &session(), &[huge, Hits::at(0)]);
    assert_eq!(report(&sink).duration, u64::MAX);
}

#[test]
fn two_probes_of_one_name_are_one_row() {
    let probes = Arc::new(Probes::new(vec![sample::probe(), sample::probe()]));
    let session = Session { probes, ..Session::default() };
    let mut sink = StatsSink::new();
    sink.begin(&session).unwrap();
    feed(&mut sink, &session, &[Hits::at(1), Hits::at(2).probe(1)]);
    lose(&mut sink, 0, 10);
    sink.account(&[ACCOUNT, ACCOUNT]).unwrap();
    let (lost, account) = fate(&sink, PROBE);
    assert_eq!((lost, account.map(|account| account.hits)), (Some(14), Some(40)));
    assert_eq!(report(&sink).events, 2);
}

#[test]
fn the_wall_clock_is_shown_where_it_is_known() {
    let mut clock = Clock::default();
    clock.add(ClockSample { monotonic: 100, realtime: 1_700_000_000_000_000_000 });
    let mut sink = counted(&[]);
    feed_by(&mut sink, &session(), &[Hits::at(100), Hits::at(90)], &clock, false);
    assert_eq!(report(&sink).times, Some((Time::Monotonic(90), Time::Monotonic(100))), "not asked for");

    let mut sink = counted(&[]);
    feed_by(&mut sink, &session(), &[Hits::at(100).syn(1), Hits::at(90)], &clock, true);
    let utc = |time: i64| Time::Utc(1_700_000_000_000_000_000 + time);
    assert_eq!(report(&sink).times, Some((utc(-10), utc(0))));
    assert_eq!(table(&report(&sink), "flow").rows[0].times, Some((utc(0), utc(0))));
    assert!(report(&sink).to_string().contains("; 2023-11-14T22:13:19.999999990Z to 2023-11-14T22:13:20"));
    assert!(report(&sink).to_json().contains("\"clock\": \"utc\""));

    // A session without a clock cannot be compared, so all go by the other one.
    sink.begin(&session()).unwrap();
    feed_by(&mut sink, &session(), &[Hits::at(7)], &Clock::NONE, true);
    assert_eq!(report(&sink).times, Some((Time::Monotonic(7), Time::Monotonic(100))));
    assert!(report(&sink).to_json().contains("\"clock\": \"monotonic\""));
}
