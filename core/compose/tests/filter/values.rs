//! Values in memory: every width and sign, every comparison, bounds, masks; texts and patterns against the interpreter's.

use tracer_compose::filter::{Form, Number, ValueTest};
use tracer_dsl::filter::tree::{Comparison, LiteralKind, NodeKind, Order};
use tracer_dsl::filter::{Class, Filter, is_like};
use tracer_event::{Field, Kind, Show};

use crate::machine::{self, Kernel, SCRATCH};

pub(crate) fn comparison(text: &str) -> (Filter, Comparison) {
    let filter: Filter = text.parse().unwrap_or_else(|found| panic!("`{text}`: {found}"));
    let NodeKind::Field(comparison) = filter.root.kind.clone() else { panic!("`{text}`") };
    (filter, comparison)
}

fn field(kind: Kind, show: Show) -> Field {
    Field { name: "y".into(), offset: 0, kind, show }
}

fn asked(field: &Field, text: &str, value: &[u8]) -> bool {
    let (filter, comparison) = comparison(text);
    let test = ValueTest::of_field(field, &filter, &comparison)
        .unwrap_or_else(|found| panic!("`{text}`: {}", found.message));
    machine::run(&Kernel::default(), value, 0, 0, |asm, otherwise| test.emit(asm, SCRATCH, otherwise))
}

fn refused(field: &Field, text: &str) -> String {
    let (filter, comparison) = comparison(text);
    let found = ValueTest::of_field(field, &filter, &comparison).unwrap_err();
    format!("{}; {}; {}", found.message, found.reason.unwrap_or_default(), found.hints.join("; "))
}

const ORDERS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

fn holds(order: &str, left: i128, right: i128) -> bool {
    match order {
        "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        _ => left >= right,
    }
}

/// Those where something changes.
fn edges(least: i128, most: i128) -> Vec<i128> {
    let mut edges =
        vec![least, least + 1, -1, 0, 1, 127, 128, 255, 256, most / 2, most / 2 + 1, most - 1, most];
    edges.extend([
        i128::from(i32::MAX),
        i128::from(i32::MAX) + 1,
        i128::from(i32::MIN),
        i128::from(u32::MAX),
    ]);
    edges.retain(|edge| (least..=most).contains(edge));
    edges
}

#[test]
fn numbers_of_every_width_sign_and_order() {
    for width in [1u8, 2, 4, 8] {
        for signed in [false, true] {
            let kind = if signed { Kind::Int(width) } else { Kind::Uint(width) };
            let (least, most) = Number::plain(width, signed).range();
            for value in edges(least, most) {
                let bytes = &value.to_le_bytes()[..width.into()];
                for wanted in edges(least, most) {
                    for order in ORDERS {
                        let text = format!("x.y {order} {wanted}");
                        let found = asked(&field(kind.clone(), Show::Plain), &text, bytes);
                        assert_eq!(found, holds(order, value, wanted), "{value} {order} {wanted}");
                    }
                }
            }
        }
    }
}

#[test]
fn masks_take_the_sign_away_and_values_beyond_the_range_are_settled() {
    let signed = field(Kind::Int(2), Show::Plain);
    let minus_two = (-2i16).to_le_bytes();
    assert!(asked(&signed, "x.y & 0xff == 0xfe", &minus_two));
    assert!(asked(&signed, "x.y & 0xffffffffffffffff == 0xfffffffffffffffe", &minus_two));
    assert!(asked(&signed, "x.y & 0xffffffff00000000 >= 0xffffffff00000000", &minus_two));
    assert!(asked(&signed, "x.y & 0x123456789a > 0x1234567800", &minus_two));
    assert!(!asked(&signed, "x.y & 0xff == -2", &minus_two));
    assert!(asked(&signed, "x.y & 0xff != -2", &minus_two));
    assert!(asked(&signed, "x.y & 0xff > -2", &minus_two));
    assert!(!asked(&signed, "x.y & 0xff <= -2", &minus_two));
    assert!(asked(&signed, "x.y & 0xff in {-1, 254}", &minus_two));
    assert!(!asked(&signed, "x.y & 0xff in {-1, -2}", &minus_two));
    for text in ["x.y == 70000", "x.y < -40000", "x.y in {1, 70000}"] {
        assert!(refused(&signed, text).contains("is no value of this field"));
    }
}

