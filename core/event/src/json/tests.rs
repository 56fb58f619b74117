//! Lines as they are, also of hostile names and of values at the ends of their ranges, and their JSON Schema.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::sample::{self, dropmon, tracked};
use crate::{Field, Kind, Layout, Record, Schema, Show, Symbol, Symbols, Tail, header};

fn event_of(bytes: &[u8], probe: &ProbeInfo, context: &Context<'_>) -> String {
    let record = Record::parse(bytes, &probe.layout).unwrap();
    let mut out = String::new();
    Renderer::new().event(&mut out, &Event { record, probe, context });
    out
}

#[test]
fn the_sample_of_the_design_to_the_byte() {
    let context = Context { symbols: &sample::Names, ..sample::CONTEXT };
    let expected = concat!(
        r#"{"type":"event","time":3443313082998,"#,
        r#""probe":{"type":"kprobe","name":"__nft_trace_packet","way":"fentry"},"#,
        r#""cpu":0,"task":{"comm":"swapper/0","pid":0,"tgid":0},"#,
        r#""stack":[{"symbol":"__nft_trace_packet","offset":1,"address":"0xffffffffc0010001"},"#,
        r#"{"symbol":"nft_do_chain","offset":1007,"address":"0xffffffffc00203ef"}],"#,
        r#""nft":{"table":"firewalld","chain":"filter_IN_FedoraServer","table_handle":1,"chain_handle":202,"#,
        r#""rule":215,"verdict":"drop","policy":0},"ns":{"inum":4026531840},"#,
        r#""dev":{"name":"eth0","ifindex":2,"rx_ifindex":2},"#,
        r#""skb":{"orig_len":74,"link":1,"protocol":2048,"data":{"#,
        r#""ethernet":{"saddr":"02:42:ac:10:2a:01","daddr":"02:42:ac:10:2a:02","type":"0x0800"},"#,
        r#""ipv4":{"saddr":"172.16.42.1","daddr":"172.16.42.2","ttl":64,"tos":0,"id":37968,"offset":0,"#,
        r#""df":true,"mf":false,"length":60,"protocol":6},"#,
        r#""tcp":{"sport":52294,"dport":8080,"seq":1971640626,"flags":["syn"],"window":64240,"options":["#,
        r#"{"kind":"maxseg","size":1460},{"kind":"sack-perm"},{"kind":"timestamp","tsval":1,"tsecr":0},"#,
        r#"{"kind":"window","count":7}]},"raw":""#,
        "0242ac102a020242ac102a0108004500003c945040004006",
        "0000ac102a01ac102a02cc461f907584d93200000000a002faf000000000020405b40402080a000000010000000001030307",
        r#""}}}"#,
        "\n"
    );
    assert_eq!(event_of(&sample::record(), &sample::probe(), &context), expected);
}

fn parsed(line: &str) -> Value {
    assert_eq!(line.find('\n'), Some(line.len() - 1), "one line");
    serde_json::from_str(line).unwrap()
}

fn clock() -> Clock {
    let mut clock = Clock::default();
    clock.add(ClockSample { monotonic: 3_443_000_000_000, realtime: 1_795_544_303_123_456_789 });
    clock
}

fn line(append: impl FnOnce(&mut Renderer, &mut String)) -> String {
    let mut out = String::new();
    append(&mut Renderer::new(), &mut out);
    out
}

fn session() -> Session {
    Session {
        tracer: "0.1.0".into(),
        host: "gate".into(),
        kernel: "6.12.95-cloud-amd64".into(),
        machine: "x86_64".into(),
        command: vec!["tracer".into(), "collect".into()],
        own_netns: Some(sample::NETNS),
        probes: Arc::new(Probes::new(vec![dropmon::probe()])),
    }
}

