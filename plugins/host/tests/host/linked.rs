//! A plugin in Rust that is linked in: both sides of the interface at once.

use crate::support::{Engine, event, session};
use tracer_plugin_abi::{Event, Native, Session, c, descriptor, section};
use tracer_plugin_host::{Answer, DeclaredField, Failure, Library, LossParts, OptionValue};

section! {
    /// All kinds of fields.
    struct Owner in "owner", texts 64 {
        small: u8,
        number: u64 = "hex",
        negative: i16,
        yes: bool,
        bytes: [u8; 6] = "mac",
        name: String,
        comm: String,
        tail: i32,
    }
}

struct Plugin {
    text: String,
    length: tracer_plugin_abi::Handle,
    named: tracer_plugin_abi::Handle,
    events: u64,
}

impl Native for Plugin {
    type Section = Owner;

    const SINK: bool = true;

    fn start(
        host: &tracer_plugin_abi::Host<'_>,
        session: &Session<'_>,
    ) -> Result<Self, tracer_plugin_abi::Failure> {
        if host.number("refuse") == Some(1) {
            return Err(tracer_plugin_abi::Failure::new("no such file: /run/owner"));
        }
        assert!(session.is_live());
        assert_eq!(session.probes().collect::<Vec<_>>(), ["__nft_trace_packet", "skb:kfree_skb"]);
        assert_eq!(
            (session.tracer(), session.host(), session.kernel(), session.machine(), session.own_netns()),
            ("0.1.0", "here", "6.12.0", "x86_64", Some(4_026_531_840))
        );
        assert_eq!(session.fields(), [("skb", "len"), ("skb", "name"), ("owner", "name")]);
        assert_eq!(host.text("missing"), None);
        assert_eq!(host.field("skb", "missing"), None);
        assert_eq!(host.symbol(0x1010), Some(("nf_hook_slow".to_owned(), 0x10)));
        assert_eq!(host.symbol(0x10), None);
        assert_eq!(host.address("nf_hook_slow"), Some(0x1000));
        assert_eq!(host.type_size("sk_buff"), Some(232));
        let member = host.member("sk_buff", "len").map(|found| (found.bit_offset, found.size, found.bits));
        assert_eq!(member, Some((896, 4, 0)));
        assert_eq!(host.enumerator("nf_verdict", "NF_DROP"), Some(-1));
        Ok(Plugin {
            text: host.text("text").unwrap_or("none").to_owned(),
            length: host.field("skb", "len").ok_or(tracer_plugin_abi::Failure::new("no length"))?,
            named: host.field("skb", "name").ok_or(tracer_plugin_abi::Failure::new("no name"))?,
            events: 0,
        })
    }

    fn enrich(
        &mut self,
        host: &tracer_plugin_abi::Host<'_>,
        event: &Event<'_>,
    ) -> Result<Option<Owner>, tracer_plugin_abi::Failure> {
        if event.stack().is_empty() {
            return Ok(None);
        }
        let number = match host.value(event, self.length) {
            Some(tracer_plugin_abi::Value::Uint(number)) => number,
            other => panic!("a length that is {other:?}"),
        };
        let name = match host.value(event, self.named) {
            Some(tracer_plugin_abi::Value::Text(text)) => text,
            _ => "",
        };
        assert_eq!(host.json_of(event), Some("{}\n"));
        assert_eq!(host.text_of(event), Some("an event\n"));
        host.log(tracer_plugin_abi::Level::Info, name);
        Ok(Some(Owner {
            small: 7,
            number,
            negative: -2,
            yes: true,
            bytes: [1, 2, 3, 4, 5, 6],
            name: format!("{}/{name}", self.text),
            comm: event.comm().into_owned(),
            tail: -1_000_000,
        }))
    }

    fn event(
        &mut self,
        _: &tracer_plugin_abi::Host<'_>,
        event: &Event<'_>,
    ) -> Result<(), tracer_plugin_abi::Failure> {
        assert_eq!((event.probe(), event.cpu(), event.time(), event.realtime()), (1, 3, 1_000_000, None));
        assert_eq!((event.tgid(), event.pid(), event.packet_id()), (41, 42, Some(7)));
        assert_eq!((event.stack(), event.record()), (&[0x1010, 0x2020][..], &b"record"[..]));
        self.events += 1;
        Ok(())
    }

    fn loss(
        &mut self,
        _: &tracer_plugin_abi::Host<'_>,
        loss: &tracer_plugin_abi::Loss,
    ) -> Result<(), tracer_plugin_abi::Failure> {
        assert_eq!((loss.probe, loss.cpu, loss.events, loss.before), (1, 3, 10, None));
        self.events += loss.events;
        Ok(())
    }

    fn tick(&mut self, _: &tracer_plugin_abi::Host<'_>, now: u64) -> Result<(), tracer_plugin_abi::Failure> {
        self.events += now;
        Ok(())
    }

    fn stop(self, _: &tracer_plugin_abi::Host<'_>) -> Result<(), tracer_plugin_abi::Failure> {
        Err(tracer_plugin_abi::Failure::new(format!("counted {}", self.events)))
    }
}

extern "C" fn plugin() -> *const c::Plugin {
    descriptor!(Plugin, name: "owner", release: "1.2.3", licence: "MIT")
}

fn engine() -> Engine {
    let mut engine = Engine::default();
    engine.options.insert("text", OptionValue::Text("text".to_owned()));
    engine.options.insert("refuse", OptionValue::Number(0));
    engine.values.insert(1, Answer::Uint(1500));
    engine.values.insert(2, Answer::Text("eth0".to_owned()));
    engine
}