#[test]
fn one_of_several_numbers() {
    let of = field(Kind::Uint(8), Show::Plain);
    let text = "x.y in {1, 0xffffffffffffffff, 0x80000000, 7}";
    for value in [1, u64::MAX, 0x8000_0000, 7] {
        assert!(asked(&of, text, &value.to_le_bytes()), "{value}");
    }
    for value in [0, u64::MAX - 1, 0xffff_ffff_8000_0000, 8] {
        assert!(!asked(&of, text, &value.to_le_bytes()), "{value}");
    }
}

#[test]
fn network_order_and_addresses() {
    assert!(asked(&field(Kind::Uint(2), Show::Be16), "x.y > 442", &443u16.to_be_bytes()));
    assert!(asked(&field(Kind::Uint(4), Show::Ipv4), "x.y == 10.0.0.1", &[10, 0, 0, 1]));
    assert!(asked(&field(Kind::Bytes(4), Show::Ipv4), "x.y in {10.0.0.2, 10.0.0.1}", &[10, 0, 0, 1]));
    let v6 = field(Kind::Bytes(16), Show::Ipv6);
    let address = "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
    assert!(asked(&v6, "x.y == 2001:db8::1", &address));
    assert!(asked(&v6, "x.y != 2001:db8::2", &address));
    let pairs = "10:20:30:40:50:60:70:80";
    let address = pairs.parse::<std::net::Ipv6Addr>().unwrap().octets();
    assert!(asked(&v6, &format!("x.y == {pairs}"), &address), "pairs are groups of an address here");
    let mac = field(Kind::Bytes(6), Show::Mac);
    assert!(asked(&mac, "x.y == 02:42:ac:10:2a:01", &[2, 0x42, 0xac, 0x10, 0x2a, 1]));
    assert!(!asked(&mac, "x.y == 02:42:ac:10:2a:01", &[2, 0x42, 0xac, 0x10, 0x2a, 2]));
    assert!(!asked(&mac, "x.y != 02:42:ac:10:2a:01", &[2, 0x42, 0xac, 0x10, 0x2a, 1]));
}

#[test]
fn plain_bytes() {
    for len in 2..24u8 {
        let bytes: Vec<u8> = (0..len).map(|byte| byte.wrapping_mul(37) ^ 0x80).collect();
        let of = field(Kind::Bytes(len.into()), Show::Plain);
        let text: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = text.join(":");
        if len == 8 {
            assert_eq!(text.len(), 23);
        }
        assert!(asked(&of, &format!("x.y == {text}"), &bytes), "{text}");
        assert!(!asked(&of, &format!("x.y != {text}"), &bytes), "{text}");
        for wrong in 0..len {
            let mut bytes = bytes.clone();
            bytes[usize::from(wrong)] ^= 1;
            assert!(!asked(&of, &format!("x.y == {text}"), &bytes), "{text} {wrong}");
            assert!(asked(&of, &format!("x.y != {text}"), &bytes), "{text} {wrong}");
        }
    }
    let of = field(Kind::Bytes(4), Show::Hex);
    assert!(asked(&of, "x.y in {de:ad:be:ee, 10.0.0.1, de:ad:be:ef}", &[0xde, 0xad, 0xbe, 0xef]));
    assert!(refused(&of, "x.y == de:ad:be").contains("the field has 4 bytes, not 3"));
    assert!(refused(&of, "x.y == 5").contains("bytes take"));
    assert!(refused(&of, "x.y & 1 == de:ad:be:ef").contains("takes no mask"));
    let link = field(Kind::Bytes(32), Show::Plain);
    let mut address = [0; 32];
    address[..6].copy_from_slice(&[2, 0x42, 0xac, 0x10, 0x2a, 1]);
    assert!(asked(&link, "x.y == 02:42:ac:10:2a:01", &address), "as the kernel has link addresses");
}