#[test]
fn the_other_lines_to_the_byte() {
    let meta = line(|renderer, out| renderer.meta(out, &session(), &clock()));
    let expected = concat!(
        r#"{"type":"meta","format":{"major":1,"minor":0},"tracer":"0.1.0","host":"gate","#,
        r#""kernel":"6.12.95-cloud-amd64","machine":"x86_64","command":["tracer","collect"],"#,
        r#""own_netns":4026531840,"probes":[{"type":"kprobe","name":"__nft_trace_packet","way":"fentry","#,
        r#""sections":["nft","skb","dev","ns"]}],"#,
        r#""clock":[{"monotonic":3443000000000,"realtime":1795544303123456789}]}"#,
        "\n"
    );
    assert_eq!(meta, expected);
    let nothing = line(|renderer, out| renderer.meta(out, &Session::default(), &Clock::NONE));
    let expected = concat!(
        r#"{"type":"meta","format":{"major":1,"minor":0},"tracer":"","host":"","kernel":"","machine":"","#,
        r#""command":[],"probes":[],"clock":[]}"#,
        "\n"
    );
    assert_eq!(nothing, expected);
    let sample = ClockSample { monotonic: 1, realtime: -1 };
    assert_eq!(
        line(|renderer, out| renderer.clock(out, sample)),
        "{\"type\":\"clock\",\"monotonic\":1,\"realtime\":-1}\n"
    );
    let probe = ProbeInfo { tag: Tag::RawTracepoint, way: String::new(), ..dropmon::probe() };
    let loss = Loss { events: 17, probe: &probe, cpu: 3, before: Some(9) };
    let head =
        r#"{"type":"loss","probe":{"type":"raw_tracepoint","name":"__nft_trace_packet"},"cpu":3,"events":17"#;
    let lost = |loss: &Loss<'_>| line(|renderer, out| renderer.loss(out, loss, &sample::CONTEXT));
    assert_eq!(lost(&loss), format!("{head},\"before\":9}}\n"));
    assert_eq!(lost(&Loss { before: None, ..loss }), format!("{head}}}\n"));
    let counted = Account { hits: 10, filtered: 4, limited: 3, delivered: 2, lost: 1, missed: None };
    let probes = Probes::new(vec![probe.clone(), probe]);
    let accounts = [counted, Account { missed: Some(u64::MAX), ..counted }];
    let account = parsed(&line(|renderer, out| renderer.account(out, &probes, &accounts)));
    assert_eq!(account["type"], "account");
    let of_probe = json!({
        "probe": { "type": "raw_tracepoint", "name": "__nft_trace_packet" }, "hits": 10, "filtered": 4,
        "limited": 3, "delivered": 2, "lost": 1, "missed": null,
    });
    assert_eq!(account["probes"][0], of_probe);
    assert_eq!(account["probes"][1]["missed"], u64::MAX);
}

#[test]
fn the_wall_clock_is_told_where_it_is_wanted_and_known() {
    let clock = clock();
    let utc = Context { clock: &clock, utc: true, ..sample::CONTEXT };
    let told = |context: &Context<'_>| {
        let event = parsed(&event_of(&sample::record(), &sample::probe(), context));
        assert_eq!(event["time"], 3_443_313_082_998_u64);
        let probe = sample::probe();
        let loss = Loss { events: 1, probe: &probe, cpu: 0, before: Some(3_443_313_082_998) };
        let loss = parsed(&line(|renderer, out| renderer.loss(out, &loss, context)));
        assert_eq!(event.get("utc"), loss.get("utc"));
        event.get("utc").cloned()
    };
    assert_eq!(told(&utc), Some("2026-11-24T18:18:23.436539787Z".into()));
    assert_eq!(told(&Context { utc: false, ..utc }), None);
    assert_eq!(told(&Context { clock: &Clock::NONE, ..utc }), None);
}

/// A field of every kind and show.
fn every_field() -> Schema {
    let enumerated = |width, signed| Kind::Enum {
        width,
        signed,
        names: vec![(1, "one".into()), (-1, "minus \"one\"".into()), (2, "one".into())],
    };
    let kinds = [
        ("u8", Kind::Uint(1), Show::Plain),
        ("u64", Kind::Uint(8), Show::Plain),
        ("i16", Kind::Int(2), Show::Plain),
        ("i64", Kind::Int(8), Show::Plain),
        ("hex32", Kind::Uint(4), Show::Hex),
        ("hex_i16", Kind::Int(2), Show::Hex),
        ("hex_bytes", Kind::Bytes(3), Show::Hex),
        ("id", Kind::Uint(8), Show::PacketId),
        ("bytes", Kind::Bytes(3), Show::Plain),
        ("be16", Kind::Uint(2), Show::Be16),
        ("be32", Kind::Uint(4), Show::Be32),
        ("ipv4", Kind::Uint(4), Show::Ipv4),
        ("ipv4_bytes", Kind::Bytes(4), Show::Ipv4),
        ("ipv6", Kind::Bytes(16), Show::Ipv6),
        ("mac", Kind::Bytes(6), Show::Mac),
        ("netns", Kind::Uint(4), Show::Netns),
        ("device", Kind::Str(4), Show::Device),
        ("string", Kind::Str(4), Show::Plain),
        ("text", Kind::Text, Show::Plain),
        ("enum8", enumerated(1, false), Show::Plain),
        ("enum64", enumerated(8, false), Show::Plain),
        ("signed", enumerated(4, true), Show::Plain),
    ];
    let mut offset = 0;
    let mut fields: Vec<Field> = kinds
        .into_iter()
        .map(|(name, kind, show)| {
            let field = Field { name: name.into(), offset, kind, show };
            offset += field.kind.size().unwrap();
            field
        })
        .collect();
    fields.push(Field { name: "tail".into(), offset, kind: Kind::Tail, show: Show::Strings });
    Schema::new("all", offset, Some(Tail { max: 8 }), fields, None).unwrap()
}

