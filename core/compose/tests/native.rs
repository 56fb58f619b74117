//! Native halves as the catalog knows them: what their manifests say, and the schemas of what their libraries declare. No
//! library is called for any of that.

#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be tested")]

use std::sync::Arc;

use tracer_compose::filter::{Scope, resolve};
use tracer_compose::{Arguments, Catalog, Fragment, FragmentError, KernelEnums, Library, Taken};
use tracer_dsl::filter::Filter;
use tracer_dsl::option::{Located, OptionTable, SettingValue, SubCommand};
use tracer_dsl::{Diagnostics, SourceRef};
use tracer_event::{Field, Kind, Place, Show, Tail};
use tracer_plugin_abi::c::Plugin;

extern "C" fn entry() -> *const Plugin {
    std::ptr::null()
}

// The folder's name may be a path.
tracer_compose::collector!("tests/linked", only_native = entry);

const HEAD: &str = "version = 1\nname = \"x\"\nabout = \"for a test\"\n";
const NATIVE: &str = "[native]\nsection = \"own\"\n";

fn library() -> Library {
    Library::File(Arc::new(std::fs::File::open("/dev/null").unwrap()))
}

fn native(lines: &str) -> Fragment {
    Fragment::parse_native(&format!("{HEAD}{lines}"), None, library()).unwrap()
}

fn refused(lines: &str) -> String {
    Fragment::parse_native(&format!("{HEAD}{lines}"), None, library()).unwrap_err().to_string()
}

fn named(name: &str, lines: &str) -> Fragment {
    let manifest = format!("version = 1\nname = \"{name}\"\nabout = \"for a test\"\n{lines}");
    Fragment::parse_native(&manifest, None, library()).unwrap()
}

#[test]
fn without_an_object_there_is_nothing_for_the_kernel() {
    let fragment = native(NATIVE);
    assert!(!fragment.has_object() && !fragment.has_direct() && fragment.is_collector());
    assert!(fragment.readers.is_empty() && fragment.maps.is_empty() && fragment.guard().is_none());
    assert!(fragment.judged(|_| None).is_empty() && fragment.needs_argument().is_empty());
    assert_eq!(tracer_compose::kernel_types(&fragment), []);
    let half = fragment.native.as_ref().unwrap();
    assert_eq!((half.section.as_deref(), half.with.len(), half.sink), (Some("own"), 0, false));
    assert!(half.adds_to(|_| false));
    let with = native("[native]\nsection = \"own\"\nwith = [\"skb\", \"dev\"]\n").native.unwrap();
    assert!(with.adds_to(|section| section == "dev") && !with.adds_to(|section| section == "ns"));
    assert!(!native("[native]\nsink = true\n").native.unwrap().adds_to(|_| true));
}

#[test]
fn manifest_and_library_belong_together() {
    assert!(refused("").contains("no `[native]`: add it"));
    let alone = Fragment::parse(&format!("{HEAD}{NATIVE}"), b"", None).unwrap_err();
    assert_eq!(alone, FragmentError::NoLibrary);
    assert!(
        refused(&format!("{NATIVE}[section.other]\nplace = \"line\"\ntext = \"x\"\n"))
            .contains("section `other`")
    );
    let template = format!("{NATIVE}[section.own]\nplace = \"line\"\ntext = \"{{pid\"\n");
    assert!(refused(&template).contains("section own: "), "{}", refused(&template));
    let hook = format!("{NATIVE}[[hook]]\nname = \"freed\"\nat = [\"fentry:f\"]\n");
    assert!(refused(&hook).contains("hook `freed`"));
    let selects = format!("{NATIVE}[[option]]\nname = \"kinds\"\nabout = \"y\"\nselects = \"kind\"\n");
    assert!(refused(&selects).contains("accessor `x.kind`"));
    let loss = format!("{NATIVE}[[loss]]\nmap = \"x_losses\"\nindex = 0\nwhat = \"y\"\nhelp = \"z\"\n");
    assert!(refused(&loss).contains("map `x_losses`"), "{}", refused(&loss));
    let guard = format!("{NATIVE}[guard]\nfield = \"verdict\"\n");
    assert!(refused(&guard).contains("accessor `x.verdict`"));
}

fn field(name: &str, offset: u32, kind: Kind, show: Show) -> Field {
    Field { name: name.into(), offset, kind, show }
}

fn pid() -> Field {
    field("pid", 0, Kind::Uint(4), Show::Plain)
}

fn unit() -> Field {
    field("unit", 4, Kind::Text, Show::Plain)
}

