//! What libraries say of themselves, and cannot be true.

use tracer_plugin_abi::c;
use tracer_plugin_host::{Functions, Library, inspect};

use crate::hostile::Hostile;

/// The message about the library with a mode.
fn refused(mode: &str) -> String {
    let library = Hostile::new(mode);
    match Library::open(&library.file()) {
        Ok(_) => panic!("{mode} was taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn one_that_behaves_is_described() {
    let library = Library::open(&Hostile::new("").file()).unwrap();
    let description = library.description();
    let names = (&*description.name, &*description.release, &*description.licence);
    assert_eq!(names, ("hostile", "1.2", "MIT"));
    let all = Functions { enrich: true, event: true, loss: true, tick: true, flush: true, stop: true };
    assert_eq!(description.functions, all);
    let section = description.section.as_ref().unwrap();
    assert_eq!((&*section.name, section.size, section.texts), ("well", 40, 100));
    let fields = section.fields.iter();
    let fields: Vec<_> =
        fields.map(|field| (&*field.name, &*field.show, field.kind, field.offset, field.size)).collect();
    assert_eq!(
        fields,
        [
            ("packet", "hex", c::KIND_UINT, 0, 8),
            ("negative", "", c::KIND_INT, 8, 2),
            ("verdict", "plain", c::KIND_UINT, 10, 1),
            ("bytes", "", c::KIND_BYTES, 11, 5),
            ("comm", "", c::KIND_STRING, 16, 16),
            ("name", "", c::KIND_TEXT, 32, 4),
            ("other", "", c::KIND_TEXT, 36, 4),
        ]
    );
    assert_eq!(section.fields[2].names, [(0, "drop".to_owned()), (1, "accept".to_owned())]);
}

#[test]
fn a_later_minor_version_is_taken() {
    let later = Library::open(&Hostile::new("MINOR_7").file()).unwrap();
    let now = Library::open(&Hostile::new("").file()).unwrap();
    assert_eq!(later.description(), now.description());
}

#[test]
fn one_of_both_halves_is_enough() {
    let sink = Library::open(&Hostile::new("ONLY_SINK").file()).unwrap();
    assert_eq!(sink.description().section, None);
    assert!(sink.description().functions.event && !sink.description().functions.enrich);
    let enriches = Library::open(&Hostile::new("ONLY_ENRICH").file()).unwrap();
    assert!(enriches.description().functions.enrich && !enriches.description().functions.event);
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let section = size_of::<c::Section>();
    let field = size_of::<c::Field>();
    let functions = size_of::<c::Functions>();
    let plugin = size_of::<c::Plugin>();
    let cases = [
        ("NULL_DESCRIPTOR", "`tracer_plugin` returned NULL and no descriptor".to_owned()),
        (
            "WRONG_MAGIC",
            "`tracer_plugin` returned no descriptor of a plugin: it begins with 0x000000007f454c46, not with 0x504e524543415254".to_owned(),
        ),
        (
            "MAJOR_2",
            "it was built for version 2.3 of the plugin interface, and this tracer has 1.0: take a build of it for version 1".to_owned(),
        ),
        ("PLUGIN_SMALL", format!("tracer_plugin.struct_size is {}; {plugin} to 4096 are possible", plugin - 8)),
        ("PLUGIN_LARGE", format!("tracer_plugin.struct_size is 4294967295; {plugin} to 4096 are possible")),
        ("FUNCTIONS_NULL", "its descriptor has no functions: `functions` is NULL".to_owned()),
        (
            "FUNCTIONS_SMALL",
            format!("tracer_functions.struct_size is {}; {functions} to 4096 are possible", functions - 8),
        ),
        (
            "FUNCTIONS_LARGE",
            format!("tracer_functions.struct_size is 1048576; {functions} to 4096 are possible"),
        ),
        ("SECTION_SMALL", format!("tracer_section.struct_size is {}; {section} to 4096 are possible", section - 8)),
        ("SECTION_LARGE", format!("tracer_section.struct_size is 4097; {section} to 4096 are possible")),
        ("FIELD_SMALL", format!("tracer_section.field_size is {}; {field} to 4096 are possible", field - 8)),
        ("FIELD_LARGE", format!("tracer_section.field_size is 4294967295; {field} to 4096 are possible")),
        ("FIELDS_MANY", "tracer_section.fields_len says 257; 256 are possible".to_owned()),
        ("FIELDS_NULL", "tracer_section.fields is NULL, but not its length".to_owned()),
        ("NAMES_MANY", "names_len of field verdict says 4097; 4096 are possible".to_owned()),
        ("NAMES_NULL", "names of field verdict is NULL, but not its length".to_owned()),
        ("STRUCT_EMPTY", "tracer_section.size is 0; 1 to 4096 are possible".to_owned()),
        ("STRUCT_LARGE", "tracer_section.size is 4097; 1 to 4096 are possible".to_owned()),
        ("TEXTS_LARGE", "tracer_section.texts is 32769; 0 to 32768 are possible".to_owned()),
        ("TEXT_LONG", "tracer_plugin.release is a text of 257 bytes; 256 are possible".to_owned()),
        ("TEXT_LATIN", r#"tracer_plugin.release is not UTF-8: "1.\xe4""#.to_owned()),
        ("TEXT_NULL", "tracer_plugin.release is NULL, but not its length".to_owned()),
        ("NAME_BAD", r"tracer_plugin.name is 'ho\u{1b}stile', which is no C identifier".to_owned()),
        ("SECTION_NAME_BAD", "tracer_section.name is '7well', which is no C identifier".to_owned()),
        ("FIELD_NAME_BAD", "the name of field 2 is 'ver-dict', which is no C identifier".to_owned()),
        (
            "FIELD_OUTSIDE",
            "section well, field verdict: 1 bytes at offset 40 are not inside the 40 bytes of the struct".to_owned(),
        ),
        (
            "FIELD_FAR",
            "section well, field verdict: 1 bytes at offset 4294967295 are not inside the 40 bytes of the struct".to_owned(),
        ),
        ("FIELD_TWICE", "section well: there are two fields packet".to_owned()),
        ("FIELD_KIND", "section well, field verdict: 6 is no kind of field that this tracer knows".to_owned()),
        ("FIELD_WIDTH", "section well, field verdict: a number of 3 bytes; 1, 2, 4 and 8 are possible".to_owned()),
        ("FIELD_NO_BYTES", "section well, field bytes: it has no bytes".to_owned()),
        ("FIELD_NAMES", "section well, field bytes: it has names of values, but is no number".to_owned()),
        ("NO_TEXTS", "section well, field name: it is a text, but the section has no bytes for texts".to_owned()),
        ("NO_SECTION", "it has a function `enrich`, but declares no section that this would fill".to_owned()),
        ("NO_ENRICH", "it declares the section well, but has no function `enrich` that would fill it".to_owned()),
        ("NOTHING", "it has neither `enrich` nor `event`: nothing to do".to_owned()),
        ("UNDEFINED", "the dynamic loader refuses it: undefined symbol: there_is_no_such_function".to_owned()),
    ];
    for (mode, message) in cases {
        assert_eq!(refused(mode), message, "{mode}");
    }
}

#[test]
fn what_exports_no_entry_is_known_without_loading_it() {
    for mode in ["NO_ENTRY", "HIDDEN_ENTRY", "DATA_ENTRY"] {
        let error = inspect(&Hostile::new(mode).file()).unwrap_err().to_string();
        let expected = "it does not export the function `tracer_plugin`, which says what the plugin is";
        assert_eq!(error, expected, "{mode}");
    }
}
