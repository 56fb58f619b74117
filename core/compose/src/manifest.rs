//! A collector's `collector.toml`: what cannot be read from its object.
//!
//! The object's BTF already says which arguments a collector wants and which fields it reports, so
//! a manifest is short: names, texts, options, and what the collector needs of the system.

use std::collections::BTreeMap;

use serde::Deserialize;
use tracer_dsl::when;

use crate::hook::{Exception, ManifestHook, ManifestLoss};

/// The only version of the format so far.
const VERSION: u32 = 1;

/// A parsed `collector.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format: 1.
    pub version: u32,
    /// The collector's name; the folder's and the object's too.
    pub name: String,
    /// One line for lists and help.
    pub about: String,
    /// The collector's own version, for people.
    pub release: Option<String>,
    /// What must be true of the system for the collector to see anything.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// What to tell who asks for the collector on a kernel that has none of the types its readers need.
    pub without: Option<String>,
    /// Arguments that can be had from others: `nft_pktinfo.skb` reads member `skb` of an argument
    /// of type `struct nft_pktinfo *`; the type that it gives follows from BTF.
    #[serde(default)]
    pub derive: Vec<String>,
    /// What holds at every probe where one of the collector's fields can be had early.
    pub guard: Option<Guard>,
    /// How each section is shown.
    #[serde(default, rename = "section")]
    pub sections: BTreeMap<String, SectionText>,
    /// The collector's options; on the command line `--COLLECTOR-OPTION`.
    #[serde(default, rename = "option")]
    pub options: Vec<ManifestOption>,
    /// What a shared library beside the manifest does with events.
    pub native: Option<ManifestNative>,
    /// Whether it is one of those that are taken where nobody names any. One that costs something at every packet of the
    /// machine is not.
    #[serde(default = "yes")]
    pub default: bool,
    /// Programs that keep the collector's maps.
    #[serde(default, rename = "hook")]
    pub hooks: Vec<ManifestHook>,
    /// Where it reads nothing.
    #[serde(default, rename = "except")]
    pub exceptions: Vec<Exception>,
    /// What its programs count that should not be.
    #[serde(default, rename = "loss")]
    pub losses: Vec<ManifestLoss>,
}

fn yes() -> bool {
    true
}

/// Something that the engine can provide, with the user's consent, or check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// The kernel traces nftables rules: some rule with `meta nftrace set` exists.
    NftTrace,
}

/// A native half: code that runs in a process of its own, not in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestNative {
    /// The section that it adds to events; the library declares its fields.
    pub section: Option<String>,
    /// It does so only at probes whose events have one of these sections. Where it names none: at those that the collector
    /// itself reads, or at all, if it reads nothing.
    #[serde(default)]
    pub with: Vec<String>,
    /// Whether `--sink` gives it events.
    #[serde(default)]
    pub sink: bool,
    /// Rights that its process does not have otherwise.
    #[serde(default)]
    pub needs: Vec<NativeNeed>,
}

/// A right that a native half may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NativeNeed {
    /// To look into other processes, such as at their descriptors (`CAP_SYS_PTRACE`). It is more than that: who has it can do with
    /// another process, tracer's own included, what a debugger can.
    Ptrace,
}

/// What a collector knows about a probe's hits, for the sake of all collectors that read there: a
/// hit at which the field is absent is no event at all, and with some of its values an argument
/// must not be touched.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// A field of the section that is named like the collector; it has an accessor.
    pub field: String,
    /// `sk_buff`: the argument of type `struct sk_buff *`, and all that is derived from it, is NULL
    /// for every reader when the field has one of the values in `when`.
    pub withhold: Option<String>,
    /// Names of values of the field, an enum.
    #[serde(default)]
    pub when: Vec<String>,
}

/// Where a section's text stands in an event, and the text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SectionText {
    /// The place.
    pub place: PlaceName,
    /// Order on the packet line; lower is further left.
    #[serde(default)]
    pub order: u8,
    /// The template.
    pub text: String,
    /// The fields that together name the thing that the section is about: statistics count by them.
    #[serde(default)]
    pub key: Vec<String>,
}

/// See [`tracer_event::Place`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlaceName {
    /// On the first line, behind the probe.
    Head,
    /// On the line of device and packet.
    Packet,
    /// A line of its own.
    Line,
}

/// An option of a collector: a list of values that one of its fields may have, a number, or a text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestOption {
    /// Its name, without the collector's.
    pub name: String,
    /// What it is called on the command line, where that is not `COLLECTOR-NAME`.
    pub flag: Option<String>,
    /// One line for help.
    pub about: String,
    /// The enum field whose values the option lists: only events with one of them are reported.
    pub selects: Option<String>,
    /// The bounds and the default of a number, which the fragment gets as a constant.
    pub number: Option<Number>,
    /// The default of a text, which the native half can ask for.
    pub text: Option<TextOption>,
    /// The map that has room for so many entries as the number says.
    pub sizes: Option<String>,
}