#[test]
fn a_declaration_becomes_a_schema() {
    let text =
        "[section.own]\nplace = \"packet\"\norder = 7\ntext = \"pid {pid}[ {unit}]\"\nkey = [\"pid\"]\n";
    let fragment = native(&format!("{NATIVE}{text}"));
    let schema = fragment.native_schema(8, 256, vec![pid(), unit()]).unwrap();
    assert_eq!((schema.section(), schema.size(), schema.tail()), ("own", 8, Some(Tail { max: 256 })));
    let texts = schema.field("texts").unwrap();
    assert_eq!((texts.offset, &texts.kind, texts.show), (8, &Kind::Tail, Show::Strings));
    assert_eq!(schema.text().unwrap().place, Place::Packet(7));
    assert_eq!(schema.key().collect::<Vec<_>>(), ["pid"]);
    let error = fragment.native_schema(8, 0, vec![pid()]).unwrap_err().to_string();
    assert!(error.contains("names a field 'unit'"), "{error}");
    let bare = native(NATIVE).native_schema(4, 0, vec![pid()]).unwrap();
    assert_eq!((bare.tail(), bare.fields().len(), bare.text()), (None, 1, None));
}

#[test]
fn declarations_that_cannot_be() {
    let fragment = native(NATIVE);
    let error = |size, texts, fields| fragment.native_schema(size, texts, fields).unwrap_err().to_string();
    assert!(error(0, 0, vec![]).contains("no bytes"));
    assert!(error(4097, 0, vec![]).contains("section own takes 4097 bytes; 4096 are possible"));
    assert!(error(8, 32_769, vec![unit()]).contains("32769 bytes; 32768 are possible"));
    assert!(fragment.native_schema(4096, 32_768, vec![unit()]).is_ok());
    assert!(error(8, 0, vec![unit()]).contains("field unit: it is a text"));
    assert!(error(8, 8, vec![field("data", 8, Kind::Tail, Show::Plain)]).contains("only tracer adds"));
    assert!(error(8, 8, vec![field("texts", 0, Kind::Uint(4), Show::Plain)]).contains("has that name"));
    for (kind, show) in
        [(Kind::Bytes(4), Show::Packet), (Kind::Uint(8), Show::PacketId), (Kind::Str(4), Show::Device)]
    {
        let told = error(8, 0, vec![field("f", 0, kind, show)]);
        assert!(told.contains(&format!("shown as `{show}`")), "{told}");
    }
    assert!(error(4, 0, vec![unit()]).contains("field unit"));
    assert!(error(4, 0, vec![field("f", 2, Kind::Uint(4), Show::Plain)]).contains("not inside"));
    assert!(
        error(4, 0, vec![field("f", u32::MAX, Kind::Bytes(u32::MAX), Show::Plain)]).contains("not inside")
    );
    assert!(error(4, 0, vec![pid(), pid()]).contains("two fields pid"));
    let sink = native("[native]\nsink = true\n").native_schema(4, 0, vec![pid()]).unwrap_err();
    assert!(sink.to_string().contains("add `section = \"NAME\"`"), "{sink}");
}

#[test]
fn sinks_are_found_and_are_no_collectors() {
    let mut catalog = Catalog::new().unwrap();
    catalog.add(named("to_file", "[native]\nsink = true\n")).unwrap();
    catalog.add(native(NATIVE)).unwrap();
    assert_eq!(catalog.names(), ["linked", "x"]);
    assert_eq!(catalog.sinks().map(|f| f.manifest.name.as_str()).collect::<Vec<_>>(), ["linked", "to_file"]);
    assert!(catalog.find_sink("to-file").is_some() && catalog.find_sink("x").is_none());
    assert!(catalog.find_sink("nobody").is_none() && catalog.find("to-file").is_some());

    let word = |word: &str| {
        let source = SourceRef::command_line("collectors", word);
        Located { value: word.to_owned(), source }
    };
    let collector = |name: &str| catalog.collector(&word(name)).map(|f| f.manifest.name.clone());
    assert_eq!(collector("x").unwrap(), "x");
    let told = Diagnostics::from(*collector("to-file").unwrap_err()).to_string();
    assert!(told.contains("`to-file` is no collector") && told.contains("`--sink to_file`"), "{told}");
    assert!(Diagnostics::from(*collector("y").unwrap_err()).to_string().contains("collector"));
    let sink = |name: &str| catalog.sink(&word(name)).map(|f| f.manifest.name.clone());
    assert_eq!(sink("to-file").unwrap(), "to_file");
    let told = Diagnostics::from(*sink("x").unwrap_err()).to_string();
    assert!(told.contains("`x` is no sink") && told.contains("sink = true"), "{told}");
    let told = Diagnostics::from(*sink("to_fil").unwrap_err()).to_string();
    assert!(told.contains("`to_fil`") && told.contains("to_file"), "{told}");
}

