use super::*;
use tracer_event::sample;

fn sample_json() -> String {
    String::from_utf8(write(&Probes::new(vec![sample::probe()])).unwrap()).unwrap()
}

/// The error of the sample with some words replaced by others.
fn error(from: &str, to: &str) -> String {
    let json = sample_json();
    assert!(json.contains(from), "{json}");
    read(json.replacen(from, to, 1).as_bytes()).unwrap_err().to_string()
}

#[test]
fn probes_come_back() {
    let machinery = ProbeInfo { trim: Trim::Machinery, tag: Tag::RawTracepoint, ..sample::probe() };
    let other = ProbeInfo {
        trim: Trim::Return("f".into()),
        layout: Arc::new(sample::two_tails()),
        name: "f".into(),
        tag: Tag::Fexit,
        way: String::new(),
    };
    let probes = Probes::new(vec![sample::probe(), machinery, other]);
    let payload = write(&probes).unwrap();
    assert_eq!(read(&payload), Ok((probes, vec![])));
    let form: ProbesForm = serde_json::from_slice(&payload).unwrap();
    assert_eq!((form.layouts.len(), form.schemas.len()), (2, 7), "each once");
}

#[test]
fn a_newer_tracer_may_say_more() {
    let json = sample_json().replacen(r#""size":96"#, r#""size":96,"unit":"furlong","more":[{"a":1}]"#, 1);
    assert!(read(json.as_bytes()).unwrap().1.is_empty());
    let json = sample_json()
        .replacen(r#""show":"device""#, r#""show":"holo\ngram""#, 1)
        .replacen(r#""place":"line""#, r#""place":"margin""#, 1)
        .replacen(r#""trim":"entry""#, r#""trim":"middle""#, 1);
    let (probes, notes) = read(json.as_bytes()).unwrap();
    let probe = probes.probe(0).unwrap();
    assert_eq!(probe.layout.sections()[2].schema.field("name").unwrap().show, Show::Plain);
    assert_eq!(probe.layout.sections()[0].schema.text().unwrap().place, Place::Line);
    assert_eq!(probe.trim, Trim::Machinery);
    let whats: Vec<&str> = notes.iter().map(|(what, _)| what.as_str()).collect();
    let expected = [
        "the place 'margin' of section 'nft'",
        "how to show dev.name ('holo\\ngram')",
        "where stacks begin ('middle')",
    ];
    assert_eq!(whats, expected);
}

#[test]
fn what_bytes_are_must_be_known() {
    let unknown = error(r#""kind":"str""#, r#""kind":"float""#);
    assert_eq!(unknown, "section 'nft', field 'table': a kind 'float' is not known to this version");
    assert_eq!(error(r#""tag":"k""#, r#""tag":"u""#), "a probe's tag 'u' is not known to this version");
}

#[test]
fn contradictions_are_refused() {
    assert!(error(r#""size":96"#, r#""size":4"#).contains("not inside the 4 bytes"));
    assert!(error(r#""len":8"#, r#""len":3000"#).contains("a number of 255 bytes"));
    assert!(error(r#""layout":0"#, r#""layout":7"#).contains("7 is referred to"));
    assert!(error("[0,1,2,3,4]", "[0,1,2,3,9]").contains("9 is referred to"));
    assert!(error("[0,1,2,3,4]", "[0,0]").contains("two sections are called 'nft'"));
    assert!(error("table {table}", r"\u001b[2J {table}").contains("control character"));
    assert!(error(r#""key":["table""#, r#""key":["stable""#).contains("'stable'"));
    assert!(error("}", "").contains("line 1"), "no JSON");
    let fields =
        format!(r#"{{"schemas":[{{"section":"s","size":1,"fields":[{}]}}],"layouts":[],"probes":[]}}"#, {
            let field = |i| format!(r#"{{"name":"f{i}","offset":0,"kind":"uint","len":1,"show":"plain"}}"#);
            (0..=FIELDS).map(field).collect::<Vec<_>>().join(",")
        });
    assert!(read(fields.as_bytes()).unwrap_err().to_string().contains("4097 fields"));
}
