//! `-f` of the sub-commands that read a trace, and `filter test`.

use crate::run::{Folder, printed, ran, trace};

fn lines(arguments: &[&str]) -> usize {
    let file = trace();
    let all = [&["print", "--format", "json"], arguments, &[&file]].concat();
    printed(&all).lines().filter(|line| line.contains("\"type\":\"event\"")).count()
}

#[test]
fn print_keeps_what_matches() {
    let all = lines(&[]);
    let tcp = lines(&["-f", "tcp"]);
    assert!(0 < tcp && tcp < all, "{tcp} of {all}");
    let dropped = lines(&["-f", "nft.verdict == drop"]);
    let both = lines(&["-f", "nft.verdict == drop", "--filter", "tcp"]);
    assert_eq!(both, lines(&["-f", "nft.verdict == drop and tcp"]));
    assert!(0 < both && both < dropped && dropped < all, "{both} of {dropped} of {all}");
    assert_eq!(lines(&["-f", "has nft"]) + lines(&["-f", "not has nft"]), all);
}

#[test]
fn stats_and_pcap_see_what_matches() {
    let (file, folder) = (trace(), Folder::new());
    let stats = printed(&["stats", "--format", "json", "-f", "udp", &file]);
    assert_ne!(stats, printed(&["stats", "--format", "json", &file]));
    let out = folder.name("udp.pcapng");
    let written = ran(&["pcap", "-f", "udp", "-o", &out, &file]);
    let udp = lines(&["-f", "udp"]);
    assert!(written.err.contains(&format!("{udp} packets written")), "{udp}: {}", written.err);
    // What was written for a filter matches it.
    let numbers = printed(&["filter", "test", "udp", &out]);
    assert_eq!(numbers, (1..=udp).map(|number| format!("{number}\n")).collect::<String>());
    assert_eq!(printed(&["filter", "test", "not udp", &out]), "");
}

#[test]
fn mistakes_are_shown_before_anything_is_read() {
    let file = trace();
    for (filter, said) in [
        ("tcp prot 80", "unexpected `prot`"),
        ("nft.verdit == drop", "did you mean `verdict`?"),
        ("sk_buff.len > 5", "the kernel's memory cannot be asked"),
        ("host localhost", "names of hosts are not looked up"),
    ] {
        let ran = ran(&["print", "-f", filter, &file]);
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{filter}");
        assert!(ran.err.contains(said) && ran.err.contains('^'), "{filter}: {}", ran.err);
    }
    let mixed = ran(&["print", "-f", "tcp or udp and nft.verdict == drop", &file]);
    assert_eq!(mixed.code, Some(0));
    assert!(mixed.err.contains("read as `(tcp or udp) and nft.verdict == drop`"), "{}", mixed.err);
}

#[test]
fn filter_test_reads_pcap_and_refuses_what_it_cannot_read() {
    let folder = Folder::new();
    let packet = tracer_event::sample::SYN;
    let mut pcap = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0x4_0000, 1_u32] {
        pcap.extend(word.to_le_bytes());
    }
    for len in [74_u32, 20, 74] {
        for word in [0, 0, len, 74] {
            pcap.extend(word.to_le_bytes());
        }
        pcap.extend(&packet[..len as usize]);
    }
    let whole = folder.file("a.pcap", &pcap);
    assert_eq!(printed(&["filter", "test", "tcp port 8080", &whole]), "1\n3\n");
    assert_eq!(printed(&["filter", "test", "not udp", &whole]), "1\n3\n", "the second is cut");
    assert_eq!(printed(&["filter", "test", "ip", &whole]), "1\n2\n3\n");

    // Loads a program where that is allowed, and else says what is missing.
    let ran_there = ran(&["filter", "test", "--backend", "bpf", "tcp port 8080", &whole]);
    match ran_there.code {
        Some(0) => assert_eq!(ran_there.out, "1\n3\n"),
        code => {
            assert_eq!(code, Some(3), "{}", ran_there.err);
            assert!(ran_there.err.contains("--backend interpreter"), "{}", ran_there.err);
        }
    }

    let cut = folder.file("cut.pcap", &pcap[..pcap.len() - 10]);
    let other = [&pcap[..20], &113_u32.to_le_bytes(), &pcap[24..]].concat();
    let other = folder.file("other.pcap", &other);
    let text = folder.file("text", b"this is no capture file, whatever it is called");
    for (file, said) in [
        (cut, "it ends within a packet"),
        (other, "link type 113"),
        (text, "is no pcap or pcapng file"),
        (folder.name("nix"), "cannot read"),
    ] {
        let ran = ran(&["filter", "test", "ip", &file]);
        assert_eq!((ran.code, &*ran.out), (Some(1), ""), "{}", ran.err);
        assert!(ran.err.contains(said), "{}", ran.err);
    }
    let ran = ran(&["filter", "test", "nft.verdict == drop", &whole]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("this is about events"), "{}", ran.err);
}

/// A profile's filters and the command line's must all hold.
#[test]
fn a_profile_has_filters_too() {
    let folder = Folder::new();
    let profile = |filter: &str| format!("version = 1\nname = 'mine'\n[print]\nfilters = ['{filter}']\n");
    folder.file("mine.toml", profile("nft.verdict == drop").as_bytes());
    let (dir, file) = (folder.path().to_str().unwrap().to_owned(), trace());
    let base = ["--profile-dir", &dir, "-p", "mine", "print", "--format", "json"];
    let text = printed(&[&base[..], &["-f", "tcp", &file]].concat());
    let events = text.lines().filter(|line| line.contains("\"type\":\"event\"")).count();
    assert_eq!(events, lines(&["-f", "nft.verdict == drop and tcp"]));
    folder.file("mine.toml", profile("tcp prot 80").as_bytes());
    let wrong = ran(&[&base[..], &[&file]].concat());
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("mine.toml:4:17"), "{}", wrong.err);
}
