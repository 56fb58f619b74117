//! The neutral table that describes a section. BTF is one way to write it, a trace file another; whoever reads events
//! knows only this. A `Schema` that exists is sound: its fields lie inside its bytes, its template names its fields,
//! so that nothing behind it has to ask again.

use crate::steps::{Step, steps};
use crate::{Field, Kind, Show, Template};

/// The fields of one section, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    section: String,
    size: u32,
    tail: Option<Tail>,
    fields: Vec<Field>,
    text: Option<Text>,
    key: Vec<String>,
    /// What the text's template says, with the fields found.
    steps: Box<[Step]>,
    packet: Option<PacketFields>,
}

/// Where packet data and what is said about it stand among the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PacketFields {
    pub(crate) data: usize,
    pub(crate) link: usize,
    pub(crate) protocol: usize,
    pub(crate) orig_len: usize,
    /// The EtherType and the rest of a VLAN tag that is not in the data, where the section has both.
    pub(crate) tag: Option<(usize, usize)>,
}

/// The final byte array of a tail section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// The most bytes that the array can hold.
    pub max: u32,
}

/// What a section adds to the text of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The words.
    pub template: Template,
    /// Where they stand.
    pub place: Place,
}

/// Where a section's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the event's first line, after the probe.
    Head,
    /// On the packet line; lower numbers stand further left.
    Packet(u8),
    /// On a line of its own.
    Line,
}

impl Schema {
    /// The most bytes of a section's fixed struct. Far more than a program could fill, and few enough that the size of
    /// 64 sections is a `u32`.
    pub const MAX_SIZE: u32 = 1 << 16;
    /// The most bytes of a section's final array.
    pub const MAX_TAIL: u32 = 1 << 20;

    /// Checks and makes a schema. `size` is the fixed struct's bytes, or, for a tail section, the offset of its final
    /// array.
    ///
    /// # Errors
    ///
    /// Whatever makes the table contradict itself; see [`SchemaError`].
    pub fn new(
        section: impl Into<String>,
        size: u32,
        tail: Option<Tail>,
        fields: Vec<Field>,
        text: Option<Text>,
    ) -> Result<Schema, SchemaError> {
        let (section, key, steps) = (section.into(), Vec::new(), Box::default());
        let mut schema = Schema { section, size, tail, fields, text, key, steps, packet: None };
        match schema.problem().map_or_else(|| schema.find_fields(), Err) {
            Ok(()) => Ok(schema),
            Err(problem) => Err(SchemaError { section: schema.section, problem }),
        }
    }

    /// Finds the fields that the text and the packet name, so that nobody has to for an event.
    fn find_fields(&mut self) -> Result<(), SchemaProblem> {
        if let Some(text) = &self.text {
            self.steps = steps(&text.template, &self.fields).map_err(|field| {
                let known: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
                SchemaProblem::Template { field, known: known.join(", ") }
            })?;
        }
        let index = |name| self.fields.iter().position(|field| field.name == name);
        let data = self.fields.iter().position(|field| field.show == Show::Packet);
        if let (Some(data), Some(link), Some(protocol), Some(orig_len)) =
            (data, index("link"), index("protocol"), index("orig_len"))
        {
            let tag = index("vlan_proto").zip(index("vlan_tci"));
            self.packet = Some(PacketFields { data, link, protocol, orig_len, tag });
        }
        Ok(())
    }

    /// The section's name, a C identifier.
    pub fn section(&self) -> &str {
        &self.section
    }

    /// Bytes of the fixed struct; for a tail section the offset of its final array.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The final array, where there is one.
    pub fn tail(&self) -> Option<Tail> {
        self.tail
    }

    /// The fields, in the order of the struct.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The text, where the section has one.
    pub fn text(&self) -> Option<&Text> {
        self.text.as_ref()
    }

    /// What the text's template says; nothing where there is no text.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether the section has packet data.
    pub fn has_packet(&self) -> bool {
        self.packet.is_some()
    }

    /// The packet data, where the section has some.
    pub(crate) fn packet(&self) -> Option<&PacketFields> {
        self.packet.as_ref()
    }