#[test]
fn what_is_linked_has_an_entry() {
    let mut catalog = Catalog::new().unwrap();
    catalog.add(native(NATIVE)).unwrap();
    let entry = catalog.linked("linked").expect("it is linked");
    assert!(entry().is_null());
    assert!(catalog.linked("x").is_none() && catalog.linked("nobody").is_none());
    assert!(matches!(catalog.find("linked").unwrap().native.as_ref().unwrap().library, Library::Linked));
    // It is for the collector of that name only: a folder's takes its place when that is checked.
    let refused = std::collections::BTreeMap::from([("linked".to_owned(), String::new())]);
    let mut others = catalog.without(&refused);
    assert!(others.linked("linked").is_none());
    others.add(named("linked", NATIVE.replace("own", "other").as_str())).unwrap();
    assert!(others.linked("linked").is_none());
}

#[test]
fn names_of_sections_are_taken_once() {
    let mut catalog = Catalog::new().unwrap();
    catalog.add(native(NATIVE)).unwrap();
    let taken = |fragment| match catalog.clone().add(fragment) {
        Err(Taken::Section { section, by }) => format!("{section}: {by}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(taken(named("y", NATIVE)), "own: one of collector x");
    assert_eq!(taken(named("y", &NATIVE.replace("own", "linked"))), "linked: one of collector linked");
    assert_eq!(taken(named("y", &NATIVE.replace("own", "event"))), "event: something of tracer's own");
}

fn defaults(table: &OptionTable, command: SubCommand, name: &str) -> Option<SettingValue> {
    Some(table.defaults(command).setting(name)?.value.clone())
}

#[test]
fn options_are_texts_and_those_of_sinks_are_everywhere_that_sinks_are() {
    let mut catalog = Catalog::new().unwrap();
    let text = "[[option]]\nname = \"server\"\nabout = \"y\"\ntext = { default = \"\" }\n";
    catalog.add(native(&format!("{text}{NATIVE}"))).unwrap();
    let table = catalog.options().unwrap();
    let (text, number) = (SettingValue::String("localhost:80".into()), SettingValue::Integer(3));
    for command in [SubCommand::Collect, SubCommand::Print, SubCommand::Sort] {
        assert_eq!(defaults(&table, command, "linked-server"), Some(text.clone()));
        assert_eq!(defaults(&table, command, "linked-depth"), Some(number.clone()));
    }
    assert_eq!(defaults(&table, SubCommand::Pcap, "linked-server"), None);
    let empty = SettingValue::String(String::new());
    assert_eq!(defaults(&table, SubCommand::Collect, "x-server"), Some(empty));
    assert_eq!(defaults(&table, SubCommand::Print, "x-server"), None);
    let help = |name: &str| {
        let mut command = table.command(&[SubCommand::Print, SubCommand::Collect]);
        let help = command.find_subcommand_mut(name).unwrap().render_long_help().to_string();
        // Lines break where the terminal ends.
        help.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(help("print").contains("--linked-server <TEXT> who is asked [default: localhost:80]"));
    assert!(
        help("collect").contains("--x-server <TEXT> y --")
            || help("collect").ends_with("--x-server <TEXT> y")
    );
}

/// What a filter of `collect` comes to, at a probe where nothing is known.
fn asked(catalog: &Catalog, filter: &str) -> Result<Vec<String>, String> {
    let filter: Filter = filter.parse().unwrap();
    let mut scope = Scope {
        catalog,
        collectors: &mut Vec::new(),
        readers: &[],
        excepted: &[],
        arguments: &Arguments::default(),
        types: &[],
        returns: None,
        names: &KernelEnums::default(),
    };
    resolve(&filter, &mut scope).map(|resolved| resolved.absent).map_err(|found| found.to_string())
}

#[test]
fn what_comes_behind_the_kernel_is_not_asked_there() {
    let mut catalog = Catalog::new().unwrap();
    catalog.add(native(NATIVE)).unwrap();
    let told = asked(&catalog, "tcp port 80 and own.pid == 3").unwrap_err();
    let expected = "\
error: `own.pid` cannot be asked while events are collected
 --> filter:1:17
  |
1 | tcp port 80 and own.pid == 3
  |                 ^^^^^^^ section `own` is added by the native half of collector x, when the kernel has asked the filter already
  |
  = help: a stored trace can be asked: `tracer collect -o FILE`, then `tracer print FILE -f '...'`";
    assert_eq!(told, expected);
    let told = asked(&catalog, "has own or not has linked").unwrap_err();
    assert!(told.contains("`has own` cannot") && told.contains("`has linked` cannot"), "{told}");
    assert!(asked(&catalog, "own.pid & 0x3 == 1").unwrap_err().contains("`own.pid"));
    assert_eq!(asked(&catalog, "sk_buff.len == 1").unwrap(), ["sk_buff.len"]);
}