/// An option that is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// The least allowed.
    pub min: u32,
    /// The greatest allowed.
    pub max: u32,
    /// The value when nobody gives one.
    pub default: u32,
}

/// An option that is a text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextOption {
    /// The value when nobody gives one.
    pub default: String,
}

/// Why a manifest was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML, an unknown key, or a wrong type; the text says where.
    #[error("{0}")]
    Toml(String),
    /// Written for another version of the format.
    #[error("version {0} of the manifest format is not known (this tracer knows {VERSION})")]
    Version(u32),
    /// A name that is not a C identifier.
    #[error("`{0}` cannot name a collector, section or option: use letters, digits and `_`")]
    Name(String),
    /// An option that is not exactly one of what an option can be.
    #[error(
        "option `{0}` needs one of `selects = \"FIELD\"`, `number = {{ min, max, default }}` and `text = {{ default }}`"
    )]
    Option(String),
    /// Fragments have no use for a text.
    #[error("option `{0}` is a text, which only a native half can use, and there is no `[native]`")]
    Text(String),
    /// A native half that does nothing.
    #[error(
        "`[native]` needs `section = \"NAME\"`, the section that it adds to events, or `sink = true`, or both"
    )]
    Native,
    /// Places for a section that is not there, or that wait for themselves.
    #[error("`[native]`: `with` says where the section is added: {0}")]
    With(&'static str),
    /// A number whose default is out of its own bounds.
    #[error("option `{0}`: the default is not between min and max")]
    Bounds(String),
    /// Only a number is one of entries.
    #[error("option `{0}`: what sizes a map is a number of at least 1")]
    Sizes(String),
    /// A hook without a place, or with two answers to where it stands.
    #[error("hook `{0}` needs either `at = [PLACE, ...]` or `any = [PLACE, ...]`")]
    Hook(String),
    /// A condition that cannot be read.
    #[error("hook `{hook}`: when: {error}")]
    When {
        /// The hook.
        hook: String,
        /// What is wrong with the condition.
        error: String,
    },
}

