//! What our text says of a packet, in tcpdump's words. Both read the same bytes; the words that must be in tcpdump's text,
//! in this order, are made from ours alone, so that each number was decoded twice, by two programs.

use tracer_event::packet::{Capture, ETHERNET, Flaw, Packet};

use crate::generate;
use crate::numbers::Numbers;
use crate::pcap::Captured;
use crate::tcpdump;
use crate::words::{Statement, in_their_words};

const PACKETS: usize = 4000;

#[test]
fn whole_packets_read_as_tcpdump_reads_them() {
    let mut n = Numbers::new(3);
    let packets: Vec<_> = (0..PACKETS).map(|_| Captured::whole(generate::frame(&mut n))).collect();
    compare("whole", &packets);
}

#[test]
fn cut_packets_read_as_tcpdump_reads_them() {
    let mut n = Numbers::new(4);
    let cut = |n: &mut Numbers| {
        let bytes = generate::frame(n);
        let len = 14 + n.below(bytes.len() - 13);
        Captured::whole(bytes).cut(len)
    };
    let packets: Vec<_> = (0..PACKETS).map(|_| cut(&mut n)).collect();
    compare("cut", &packets);
}

fn compare(name: &str, packets: &[Captured]) {
    let Some(theirs) = tcpdump::read(name, packets) else { return };
    assert_eq!(theirs.len(), packets.len());
    let (mut found, mut open, mut silent) = (0, 0, 0);
    for (number, (captured, theirs)) in packets.iter().zip(&theirs).enumerate() {
        let capture = Capture {
            bytes: &captured.bytes,
            link: ETHERNET,
            ethertype: 0,
            tag: None,
            original: captured.original,
        };
        let packet = Packet::decode(&capture);
        let ours = packet.show(true).to_string();
        let both = || format!("packet {number}, tcpdump:\n{theirs}\nours:\n{ours}");
        // Where tcpdump misses something, so do we; but we do not look into SCTP's chunks, nor behind ESP's header.
        let cut = theirs.contains("[|");
        let said = matches!(packet.end(), Some(Flaw::Truncated | Flaw::Short));
        let deeper = ["[|sctp]", "[|esp]"].iter().any(|end| theirs.contains(end));
        assert!(said || !cut || deeper, "{}", both());
        // The other way round it is silent of a few: ICMP messages that it names by the type alone, and what follows an
        // IPv6 fragment header.
        silent += usize::from(said && !cut && !theirs.contains("truncated-ip"));
        match in_order(theirs, &in_their_words(&ours)) {
            Ok(statements) => found += statements,
            // It may give up a little earlier: some of its readers want the whole of a header before they begin.
            Err((statements, _)) if cut => {
                found += statements;
                open += 1;
            }
            Err((_, missing)) => panic!("no {missing:?} behind what was found in {}", both()),
        }
    }
    eprintln!("{} packets, {found} statements found, {open} packets not to their end", packets.len());
    assert!(
        found > 5 * packets.len() && open < packets.len() / 4 && silent < packets.len() / 100,
        "{silent}"
    );
}

/// How many statements were found, each behind the one before; else how many until then, and the one that was not.
fn in_order<'a>(text: &str, statements: &'a [Statement]) -> Result<usize, (usize, &'a Statement)> {
    let (mut rest, mut without_ports) = (text, false);
    for (count, statement) in statements.iter().enumerate() {
        let forms: &[String] = match statement {
            Statement::Of(forms) => forms,
            Statement::Ports(forms) if without_ports => forms,
            Statement::Ports(_) => continue,
            Statement::Parties(forms) => forms,
        };
        let at = |form: &String| Some((rest.find(form.as_str())?, form.len()));
        // The earliest, and of two there the longest.
        let first =
            forms.iter().enumerate().filter_map(|(i, form)| at(form).map(|(at, len)| (at, !len, i))).min();
        let Some((at, len, form)) = first else { return Err((count, statement)) };
        if let Statement::Parties(_) = statement {
            without_ports = form == 1;
        }
        rest = &rest[at + !len..];
    }
    Ok(statements.len())
}