    /// The fields that together name the thing that the section is about, such as a rule: statistics count by them.
    /// Empty where there is no such thing.
    pub fn key(&self) -> impl ExactSizeIterator<Item = &str> {
        self.key.iter().map(String::as_str)
    }

    /// The same with these fields as its key.
    ///
    /// # Errors
    ///
    /// A name that is no field's, or the final array's, which is no name of anything.
    pub fn with_key(self, key: Vec<String>) -> Result<Schema, SchemaError> {
        let unknown = key.iter().find(|name| self.field(name).is_none_or(|field| field.kind == Kind::Tail));
        match unknown {
            Some(name) => {
                Err(SchemaError { section: self.section.clone(), problem: SchemaProblem::Key(name.clone()) })
            }
            None => Ok(Schema { key, ..self }),
        }
    }

    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The same with no more than `max` bytes in the final array; a bound that is out of its own bounds, or no array,
    /// leaves it as it is.
    #[must_use]
    pub fn with_tail_max(&self, max: u32) -> Schema {
        let tail = self.tail.map(|tail| Tail { max: max.clamp(1, tail.max) });
        Schema { tail, ..self.clone() }
    }

    /// The same with these names for the values of the field `field`; unchanged where that is no enum.
    #[must_use]
    pub fn with_names(&self, field: &str, names: Vec<(i64, String)>) -> Schema {
        let mut schema = self.clone();
        let found = schema.fields.iter_mut().find(|known| known.name == field);
        if let Some(Field { kind: Kind::Enum { names: of_field, .. }, .. }) = found {
            *of_field = names;
        }
        schema
    }

    fn problem(&self) -> Option<SchemaProblem> {
        if !is_identifier(&self.section) {
            return Some(SchemaProblem::Name(self.section.clone()));
        }
        if self.size > Schema::MAX_SIZE {
            return Some(SchemaProblem::Size { size: self.size, most: Schema::MAX_SIZE });
        }
        if let Some(Tail { max }) = self.tail
            && !(1..=Schema::MAX_TAIL).contains(&max)
        {
            return Some(SchemaProblem::TailMax { max, most: Schema::MAX_TAIL });
        }
        let tails = self.fields.iter().filter(|field| field.kind == Kind::Tail).count();
        if tails != usize::from(self.tail.is_some()) {
            return Some(SchemaProblem::Tails { arrays: usize::from(self.tail.is_some()), fields: tails });
        }
        let fields = self.fields.iter().enumerate().find_map(|(i, field)| self.field_problem(i, field));
        fields.or_else(|| self.packet_problem())
    }

    fn field_problem(&self, index: usize, field: &Field) -> Option<SchemaProblem> {
        let Field { name, offset, kind, show } = field;
        if !is_identifier(name) {
            return Some(SchemaProblem::Name(name.clone()));
        }
        if self.fields[..index].iter().any(|earlier| earlier.name == *name) {
            return Some(SchemaProblem::Twice(name.clone()));
        }
        if let Kind::Uint(width) | Kind::Int(width) | Kind::Enum { width, .. } = *kind
            && !matches!(width, 1 | 2 | 4 | 8)
        {
            return Some(SchemaProblem::Width { field: name.clone(), width });
        }
        if !show.fits(kind) {
            return Some(SchemaProblem::Show { field: name.clone(), show: *show, kind: kind.clone() });
        }
        match kind.size() {
            None if *offset != self.size => {
                Some(SchemaProblem::TailOffset { field: name.clone(), offset: *offset, size: self.size })
            }
            None => None,
            Some(0) => Some(SchemaProblem::NoBytes(name.clone())),
            Some(len) if offset.checked_add(len).is_none_or(|end| end > self.size) => {
                Some(SchemaProblem::Outside { field: name.clone(), offset: *offset, len, size: self.size })
            }
            Some(_) => None,
        }
    }

