//! From the words of the command line to merged settings: profiles are found and read, and what
//! they say is put under what the command line says.

use clap::ArgMatches;
use tracer_dsl::{
    Diagnostic, Diagnostics,
    option::{self, OptionTable, Settings, SubCommand},
    profile::Profile,
};
use tracer_profiles::{SearchPath, find};

/// The settings of one sub-command.
pub(crate) fn settings(
    table: &OptionTable,
    command: SubCommand,
    matches: &ArgMatches,
    sub_matches: &ArgMatches,
) -> Result<Settings, Diagnostics> {
    let given = option::read(table, command, matches, sub_matches)?;
    let mut path = SearchPath::new(given.paths("profile-dir"));
    if let Some(config) = SearchPath::user_config() {
        path = path.with_user(&config);
    }
    let mut found = Diagnostics::new();
    let mut profiles = Vec::new();
    for name in given.words("profile") {
        let loaded = find(&name.value, &path).map_err(|e| Diagnostic::from(e).at(name.source.clone()));
        let profile = loaded
            .map_err(Diagnostics::from)
            .and_then(|loaded| Profile::parse(&loaded.file(), &loaded.text, table));
        profiles.extend(found.take(profile).map(|p| p.settings(command)));
    }
    found.or_value(())?;
    Settings::resolve(given, profiles, table.defaults(command))
}
