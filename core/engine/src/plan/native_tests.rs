//! Collectors that have a native half and nothing else, in plans of this kernel: they read nothing, and nobody complains of that.

use std::{fs::File, sync::Arc};

use tracer_compose::Library;
use tracer_dsl::option::{SubCommand, read};

use super::*;

fn catalog(plugins: &[(&str, &str)]) -> Catalog {
    let mut catalog = Catalog::new().unwrap();
    for (name, lines) in plugins {
        let manifest = format!("version = 1\nname = \"{name}\"\nabout = \"for a test\"\n{lines}");
        let library = Library::File(Arc::new(File::open("/dev/null").unwrap()));
        catalog.add(Fragment::parse_native(&manifest, None, library).unwrap()).unwrap();
    }
    catalog
}

const OWNER: (&str, &str) = ("owner", "[native]\nsection = \"owner\"\n");
const WITH: (&str, &str) = ("later", "[native]\nsection = \"late\"\nwith = [\"skb\", \"dev\"]\n");
const SINK: (&str, &str) = ("to_file", "[native]\nsink = true\n");

fn request(catalog: &Catalog, words: &str) -> Request {
    let table = catalog.options().unwrap();
    let command = table.command(&[SubCommand::Collect]);
    let matches = command.try_get_matches_from(format!("tracer collect {words}").split(' ')).unwrap();
    let (_, sub_matches) = matches.subcommand().unwrap();
    let settings = read(&table, SubCommand::Collect, &matches, sub_matches).unwrap();
    Request::new(&settings.over(table.defaults(SubCommand::Collect)), &table).unwrap()
}

/// What a plan has to say, and the probes that are in it; `None` where the kernel shows no types.
fn planned(plugins: &[(&str, &str)], words: &str) -> Option<(Vec<String>, usize)> {
    let catalog = catalog(plugins);
    let Ok(mut types) = Types::new() else {
        eprintln!("SKIPPED: this kernel has no BTF");
        return None;
    };
    let symbols = Symbols::open().unwrap();
    let plan = match Plan::new(&request(&catalog, words), &catalog, &mut types, &symbols) {
        Ok(plan) => plan,
        Err(error) => panic!("{error}"),
    };
    assert!(plan.probes.iter().all(|probe| probe.readers.is_empty()) && plan.hooks.is_empty());
    Some((plan.notes.clone(), plan.probes.len()))
}

#[test]
fn what_reads_nothing_by_its_nature_is_not_blamed_for_it() {
    let Some((notes, probes)) = planned(&[OWNER, SINK], "-c owner -P kprobe:ip_rcv") else { return };
    assert_eq!((notes, probes), (vec![], 1));
    let Some((notes, _)) = planned(&[OWNER, SINK], "-P kprobe:ip_rcv") else { return };
    assert_eq!(notes, Vec::<String>::new());
}

#[test]
fn what_waits_for_a_section_that_nobody_reads_says_so() {
    let Some((notes, _)) = planned(&[WITH], "-c later -P kprobe:ip_rcv") else { return };
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert_eq!(
        note,
        "collector later adds nothing at these probes: it does so to events that have section `skb` or `dev`, and none has \
         (`-c` takes the collector that reads it)"
    );
    // Nobody asked for it by name.
    let Some((notes, _)) = planned(&[WITH], "-P kprobe:ip_rcv") else { return };
    assert_eq!(notes, Vec::<String>::new());
}

#[test]
fn a_sink_is_no_collector() {
    let catalog = catalog(&[OWNER, SINK]);
    let names = |words: &str| -> Vec<String> {
        let found = collectors(&request(&catalog, words), &catalog).unwrap();
        found.into_iter().map(|fragment| fragment.manifest.name.clone()).collect()
    };
    assert_eq!(names("-P kprobe:ip_rcv"), ["owner"]);
    assert_eq!(names("-c owner -P kprobe:ip_rcv"), ["owner"]);
    let Err(told) = collectors(&request(&catalog, "-c to-file -P kprobe:ip_rcv"), &catalog) else {
        panic!("a sink was taken for a collector")
    };
    let told = told.to_string();
    assert!(told.contains("`to-file` is no collector") && told.contains("`--sink to_file`"), "{told}");
}

#[test]
fn filters_of_native_sections_are_for_stored_traces() {
    let catalog = catalog(&[OWNER]);
    let Ok(mut types) = Types::new() else { return };
    let symbols = Symbols::open().unwrap();
    for filter in ["owner.pid==3", "has_owner"] {
        let filter = filter.replace('_', " ");
        let mut request = request(&catalog, "-P kprobe:ip_rcv -f tcp");
        request.filters[0].value = filter.parse().unwrap();
        let Err(error) = Plan::new(&request, &catalog, &mut types, &symbols) else { panic!("{filter}") };
        let told = error.to_string();
        assert!(told.contains("cannot be asked while events are collected"), "{told}");
        assert!(told.contains("^") && told.contains("`tracer print FILE -f"), "{told}");
    }
}