    /// Packet data alone says nothing: three siblings tell what it is and how long it was.
    fn packet_problem(&self) -> Option<SchemaProblem> {
        let mut packets = self.fields.iter().filter(|field| field.show == Show::Packet);
        let packet = packets.next()?;
        if let Some(second) = packets.next() {
            return Some(SchemaProblem::Packets { first: packet.name.clone(), second: second.name.clone() });
        }
        let lacks = |sibling, wanted: fn(&Field) -> bool, what| {
            (!self.field(sibling).is_some_and(wanted)).then(|| SchemaProblem::Sibling {
                field: packet.name.clone(),
                sibling,
                what,
            })
        };
        let number: fn(&Field) -> bool =
            |field| matches!(field.kind, Kind::Uint(_)) && field.show == Show::Plain;
        lacks("link", number, "an unsigned number, the pcap LINKTYPE")
            .or_else(|| lacks("protocol", |field| field.show == Show::Be16, "a be16 number, the EtherType"))
            .or_else(|| lacks("orig_len", number, "an unsigned number, the bytes before truncation"))
    }
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A schema that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("section '{}': {problem}", section.escape_debug())]
pub struct SchemaError {
    /// The section's name, as given.
    pub section: String,
    /// What is wrong.
    pub problem: SchemaProblem,
}