impl Manifest {
    /// Parses and checks a manifest.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text).map_err(|e| ManifestError::Toml(e.to_string()))?;
        if manifest.version != VERSION {
            return Err(ManifestError::Version(manifest.version));
        }
        let names = [&manifest.name].into_iter().chain(manifest.sections.keys());
        let names = names.chain(manifest.options.iter().map(|o| &o.name));
        let names = names.chain(manifest.native.iter().flat_map(|n| n.section.iter().chain(&n.with)));
        for name in names {
            let first = name.starts_with(|c: char| c.is_ascii_lowercase());
            if !first || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
                return Err(ManifestError::Name(name.clone()));
            }
        }
        for option in &manifest.options {
            let kinds = [option.selects.is_some(), option.number.is_some(), option.text.is_some()];
            if kinds.into_iter().filter(|is| *is).count() != 1 {
                return Err(ManifestError::Option(option.name.clone()));
            }
            if option.text.is_some() && manifest.native.is_none() {
                return Err(ManifestError::Text(option.name.clone()));
            }
            if option.number.is_some_and(|n| !(n.min..=n.max).contains(&n.default)) {
                return Err(ManifestError::Bounds(option.name.clone()));
            }
            if option.sizes.is_some() && option.number.is_none_or(|n| n.min == 0) {
                return Err(ManifestError::Sizes(option.name.clone()));
            }
        }
        if let Some(ManifestNative { section, with, sink, .. }) = &manifest.native {
            match section {
                None if !sink => return Err(ManifestError::Native),
                None if !with.is_empty() => return Err(ManifestError::With("there is no `section`")),
                Some(own) if with.contains(own) => {
                    return Err(ManifestError::With("it names that very section"));
                }
                _ => {}
            }
        }
        for hook in &manifest.hooks {
            if hook.at.is_empty() == hook.any.is_empty() {
                return Err(ManifestError::Hook(hook.name.clone()));
            }
            if let Some(Err(found)) = hook.when.as_deref().map(when::parse) {
                let error = found.to_string();
                return Err(ManifestError::When { hook: hook.name.clone(), error });
            }
        }
        Ok(manifest)
    }

    /// The options that are numbers.
    pub fn numbers(&self) -> impl Iterator<Item = (&str, Number)> {
        self.options.iter().filter_map(|o| Some((o.name.as_str(), o.number?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "version = 1\nname = \"x\"\nabout = \"y\"\n";

    #[test]
    fn a_minimal_manifest() {
        let m = Manifest::parse(MINIMAL).unwrap();
        assert_eq!((m.name.as_str(), m.sections.len()), ("x", 0));
    }

    #[test]
    fn an_option_may_have_a_name_of_its_own() {
        let option =
            "[[option]]\nname = \"bytes\"\nabout = \"z\"\nnumber = { min = 1, max = 9, default = 2 }\n";
        let m = Manifest::parse(&format!("{MINIMAL}{option}flag = \"snaplen\"\n")).unwrap();
        assert_eq!(m.options[0].flag.as_deref(), Some("snaplen"));
        assert_eq!(Manifest::parse(&format!("{MINIMAL}{option}")).unwrap().options[0].flag, None);
    }

    #[test]
    fn a_native_half() {
        let native = |lines: &str| Manifest::parse(&format!("{MINIMAL}{lines}")).unwrap();
        let lines = "[[option]]\nname = \"n\"\nabout = \"z\"\ntext = { default = \"a b\" }\n[native]\nsection = \"o\"\n";
        let owner = native(lines);
        assert_eq!(owner.options[0].text.as_ref().unwrap().default, "a b");
        let section = Some("o".to_owned());
        assert_eq!(
            owner.native,
            Some(ManifestNative { section, with: Vec::new(), sink: false, needs: Vec::new() })
        );
        let sink = native("[native]\nsink = true\n").native;
        assert_eq!(
            sink,
            Some(ManifestNative { section: None, with: Vec::new(), sink: true, needs: Vec::new() })
        );
        assert_eq!(native("").native, None);
    }

    #[test]
    fn refused() {
        let unknown = Manifest::parse(&format!("{MINIMAL}colour = 1\n")).unwrap_err();
        assert!(unknown.to_string().contains("unknown field `colour`"), "{unknown}");
        let newer = MINIMAL.replace("= 1", "= 2");
        assert_eq!(Manifest::parse(&newer).unwrap_err(), ManifestError::Version(2));
        let name = MINIMAL.replace("\"x\"", "\"../x\"");
        assert_eq!(Manifest::parse(&name).unwrap_err(), ManifestError::Name("../x".into()));
        let hook = |lines: &str| {
            let text = format!("{MINIMAL}[[hook]]\nname = \"freed\"\n{lines}\n");
            Manifest::parse(&text).unwrap_err().to_string()
        };
        assert!(hook("").contains("either `at"), "{}", hook(""));
        assert!(hook("at = [\"fentry:a\"]\nany = [\"fentry:b\"]").contains("either `at"));
        assert!(hook("at = [\"kprobe:a\"]").contains("a hook stands at `fentry:FUNCTION`"));
        let when = hook("at = [\"fentry:a\"]\nwhen = \"kernal >= 6\"");
        assert!(when.starts_with("hook `freed`: when: ") && when.contains("kernal"), "{when}");
        let native = |lines: &str| Manifest::parse(&format!("{MINIMAL}{lines}")).unwrap_err();
        assert_eq!(native("[native]\n"), ManifestError::Native);
        assert_eq!(native("[native]\nsink = false\n"), ManifestError::Native);
        assert!(native("[native]\nsink = true\nwith = [\"skb\"]\n").to_string().contains("no `section`"));
        let itself = native("[native]\nsection = \"o\"\nwith = [\"skb\", \"o\"]\n");
        assert!(itself.to_string().contains("that very section"), "{itself}");
        assert_eq!(native("[native]\nsection = \"my-own\"\n"), ManifestError::Name("my-own".into()));
        let right = native("[native]\nsink = true\nneeds = [\"root\"]\n").to_string();
        assert!(right.contains("ptrace"), "{right}");
        assert!(native("[native]\nsection = \"o\"\nlibrary = \"l.so\"\n").to_string().contains("`library`"));
        let text = "[[option]]\nname = \"n\"\nabout = \"z\"\ntext = { default = \"\" }\n";
        assert_eq!(native(text), ManifestError::Text("n".into()));
        let both = native(&format!("{text}selects = \"f\"\n[native]\nsink = true\n"));
        assert_eq!(both, ManifestError::Option("n".into()));
        let sizes = "[[option]]\nname = \"n\"\nabout = \"z\"\nselects = \"f\"\nsizes = \"x_map\"\n";
        let sizes = Manifest::parse(&format!("{MINIMAL}{sizes}")).unwrap_err();
        assert_eq!(sizes, ManifestError::Sizes("n".into()));
        let need = format!("{MINIMAL}needs = [\"root\"]\n");
        assert!(Manifest::parse(&need).unwrap_err().to_string().contains("nft-trace"));
    }
}
