//! From the words of the command line to merged settings: profiles are found and read, and what
//! they say is put under what the command line says.

use clap::ArgMatches;
use tracer_dsl::{
    Diagnostic, Diagnostics, SourceRef,
    option::{self, Located, OptionTable, Settings, SubCommand},
    probe::{ProbeKind, Target},
    profile::{Family, Note},
    when::When,
};
use tracer_profiles::SearchPath;

/// The settings of one sub-command, and which profiles have no part in them.
pub(crate) fn settings(
    table: &OptionTable,
    command: SubCommand,
    matches: &ArgMatches,
    sub_matches: &ArgMatches,
) -> Result<(Settings, Vec<Note>), Diagnostics> {
    let read = option::read(table, command, matches, sub_matches);
    let path = search_path(&[matches, sub_matches]);
    let given = read.map_err(|found| with_profiles_named(found, sub_matches, &path))?;
    let profiles = match (command, given.words("profile")) {
        (SubCommand::Collect, []) if given.probe_specs("probe").is_empty() => vec![default_profile()],
        (_, named) => named.to_vec(),
    };
    let family = Family::load(&profiles, &path, table)?;
    let (settings, notes) =
        family.resolve(command, given, table.defaults(command), &|when| holds(command, when))?;
    no_profiles_as_probes(&settings, &path)?;
    Ok((settings, notes))
}

/// What `collect` does when it is told nothing: like a packet sniffer, it shows what devices receive and send.
const DEFAULT: &str = "ifdump";

fn default_profile() -> Located<String> {
    Located { value: DEFAULT.to_owned(), source: SourceRef::command_line("profile", DEFAULT) }
}

/// Where profiles are looked for, by `--profile-dir` on either side of the sub-command.
pub(crate) fn search_path(matches: &[&ArgMatches]) -> SearchPath {
    let dirs = matches.iter().filter_map(|matches| matches.try_get_many("profile-dir").ok().flatten());
    let path = SearchPath::new(dirs.flatten().cloned().collect::<Vec<_>>());
    match SearchPath::user_config() {
        Some(config) => path.with_user(&config),
        None => path,
    }
}

/// Conditions are about the machine that is traced; a stored trace may be of any.
fn holds(command: SubCommand, when: &When) -> bool {
    #[cfg(target_os = "linux")]
    if command == SubCommand::Collect {
        thread_local! {
            static MACHINE: tracer_engine::Machine = tracer_engine::Machine::default();
        }
        return MACHINE.with(|machine| when.holds(machine));
    }
    let _ = (command, when);
    true
}

/// The same findings, but for the words after `-P` that are no probe and the name of a profile: of those, it
/// is told.
fn with_profiles_named(found: Diagnostics, matches: &ArgMatches, path: &SearchPath) -> Diagnostics {
    let words: Vec<&String> = matches.try_get_many("probe").ok().flatten().into_iter().flatten().collect();
    let known = path.known();
    let named = words
        .into_iter()
        .filter(|word| word.ends_with(".toml") || known.iter().any(|known| known.name == **word));
    let mut named: Vec<SourceRef> = named.map(|word| SourceRef::command_line("probe", word)).collect();
    let mut all = Diagnostics::new();
    for one in found {
        let at = named.iter().position(|place| {
            one.source.as_ref().is_some_and(|source| source.name == place.name && source.text == place.text)
        });
        all.push(match at {
            Some(at) => profile_as_probe(named.swap_remove(at)),
            None => one,
        });
    }
    all
}

/// A word may be a probe by its form (`dropmon`) and still be meant as a profile.
fn no_profiles_as_probes(settings: &Settings, path: &SearchPath) -> Result<(), Diagnostics> {
    let mut places = Vec::new();
    for probe in settings.probe_specs("probe").iter().flat_map(|spec| &spec.alternatives) {
        let Target::Exact(name) = &probe.value.target else { continue };
        if probe.value.kind == ProbeKind::Kprobe && probe.source.fragment() == name {
            places.push((name, &probe.source));
        }
    }
    if places.is_empty() {
        return Ok(());
    }
    let known = path.known();
    let named = places.into_iter().filter(|(name, _)| known.iter().any(|known| known.name == **name));
    named.map(|(_, place)| profile_as_probe(place.clone())).collect::<Diagnostics>().or_value(())
}

fn profile_as_probe(place: SourceRef) -> Diagnostic {
    let name = place.fragment().to_owned();
    let line = if place.name == SourceRef::COMMAND_LINE {
        format!("write `-p {name}`")
    } else {
        format!("write `extends = \"{name}\"` at the top")
    };
    let is_function = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let mut found = Diagnostic::error(format!("`{name}` is a profile, not a probe"))
        .at(place)
        .because("a probe is a place in the kernel")
        .hint(line);
    if is_function {
        found = found.hint(format!("if there is a function of this name: `kprobe:{name}`"));
    }
    found
}