/// What is wrong with a schema. Sizes and offsets are bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SchemaProblem {
    #[error("the key names '{}', which is no field that can be counted by", .0.escape_debug())]
    Key(String),
    #[error("'{}' is not a C identifier", .0.escape_debug())]
    Name(String),
    #[error("the struct is {size} bytes, more than {most}")]
    Size { size: u32, most: u32 },
    #[error("the final array may hold {max} bytes; 1 to {most} are possible")]
    TailMax { max: u32, most: u32 },
    #[error("{arrays} final array(s), but {fields} field(s) for it")]
    Tails { arrays: usize, fields: usize },
    #[error("field {field}: the final array is at offset {offset}, the struct ends at {size}")]
    TailOffset { field: String, offset: u32, size: u32 },
    #[error("there are two fields {0}")]
    Twice(String),
    #[error("field {field}: a number of {width} bytes; 1, 2, 4 and 8 are possible")]
    Width { field: String, width: u8 },
    #[error("field {0} has no bytes")]
    NoBytes(String),
    #[error("field {field}: {len} bytes at offset {offset} are not inside the {size} bytes of the struct")]
    Outside { field: String, offset: u32, len: u32, size: u32 },
    #[error("field {field}: '{show}' does not fit: {kind}")]
    Show { field: String, show: Show, kind: Kind },
    #[error("two fields are shown as packets: {first} and {second}")]
    Packets { first: String, second: String },
    #[error("field {field} is packet data, so there must be a field '{sibling}': {what}")]
    Sibling { field: String, sibling: &'static str, what: &'static str },
    #[error("the template names a field '{field}'; there are: {known}")]
    Template { field: String, known: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, offset: u32, kind: Kind, show: Show) -> Field {
        Field { name: name.into(), offset, kind, show }
    }

    fn problem(size: u32, tail: Option<u32>, fields: Vec<Field>) -> String {
        let tail = tail.map(|max| Tail { max });
        Schema::new("sec", size, tail, fields, None).unwrap_err().to_string()
    }

    fn packet_fields(protocol: Show) -> Vec<Field> {
        vec![
            field("orig_len", 0, Kind::Uint(4), Show::Plain),
            field("protocol", 4, Kind::Uint(2), protocol),
            field("link", 6, Kind::Uint(2), Show::Plain),
            field("data", 8, Kind::Tail, Show::Packet),
        ]
    }

    #[test]
    fn sound_schemas_pass() {
        let schema = Schema::new("skb", 8, Some(Tail { max: 128 }), packet_fields(Show::Be16), None).unwrap();
        assert_eq!(schema.field("link").unwrap().offset, 6);
        assert_eq!(schema.field("nix"), None);
        assert!(Schema::new("marker", 0, None, vec![], None).is_ok());
    }

    #[test]
    fn fields_stay_inside() {
        let outside = "section 'sec': field a: 4 bytes at offset 2 are not inside the 4 bytes of the struct";
        assert_eq!(problem(4, None, vec![field("a", 2, Kind::Uint(4), Show::Plain)]), outside);
        let wraps = problem(4, None, vec![field("a", u32::MAX, Kind::Bytes(u32::MAX), Show::Plain)]);
        assert!(wraps.contains("not inside"), "{wraps}");
        assert!(problem(4, None, vec![field("a", 0, Kind::Str(0), Show::Plain)]).contains("has no bytes"));
        assert!(problem(1 << 17, None, vec![]).contains("131072 bytes"));
    }

    #[test]
    fn names_widths_and_shows_are_checked() {
        let twice =
            vec![field("a", 0, Kind::Uint(4), Show::Plain), field("a", 4, Kind::Uint(4), Show::Plain)];
        assert!(problem(8, None, twice).contains("two fields a"));
        assert!(problem(8, None, vec![field("a b", 0, Kind::Uint(4), Show::Plain)]).contains("'a b' is not"));
        assert!(
            problem(8, None, vec![field("a", 0, Kind::Uint(3), Show::Plain)]).contains("number of 3 bytes")
        );
        let mac = problem(8, None, vec![field("a", 0, Kind::Bytes(8), Show::Mac)]);
        assert_eq!(mac, "section 'sec': field a: 'mac' does not fit: 8 bytes");
        assert!(Schema::new("skb-drop", 0, None, vec![], None).is_err());
    }

    #[test]
    fn tails_have_one_field_at_the_end() {
        assert!(problem(8, Some(0), vec![]).contains("0 bytes"));
        assert!(problem(8, Some(4), vec![]).contains("1 final array(s), but 0"));
        assert!(
            problem(8, None, vec![field("a", 8, Kind::Tail, Show::Plain)])
                .contains("0 final array(s), but 1")
        );
        let early = problem(8, Some(4), vec![field("a", 4, Kind::Tail, Show::Plain)]);
        assert!(early.contains("at offset 4, the struct ends at 8"), "{early}");
    }

    #[test]
    fn packets_need_their_siblings() {
        let plain = problem(8, Some(4), packet_fields(Show::Plain));
        assert!(plain.contains("field 'protocol': a be16 number"), "{plain}");
        for missing in ["link", "protocol", "orig_len"] {
            let mut fields = packet_fields(Show::Be16);
            fields.retain(|field| field.name != missing);
            assert!(problem(8, Some(4), fields).contains(&format!("'{missing}'")));
        }
    }

    #[test]
    fn a_key_is_made_of_fields() {
        let schema = || Schema::new("s", 8, Some(Tail { max: 4 }), packet_fields(Show::Be16), None).unwrap();
        let keyed = schema().with_key(vec!["link".into(), "protocol".into()]).unwrap();
        assert_eq!(keyed.key().collect::<Vec<_>>(), ["link", "protocol"]);
        for wrong in ["nix", "data"] {
            let error = schema().with_key(vec![wrong.into()]).unwrap_err();
            assert!(error.to_string().contains(&format!("the key names '{wrong}'")), "{error}");
        }
    }

    #[test]
    fn names_of_an_enum_can_be_put_in_later() {
        let kind = |names: &[(i64, &str)]| Kind::Enum {
            width: 4,
            signed: false,
            names: names.iter().map(|(value, name)| (*value, (*name).to_owned())).collect(),
        };
        let fields = vec![field("why", 0, kind(&[]), Show::Plain), field("n", 4, Kind::Uint(4), Show::Plain)];
        let text = Text { template: "{why}".parse().unwrap(), place: Place::Head };
        let schema = Schema::new("s", 8, None, fields, Some(text)).unwrap();
        let named = schema.with_names("why", vec![(3, "NO_SOCKET".into())]);
        assert_eq!(named.field("why").unwrap().kind, kind(&[(3, "NO_SOCKET")]));
        assert_eq!(named.steps(), schema.steps());
        for other in ["n", "nix"] {
            assert_eq!(schema.with_names(other, vec![(3, "x".into())]), schema);
        }
    }

    #[test]
    fn templates_name_fields() {
        let text = Text { template: "x {a}[b? {c}]".parse().unwrap(), place: Place::Line };
        let fields =
            vec![field("a", 0, Kind::Uint(4), Show::Plain), field("b", 4, Kind::Uint(4), Show::Plain)];
        let error = Schema::new("sec", 8, None, fields, Some(text)).unwrap_err();
        assert_eq!(error.to_string(), "section 'sec': the template names a field 'c'; there are: a, b");
    }
}