fn start(engine: &mut Engine) -> Result<tracer_plugin_host::Instance, Failure> {
    let library = Library::linked(plugin).unwrap();
    let mut session = session();
    session.sections = vec![
        tracer_plugin_host::DeclaredSection {
            name: "skb".to_owned(),
            size: 8,
            texts: 0,
            fields: vec![field("len"), field("name")],
        },
        tracer_plugin_host::DeclaredSection {
            name: "owner".to_owned(),
            size: 4,
            texts: 0,
            fields: vec![field("name")],
        },
    ];
    library.start(engine, &session)
}

fn field(name: &str) -> DeclaredField {
    let (show, names) = (String::new(), vec![(1, "one".to_owned())]);
    DeclaredField { name: name.to_owned(), show, kind: c::KIND_UINT, offset: 0, size: 4, names }
}

const STACK: &[u64] = &[0x1010, 0x2020];

#[test]
fn what_is_written_stands_where_it_is_declared() {
    let library = Library::linked(plugin).unwrap();
    let description = library.description().clone();
    assert_eq!((&*description.name, &*description.release, &*description.licence), ("owner", "1.2.3", "MIT"));
    let section = description.section.unwrap();
    let mut engine = engine();
    let mut instance = start(&mut engine).unwrap();
    let mut out = b"left over".to_vec();
    assert_eq!(instance.enrich(&mut engine, &event(STACK, b"record"), &mut out), Ok(true));
    assert_eq!(out.len(), section.size as usize + "text/eth0".len() + "swapper/0".len());
    let read = |name: &str| {
        let field = section.fields.iter().find(|field| field.name == name).unwrap();
        let bytes = &out[field.offset as usize..][..field.size as usize];
        let number = bytes.iter().rev().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        match field.kind {
            c::KIND_BYTES => format!("{bytes:?}"),
            c::KIND_INT => {
                let unused = 64 - 8 * field.size;
                (number.cast_signed() << unused >> unused).to_string()
            }
            c::KIND_TEXT => {
                let (start, len) = (number as usize & 0xffff, number as usize >> 16);
                String::from_utf8(out[start..start + len].to_vec()).unwrap()
            }
            _ => number.to_string(),
        }
    };
    let fields = section.fields.iter().map(|field| (&*field.name, read(&field.name))).collect::<Vec<_>>();
    let expected = [
        ("small", "7"),
        ("number", "1500"),
        ("negative", "-2"),
        ("yes", "1"),
        ("bytes", "[1, 2, 3, 4, 5, 6]"),
        ("name", "text/eth0"),
        ("comm", "swapper/0"),
        ("tail", "-1000000"),
    ];
    assert_eq!(fields, expected.map(|(name, value)| (name, value.to_owned())));
    let shows = section.fields.iter().filter(|field| !field.show.is_empty());
    assert_eq!(
        shows.map(|field| (&*field.name, &*field.show)).collect::<Vec<_>>(),
        [("number", "hex"), ("bytes", "mac")]
    );
    assert_eq!(instance.enrich(&mut engine, &event(&[], b""), &mut out), Ok(false));
    assert!(out.is_empty());
    assert_eq!(engine.logged, [(c::LOG_INFO, "eth0".to_owned())]);
}

#[test]
fn a_sink_gets_events_and_losses_and_its_last_words_are_heard() {
    let mut engine = engine();
    let mut instance = start(&mut engine).unwrap();
    instance.event(&mut engine, &event(STACK, b"record")).unwrap();
    instance.loss(&mut engine, &LossParts { probe: 1, cpu: 3, events: 10, before: 0 }).unwrap();
    instance.tick(&mut engine, 100).unwrap();
    instance.flush(&mut engine).unwrap();
    let failure = instance.stop(&mut engine).unwrap_err();
    assert_eq!(failure.to_string(), "`stop` failed: counted 111");
}

#[test]
fn texts_are_cut_at_the_room() {
    let mut engine = engine();
    engine.values.insert(2, Answer::Text("ä".repeat(100)));
    let mut instance = start(&mut engine).unwrap();
    let mut out = Vec::new();
    assert_eq!(instance.enrich(&mut engine, &event(STACK, b""), &mut out), Ok(true));
    let size = Library::linked(plugin).unwrap().description().section.as_ref().unwrap().size as usize;
    let text = std::str::from_utf8(&out[size..]).unwrap();
    // A character is two bytes and is not cut; what is left takes a byte of the next text.
    assert_eq!(text, format!("text/{}s", "ä".repeat(29)));
}

#[test]
fn a_panic_is_told_with_its_place_and_is_the_last_word() {
    let mut engine = engine();
    engine.values.insert(1, Answer::Int(-1));
    let mut instance = start(&mut engine).unwrap();
    let mut out = b"left over".to_vec();
    let failure = instance.enrich(&mut engine, &event(STACK, b""), &mut out).unwrap_err();
    let Failure::Panicked { function: "enrich", why: Some(why) } = &failure else { panic!("{failure:?}") };
    assert!(why.contains("linked.rs:"), "{why}");
    assert!(why.starts_with("a length that is Some(Int(-1)), at "), "{why}");
    assert!(failure.to_string().starts_with("`enrich` panicked: "), "{failure}");
    assert!(out.is_empty());
    let again = instance.enrich(&mut engine, &event(STACK, b""), &mut out);
    assert_eq!(again, Err(Failure::Over { function: "enrich" }));
    assert_eq!(instance.event(&mut engine, &event(STACK, b"")), Err(Failure::Over { function: "event" }));
    // There is nothing left to stop.
    assert_eq!(instance.stop(&mut engine), Ok(()));
}

#[test]
fn start_may_refuse_with_a_reason() {
    let mut engine = engine();
    engine.options.insert("refuse", OptionValue::Number(1));
    let failure = start(&mut engine).err().unwrap();
    assert_eq!(failure.to_string(), "`start` failed: no such file: /run/owner");
}