#[test]
fn enums() {
    let names = [(0, "drop"), (1, "accept"), (-1, "later"), (3, "queue"), (1, "alias")];
    let names = names.map(|(value, name)| (value, name.to_owned())).to_vec();
    let of = field(Kind::Enum { width: 4, signed: true, names }, Show::Plain);
    let value = |value: i32| value.to_le_bytes();
    assert!(asked(&of, "x.y == accept", &value(1)) && !asked(&of, "x.y == accept", &value(3)));
    assert!(asked(&of, "x.y != later", &value(1)) && !asked(&of, "x.y != later", &value(-1)));
    assert!(asked(&of, "x.y in {drop, later}", &value(-1)) && !asked(&of, "x.y in {drop, later}", &value(1)));
    assert!(asked(&of, "x.y =~ \"*e*\"", &value(3)) && !asked(&of, "x.y =~ \"*e*\"", &value(0)));
    assert!(!asked(&of, "x.y =~ \"*e*\"", &value(7)), "a value without a name");
    assert!(!asked(&of, "x.y =~ \"nothing*\"", &value(0)));
    assert!(asked(&of, "x.y < 0", &value(-1)));
    assert!(refused(&of, "x.y == acept").contains("did you mean `accept`?"));
    assert!(refused(&of, "x.y == alias").contains("unknown"), "of two names of one value the first counts");
}

fn text(bytes: u32) -> Field {
    field(Kind::Str(bytes), Show::Plain)
}

/// A text in memory of that many bytes, with rubbish behind it.
fn padded(text: &str, len: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes()[..text.len().min(len)].to_vec();
    if bytes.len() < len {
        bytes.push(0);
    }
    bytes.resize(len, b'v');
    bytes
}

#[test]
fn texts_end_at_a_nul() {
    for cap in 1..=20 {
        for len in 0..=cap {
            let own: String = "abcdefghijklmnopqrstuvwxyz"[..len].to_owned();
            let memory = padded(&own, cap);
            let of = text(cap as u32);
            // As a stored trace shows it.
            let own = if len == cap { format!("{own}…") } else { own };
            for other in 0..=22 {
                let other = &"abcdefghijklmnopqrstuvwxyz"[..other];
                assert_eq!(asked(&of, &format!("x.y == \"{other}\""), &memory), own == other);
                assert_eq!(asked(&of, &format!("x.y != \"{other}\""), &memory), own != other);
                let like = format!("x.y =~ \"{other}*\"");
                assert_eq!(asked(&of, &like, &memory), own.starts_with(other), "{own} {like}");
            }
            assert!(asked(&of, &format!("x.y in {{no, \"{own}\", eth0}}"), &memory));
            assert!(!asked(&of, &format!("x.y in {{no, \"{own}!\", eth00}}"), &memory));
        }
    }
}

#[test]
fn patterns_are_those_of_the_interpreter() {
    let mut random = 1u64;
    let mut pick = |of: &[&str], most: u64| {
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random >> 11
        };
        let count = next() % (most + 1);
        (0..count).map(|_| of[(next() % of.len() as u64) as usize]).collect::<String>()
    };
    let mut like = 0;
    for _ in 0..5000 {
        let pattern = pick(&["a", "b", "ü", "€", "*", "?", "?", "\u{7f}"], 8);
        let own = pick(&["a", "b", "ü", "€", "𝄞", "a"], 8);
        let wanted = is_like(&own, &pattern);
        like += usize::from(wanted);
        let memory = padded(&own, 33);
        assert_eq!(asked(&text(33), &format!("x.y =~ \"{pattern}\""), &memory), wanted, "{own} {pattern}");
        let full = padded(&own, own.len().max(1));
        let of = text(full.len() as u32);
        let seen = if own.is_empty() { String::new() } else { format!("{own}…") };
        let wanted = is_like(&seen, &pattern);
        assert_eq!(asked(&of, &format!("x.y =~ \"{pattern}\""), &full), wanted, "{own} {pattern}, full");
    }
    assert!((250..4000).contains(&like), "{like} of 5000 are alike: both answers are to be met");
}

#[test]
fn a_text_that_was_cut_says_so_as_in_stored_traces() {
    // What the interpreter sees of the same bytes: with `…` where there was no room for a NUL.
    for own in ["abc", "abcd"] {
        let memory = padded(own, 4);
        let seen = if own.len() == 4 { format!("{own}…") } else { own.to_owned() };
        for other in ["abc", "abcd", "abcd…", "abc…", "abcde", "abcd…x", ""] {
            assert_eq!(
                asked(&text(4), &format!("x.y == \"{other}\""), &memory),
                seen == other,
                "{own} {other}"
            );
            assert_eq!(
                asked(&text(4), &format!("x.y != \"{other}\""), &memory),
                seen != other,
                "{own} {other}"
            );
        }
        for pattern in
            ["abc*", "abcd*", "abcd…*", "abcd…?*", "*d", "*c", "*…", "*d?", "*d??", "?????", "????", "*"]
        {
            let found = asked(&text(4), &format!("x.y =~ \"{pattern}\""), &memory);
            assert_eq!(found, is_like(&seen, pattern), "{own} {pattern}");
        }
    }
}