/// That section of these bytes, each of its fields filled with `byte`.
fn filled(byte: u8) -> Value {
    let schema = every_field();
    let mut bytes = vec![byte; schema.size() as usize];
    bytes.extend(b"ab");
    let layout = Arc::new(Layout::new(vec![Arc::new(schema)]).unwrap());
    let record = sample::Bytes::new(&layout).tail(0, &bytes).finish();
    let probe = ProbeInfo { layout, ..sample::probe() };
    let event = parsed(&event_of(&record, &probe, &sample::CONTEXT));
    assert_valid(&validator([&every_field()]), &event);
    event["all"].clone()
}

#[test]
fn fields_are_numbers_or_strings_by_how_they_are_shown() {
    let expected = json!({
        "u8": 255, "u64": u64::MAX, "i16": -1, "i64": -1, "hex32": "0xffffffff", "hex_i16": "0xffff",
        "hex_bytes": "ffffff", "id": "ffffffffffffffff", "bytes": "ffffff", "be16": 65535, "be32": u32::MAX, "ipv4": "255.255.255.255",
        "ipv4_bytes": "255.255.255.255", "ipv6": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "mac": "ff:ff:ff:ff:ff:ff", "netns": u32::MAX, "device": "\u{fffd}\u{fffd}\u{fffd}\u{fffd}…",
        "string": "\u{fffd}\u{fffd}\u{fffd}\u{fffd}…", "text": "", "enum8": 255, "enum64": u64::MAX,
        "signed": "minus \"one\"",
    });
    assert_eq!(filled(0xff), expected);
    let one = filled(1);
    assert_eq!((&one["enum8"], &one["string"]), (&json!("one"), &json!("\u{1}\u{1}\u{1}\u{1}…")));
    assert_eq!((&one["hex32"], &one["be16"]), (&json!("0x1010101"), &json!(257)));
    let zero = filled(0);
    assert_eq!((&zero["device"], &zero["ipv6"], &zero["i64"]), (&json!(""), &json!("::"), &json!(0)));
}

#[test]
fn a_section_gives_way_to_what_an_event_has() {
    let schemas = ["task", "task_", "time", "taskx"].map(|name| {
        let field = Field { name: "f".into(), offset: 0, kind: Kind::Uint(1), show: Show::Plain };
        Schema::new(name, 1, None, vec![field], None).unwrap()
    });
    let validator = validator(&schemas);
    let layout = Arc::new(Layout::new(schemas.map(Arc::new).to_vec()).unwrap());
    let record = (0..4).fold(sample::Bytes::new(&layout), |bytes, i| bytes.fixed(i, &[i as u8 + 1])).finish();
    let probe = ProbeInfo { layout, ..sample::probe() };
    let event = parsed(&event_of(&record, &probe, &sample::CONTEXT));
    assert_valid(&validator, &event);
    let f = |name: &str| event[name]["f"].as_u64();
    assert_eq!(["task_", "task__", "time_", "taskx"].map(f), [1, 2, 3, 4].map(Some));
    assert_eq!(event["task"]["comm"], "");
}

/// A source of symbols that is no friend.
struct Hostile;

impl Symbols for Hostile {
    fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
        (address != 7).then(|| Symbol { name: "a\"},\n{\u{202e}".into(), offset: u64::MAX })
    }
}