#[test]
fn texts_in_the_sections_array() {
    let of = Field { name: "y".into(), offset: 4, kind: Kind::Text, show: Show::Plain };
    for own in ["", "f", "firewall", "firewalld", "firewalldd", &"x".repeat(255), &"x".repeat(400)] {
        let mut section = vec![0; 4];
        section.extend([12u16.to_le_bytes(), (own.len() as u16).to_le_bytes()].concat());
        section.extend(b"nat,");
        section.extend(own.as_bytes());
        section.extend(b"rubbish");
        for text in [
            "x.y == firewalld",
            "x.y != firewalld",
            "x.y =~ \"fire*\"",
            "x.y =~ \"*l?\"",
            "x.y in {nat, f, \"\"}",
            "x.y =~ \"*\"",
        ] {
            let (filter, comparison) = comparison(text);
            let test = ValueTest::of_field(&of, &filter, &comparison).unwrap();
            let found =
                machine::run_at(&section, SCRATCH, test.copies() as usize, |asm, section, otherwise| {
                    test.copy_text(asm, section, 4, SCRATCH, otherwise);
                    test.emit(asm, SCRATCH, otherwise);
                });
            let wanted = &comparison.values;
            let wanted = wanted.iter().any(|value| match (&value.kind, comparison.order) {
                (LiteralKind::Name(pattern), Order::Like) => is_like(own, pattern),
                (LiteralKind::Name(text), _) => text == own,
                _ => panic!(),
            });
            assert_eq!(found, wanted != (comparison.order == Order::Unequal), "{own} {text}");
        }
    }
}

#[test]
fn long_patterns() {
    let letters: String = ('!'..='z').filter(|c| !"\"*?".contains(*c)).take(62).collect();
    let own = format!("{letters}x");
    let memory = padded(&format!("....{own}...."), 256);
    assert!(asked(&text(256), &format!("x.y =~ \"*{own}*\""), &memory));
    assert!(asked(&text(256), &format!("x.y =~ \"*?{}*\"", &own[1..]), &memory));
    assert!(!asked(&text(256), &format!("x.y =~ \"*{letters}y*\""), &memory));
    assert!(refused(&text(256), &format!("x.y =~ \"*{own}y\"")).contains("at most 63 bytes besides `*`"));
    assert!(refused(&text(300), "x.y =~ \"*a\"").contains("at most 256 bytes, and this one has 300"));
    let far = padded(&"b".repeat(255), 256);
    assert!(asked(&text(256), "x.y =~ \"*?b\"", &far) && !asked(&text(256), "x.y =~ \"*a\"", &far));
}

#[test]
fn bitfields() {
    for below in 0..8u8 {
        for bits in 1..=32u8 {
            let bytes = (below + bits).div_ceil(8);
            for signed in [false, true] {
                let number = Number { bytes, signed, big_endian: false, field: Some((below, bits)) };
                let (least, most) = number.range();
                for value in [least, 0, most / 2, most] {
                    // The bits around are all set, or none is.
                    for around in [0, u64::MAX] {
                        let mask = ((1u64 << bits) - 1) << below;
                        let word = (value.cast_unsigned() as u64) << below & mask | around & !mask;
                        for order in ["==", ">="] {
                            let (filter, comparison) = comparison(&format!("x.y {order} {value}"));
                            let class = Class::Number(least, most);
                            let test =
                                ValueTest::new(&class, Form::Number(number), &filter, &comparison).unwrap();
                            let emit = |asm: &mut _, otherwise| test.emit(asm, SCRATCH, otherwise);
                            let memory = word.to_le_bytes();
                            assert!(
                                machine::run(&Kernel::default(), &memory, 0, 0, emit),
                                "{number:?} {value}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn known_texts_need_no_program() {
    let (filter, comparison) = comparison("event.probe =~ \"*tcp*\"");
    let probe = tracer_dsl::filter::HeaderField::Probe;
    let test = ValueTest::of_header(probe, &filter, &comparison).unwrap();
    assert_eq!(comparison.order, Order::Like);
    assert_eq!((test.holds("kprobe:tcp_rcv"), test.holds("udp")), (Some(true), Some(false)));
}