#[test]
fn hostile_names_stay_inside_their_strings() {
    let name = "\"}\n\\\u{1b}[2J\u{202e}\0\u{e0041}";
    let layout = Arc::new(dropmon::layout());
    let names = dropmon::nft_bytes(&[name, "\n", "\\\"\r"]);
    let mut record = sample::Bytes::new(&layout).tail(0, &names).stack(&[1, 7]).finish();
    record[header::COMM..header::COMM + 5].copy_from_slice(b"\"\xff\n\x07\\");
    let trim = crate::Trim::Machinery;
    let probe = ProbeInfo { name: name.into(), way: name.into(), layout, trim, ..sample::probe() };
    let context = Context { symbols: &Hostile, ..sample::CONTEXT };
    let text = event_of(&record, &probe, &context);
    assert!(!text.trim_end_matches('\n').contains(|c: char| c.is_control() || c == '\u{202e}'), "{text}");
    let event = parsed(&text);
    assert_eq!(event["task"]["comm"], "\"\u{fffd}\n\u{7}\\");
    assert_eq!((&event["probe"]["name"], &event["probe"]["way"]), (&json!(name), &json!(name)));
    assert_eq!((&event["nft"]["chain"], &event["nft"]["table"]), (&json!(name), &json!("\\\"\r")));
    let frames = json!([
        { "symbol": "a\"},\n{\u{202e}", "offset": u64::MAX, "address": "0x0000000000000001" },
        { "address": "0x0000000000000007" },
    ]);
    assert_eq!(event["stack"], frames);
    assert_valid(&dropmon_validator(), &event);
}

#[test]
fn a_renderer_says_the_same_each_time() {
    let symbols = dropmon::Table::new();
    let context = Context { symbols: &symbols, ..sample::CONTEXT };
    let probes = Probes::new(vec![dropmon::probe()]);
    let record = dropmon::record();
    let event = probes.event(&record, &context).unwrap();
    let mut renderer = Renderer::new();
    let mut lines = String::new();
    (0..3).for_each(|_| renderer.event(&mut lines, &event));
    let one = event_of(&record, &dropmon::probe(), &context);
    assert_eq!(lines, one.repeat(3));
    assert_eq!(parsed(&one)["stack"].as_array().unwrap().len(), 20, "without the machinery");
}

/// One that takes nothing which is not described.
fn validator<'a>(sections: impl IntoIterator<Item = &'a Schema>) -> jsonschema::Validator {
    let schema = sample::strict(schema(sections));
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

fn dropmon_validator() -> jsonschema::Validator {
    let layout = dropmon::layout();
    validator(layout.sections().iter().map(|placed| &*placed.schema))
}

fn assert_valid(validator: &jsonschema::Validator, line: &Value) {
    let errors: Vec<String> = validator.iter_errors(line).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{line:#}");
}

/// A line of each type.
fn lines() -> Vec<Value> {
    let (symbols, clock) = (dropmon::Table::new(), clock());
    let context = Context { symbols: &symbols, clock: &clock, utc: true, ..sample::CONTEXT };
    let session = session();
    let probe = dropmon::probe();
    let loss = Loss { events: 1, probe: &probe, cpu: 0, before: Some(3_443_313_082_998) };
    let accounts = [Account { missed: Some(1), ..Account::default() }];
    [
        line(|renderer, out| renderer.meta(out, &session, &clock)),
        event_of(&dropmon::record(), &probe, &context),
        line(|renderer, out| renderer.loss(out, &loss, &context)),
        line(|renderer, out| renderer.clock(out, clock.samples()[0])),
        line(|renderer, out| renderer.account(out, &session.probes, &accounts)),
    ]
    .map(|line| parsed(&line))
    .to_vec()
}

#[test]
fn the_schema_is_one_and_describes_every_line() {
    let described = schema([]);
    assert!(jsonschema::meta::is_valid(&described), "{described:#}");
    let validator = dropmon_validator();
    for line in lines() {
        assert_valid(&validator, &line);
    }
}

/// Every place in a value, as a JSON pointer.
fn places(value: &Value, place: &str, all: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(values) => values.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        _ => return,
    };
    for (name, value) in inner {
        let place = format!("{place}/{name}");
        all.push(place.clone());
        places(value, &place, all);
    }
}

#[test]
fn the_schema_takes_nothing_else() {
    let validator = dropmon_validator();
    for line in lines() {
        let mut all = Vec::new();
        places(&line, "", &mut all);
        for place in all {
            // Of another type: no member takes a list of an object.
            let mut other = line.clone();
            *other.pointer_mut(&place).unwrap() = json!([{ "nix": 1 }]);
            assert!(!validator.is_valid(&other), "another type at {place}");
            // And one more member beside it.
            let (parent, _) = place.rsplit_once('/').unwrap();
            if let Value::Object(members) = line.pointer(parent).unwrap()
                && !members.contains_key("nix")
            {
                let mut more = line.clone();
                more.pointer_mut(parent).unwrap()["nix"] = json!(1);
                assert!(!validator.is_valid(&more), "one more member in {parent}");
            }
        }
    }
    let needed = ["time", "probe", "cpu", "task"].map(|name| format!("/{name}"));
    let nested = ["/task/comm", "/probe/name", "/nft/table", "/nft/rule", "/dev/ifindex", "/skb/data/raw"];
    let packet = ["/skb/data/tcp/sport", "/skb/data/ipv4/ttl", "/skb/data/ethernet/saddr"];
    let event = &lines()[1];
    for place in needed.iter().map(String::as_str).chain(nested).chain(packet) {
        let mut less = event.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        let members = less.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        assert!(members.remove(name).is_some(), "{place}");
        assert!(!validator.is_valid(&less), "without {place}");
    }
    for (place, value) in [
        ("/cpu", json!(1.5)),
        ("/cpu", json!(65536)),
        ("/nft/verdict", json!("nix")),
        ("/nft/policy", json!(256)),
        ("/skb/mark", json!("16")),
        ("/skb/data/raw", json!("abc")),
        ("/skb/data/ipv4/saddr", json!("10.0.0")),
        ("/skb/data/ethernet/type", json!("0x800")),
        ("/probe/type", json!("kprobes")),
        ("/utc", json!("2026-11-24 18:18:23Z")),
        ("/type", json!("events")),
    ] {
        let mut wrong = event.clone();
        *wrong.pointer_mut(place).unwrap() = value.clone();
        assert!(!validator.is_valid(&wrong), "{value} at {place}");
    }
}

#[test]
fn readers_permit_what_a_later_version_adds() {
    let layout = dropmon::layout();
    let schema = schema(layout.sections().iter().map(|placed| &*placed.schema));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut event = lines()[1].clone();
    event["another"] = json!({ "section": 1 });
    event["skb"]["data"]["quic"] = json!({});
    event["nft"]["verdict"] = json!(17);
    assert!(validator.is_valid(&event));
    assert!(validator.is_valid(&json!({ "type": "ruleset", "text": "" })));
    event["cpu"] = json!("3");
    assert!(!validator.is_valid(&event), "what is known is checked all the same");
}

#[test]
fn two_forms_of_a_section_are_both_described() {
    let form = |kind| {
        let field = Field { name: "f".into(), offset: 0, kind, show: Show::Plain };
        Schema::new("s", 8, None, vec![field], None).unwrap()
    };
    let validator = validator(&[form(Kind::Uint(1)), form(Kind::Str(8)), form(Kind::Uint(1))]);
    let mut event = lines()[1].clone();
    for name in ["nft", "skb", "dev", "ns"] {
        event.as_object_mut().unwrap().remove(name);
    }
    for (value, fits) in [(json!(1), true), (json!("one"), true), (json!(300), false)] {
        event["s"] = json!({ "f": value });
        assert_eq!(validator.is_valid(&event), fits, "{value}");
    }
}

#[test]
fn a_follower_says_what_it_follows() {
    let probes = tracked::probes();
    let record = tracked::Hit { probe: tracked::FREED, at: 12, id: 0x1f_dd03_636d, cpu: 0 }.record(&probes);
    let event = probes.event(&record, &sample::CONTEXT).unwrap();
    let sections = probes.iter().flat_map(|probe| probe.layout.sections());
    let validator = validator(sections.map(|placed| &*placed.schema));
    let told = |lost| {
        let value = parsed(&line(|renderer, out| renderer.follower(out, &event, Follow { since: 12, lost })));
        assert_valid(&validator, &value);
        assert_eq!(value["skb_tracking"]["id"], "1fdd03636d");
        value["follows"].clone()
    };
    assert_eq!((told(0), told(17)), (json!({ "since": 12 }), json!({ "since": 12, "lost": 17 })));
    let plain = parsed(&line(|renderer, out| renderer.event(out, &event)));
    assert_eq!(plain.get("follows"), None);
}
