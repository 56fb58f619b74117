//! From a filter to a condition of one probe: what each name in it is there.
//!
//! A section's field comes from its accessor where there is one, whether or not its collector was asked for: that is early, and
//! takes no room in the event. Else it is what the reader writes, so its collector must be among those that report. What a native
//! half adds comes behind the kernel: of stored events it can be asked, here it cannot.

use std::ops::Range;

use tracer_bpf::{Btf, btf::Kind};
use tracer_dsl::filter::tree::Comparison;
use tracer_dsl::filter::{Filter, HeaderField, Part};
use tracer_dsl::{Diagnostic, Diagnostics};
use tracer_event::Schema;

use super::condition::{Condition, Source, Stage};
use super::{KernelTest, ValueTest};
use crate::arguments::Arguments;
use crate::catalog::Catalog;
use crate::fragment::{Fragment, Reader};
use crate::kernel_enum::KernelEnums;

/// What a probe has.
pub struct Scope<'s, 'a> {
    /// All collectors that there are.
    pub catalog: &'a Catalog,
    /// Those that the run uses, by their places in the shape. Who is found to be of use is added.
    pub collectors: &'s mut Vec<&'a Fragment>,
    /// The readers that run at the probe, each with its collector's place.
    pub readers: &'s [(usize, &'a Reader)],
    /// Names of the collectors that read nothing at this probe, though its arguments would do.
    pub excepted: &'s [&'s str],
    /// The probe's arguments.
    pub arguments: &'s Arguments,
    /// The types of the place, if it has any, and behind them others that paths may lead to.
    pub types: &'s [&'s Btf],
    /// The section of what the function returns.
    pub returns: Option<&'s Schema>,
    /// The kernel's names for values.
    pub names: &'s KernelEnums,
}

/// A filter, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved<'a> {
    /// What it asks.
    pub condition: Condition<'a>,
    /// What it asks about and the probe does not have, as it is written: the comparison is false there.
    pub absent: Vec<String>,
}

/// Resolves a filter at a probe.
///
/// # Errors
/// All that cannot be asked there, with its place in the filter's text: unknown sections and fields, values that do not fit,
/// sections that are not read, and what a return asks beside what it returns.
pub fn resolve<'a>(filter: &Filter, scope: &mut Scope<'_, 'a>) -> Result<Resolved<'a>, Diagnostics> {
    let part = filter.parts()?;
    let mut resolver = Resolver { filter, scope, absent: Vec::new(), found: Diagnostics::new() };
    let condition = resolver.part(&part);
    let Resolver { absent, mut found, .. } = resolver;
    let Some(condition) = condition else { return Err(found) };
    let condition = condition.folded();
    let all: Vec<&Condition<'_>> = match &condition {
        Condition::All(parts) => parts.iter().collect(),
        one => vec![one],
    };
    let at_return = |one: &&&Condition<'_>| one.stage() == Stage::Return;
    if all.iter().filter(at_return).flat_map(|one| one.leaves()).any(|leaf| !is_known_at_return(leaf)) {
        found.push(
            Diagnostic::error("what a function returns cannot be asked together with what it was given")
                .at(filter.at(filter.root.span.clone()))
                .because("when it returns, its arguments are gone")
                .hint("join such parts by `and`: each is asked in its time"),
        );
    }
    found.or_value(Resolved { condition, absent })
}

fn is_known_at_return(leaf: &Condition<'_>) -> bool {
    matches!(leaf, Condition::Constant(_) | Condition::Value(Source::Returned(_) | Source::Header(_), _))
}

struct Resolver<'f, 's, 't, 'a> {
    filter: &'f Filter,
    scope: &'s mut Scope<'t, 'a>,
    absent: Vec<String>,
    found: Diagnostics,
}

impl<'a> Resolver<'_, '_, '_, 'a> {
    /// `None` after having said why.
    fn part(&mut self, part: &Part) -> Option<Condition<'a>> {
        Some(match part {
            Part::Not(inside) => Condition::Not(Box::new(self.part(inside)?)),
            Part::All(parts) => Condition::All(self.parts(parts)?),
            Part::Any(parts) => Condition::Any(self.parts(parts)?),
            Part::Packet(test) => match self.scope.packet_reader() {
                Some(_) => Condition::Packet(test.clone()),
                None => {
                    self.absent.push("packets".to_owned());
                    Condition::Constant(false)
                }
            },
            Part::Field(comparison) => self.comparison(comparison)?,
            Part::Has { section, span } => {
                if let Some(found) = self.behind_kernel(section, &format!("has {section}"), span.clone()) {
                    self.found.push(*found);
                    return None;
                }
                let here = self.scope.readers.iter().position(|(_, r)| r.schema.section() == section);
                match here {
                    Some(reader) => Condition::Has(reader),
                    None if self.scope.knows_section(section) => {
                        self.absent.push(section.clone());
                        Condition::Constant(false)
                    }
                    None => {
                        let unknown = {
                            let known = self.scope.sections();
                            Diagnostic::unknown("section", section, known.iter().map(String::as_str))
                        };
                        self.found.push(unknown.at(self.filter.at(span.clone())));
                        return None;
                    }
                }
            }
        })
    }

    fn parts(&mut self, parts: &[Part]) -> Option<Vec<Condition<'a>>> {
        // All that is wrong is said, not the first of it.
        let parts: Vec<_> = parts.iter().map(|part| self.part(part)).collect();
        parts.into_iter().collect()
    }

    fn comparison(&mut self, comparison: &Comparison) -> Option<Condition<'a>> {
        match self.named(comparison) {
            Ok(Some(condition)) => Some(condition),
            Ok(None) => {
                self.absent.push(self.filter.at(comparison.path.span.clone()).fragment().to_owned());
                Some(Condition::Constant(false))
            }
            Err(found) => {
                self.found.push(*found);
                None
            }
        }
    }

    /// `None` where the probe has no such thing.
    fn named(&mut self, comparison: &Comparison) -> Found<'a> {
        let path = &comparison.path;
        let place = self.filter.at(path.span.clone());
        let first = path.steps.first().map_or("", |step| step.name.as_str());
        if let Some(found) = self.behind_kernel(first, place.fragment(), path.span.clone()) {
            return Err(found);
        }
        let Some((section, name)) = path.field() else { return self.in_memory(comparison) };
        if let Some(header) = HeaderField::named(section, name) {
            let test = ValueTest::of_header(header, self.filter, comparison)?;
            return Ok(Some(Condition::Value(Source::Header(header), test)));
        }
        if let Some(schema) = self.scope.returns.filter(|schema| schema.section() == section) {
            let field = schema.field(name).ok_or_else(|| unknown_field(schema, name).at(place))?;
            let test = ValueTest::of_field(field, self.filter, comparison)?;
            return Ok(Some(Condition::Value(Source::Returned(field.clone()), test)));
        }
        if section == RETURN {
            return Ok(None);
        }
        if self.scope.knows_section(section) {
            return self.of_section(section, name, comparison);
        }
        let header = HeaderField::names_of(section);
        if !header.is_empty() {
            let name = format!("{section}.{name}");
            return Err(Diagnostic::unknown("field", &name, header).at(place).into());
        }
        self.in_memory(comparison)
    }

    /// Why what is `asked` of a section cannot be, if a native half adds that section.
    fn behind_kernel(&self, section: &str, asked: &str, span: Range<usize>) -> Option<Box<Diagnostic>> {
        let mut all = self.scope.catalog.iter();
        let fragment = all.find(|fragment| fragment.native_section() == Some(section))?;
        let found = Diagnostic::error(format!("`{asked}` cannot be asked while events are collected"));
        let found = found.at(self.filter.at(span)).because(format!(
            "section `{section}` is added by the native half of collector {}, when the kernel has asked the filter already",
            fragment.manifest.name
        ));
        let hint = "a stored trace can be asked: `tracer collect -o FILE`, then `tracer print FILE -f '...'`";
        Some(Box::new(found.hint(hint)))
    }

    fn of_section(&mut self, section: &str, name: &str, comparison: &Comparison) -> Found<'a> {
        let place = self.filter.at(comparison.path.span.clone());
        let of_section = |(_, reader): &(&Fragment, &Reader)| reader.schema.section() == section;
        let Some((fragment, reader)) = self.scope.readers_of_all().find(of_section) else { return Ok(None) };
        let schema = reader.schema_with(|_| None, self.scope.names);
        let field = schema.field(name).ok_or_else(|| unknown_field(&schema, name).at(place.clone()))?;
        let test = ValueTest::of_field(field, self.filter, comparison)?;
        if self.scope.excepted.contains(&fragment.manifest.name.as_str()) {
            return Ok(None);
        }
        let here = self.scope.readers.iter().position(|(_, reader)| reader.schema.section() == section);
        // Without its hooks, a collector that has some knows nothing.
        let alone = fragment.manifest.hooks.is_empty() || here.is_some();
        let source = if let Some(accessor) = fragment.accessor(section, name).filter(|_| alone) {
            if !accessor.wants.met_by(self.scope.arguments) {
                return Ok(None);
            }
            let fragment = self.scope.collector(fragment);
            Source::Accessor { fragment, accessor, field: field.clone() }
        } else {
            match here {
                Some(reader) => Source::Section { reader, section: section.to_owned(), field: field.clone() },
                None if reader.wants.met_by(self.scope.arguments) => {
                    let collector = &fragment.manifest.name;
                    let found = Diagnostic::error(format!("`{section}.{name}` is not read")).at(place);
                    let found = found.because(format!(
                        "collector {collector} has to be there for it, and was not asked for"
                    ));
                    return Err(found.hint(format!("add it: `-c {collector}`")).into());
                }
                None => return Ok(None),
            }
        };
        Ok(Some(Condition::Value(source, test)))
    }

    fn in_memory(&mut self, comparison: &Comparison) -> Found<'a> {
        let types = self.scope.types;
        if types.is_empty() {
            return Ok(None);
        }
        if let Some(test) = KernelTest::new(types, self.scope.arguments, self.filter, comparison)? {
            let path = self.filter.at(comparison.path.span.clone()).fragment().to_owned();
            return Ok(Some(Condition::Kernel { test, path }));
        }
        let first = comparison.path.steps.first().map_or("", |step| step.name.as_str());
        if types.iter().any(|types| types.find(Kind::Struct, first).is_some()) {
            return Ok(None);
        }
        let known = self.scope.sections().into_iter().chain(HeaderField::SECTIONS.map(str::to_owned));
        let known: Vec<String> = known.collect();
        let known = known.iter().map(String::as_str);
        let place = self.filter.at(comparison.path.span.clone());
        let found = Diagnostic::unknown("section or argument", first, known).at(place);
        Err(found
            .hint("an argument is named by its structure, such as `sk_buff`: `tracer inspect` lists them")
            .into())
    }
}

/// A condition, or that the probe has nothing to ask.
type Found<'a> = Result<Option<Condition<'a>>, Box<Diagnostic>>;

/// The section of a returned value.
const RETURN: &str = "ret";

fn unknown_field(schema: &Schema, field: &str) -> Diagnostic {
    let known = schema.fields().iter().map(|field| field.name.as_str());
    Diagnostic::unknown(&format!("field of section `{}`", schema.section()), field, known)
}

impl<'a> Scope<'_, 'a> {
    /// The collector's place in the shape, which it gets if it has none.
    fn collector(&mut self, fragment: &'a Fragment) -> usize {
        let known = self.collectors.iter().position(|c| c.manifest.name == fragment.manifest.name);
        known.unwrap_or_else(|| {
            self.collectors.push(fragment);
            self.collectors.len() - 1
        })
    }

    /// What reads packets at the probe: the first reader of packet data that can, of a collector that reports if there is one.
    pub fn packet_reader(&mut self) -> Option<(usize, &'a Reader)> {
        let packets = |reader: &&'a Reader| reader.schema.has_packet();
        if let Some((fragment, reader)) = self.readers.iter().find(|(_, reader)| packets(reader)) {
            return Some((*fragment, reader));
        }
        let fits = |(fragment, reader): &(&Fragment, &'a Reader)| {
            let excepted = self.excepted.contains(&fragment.manifest.name.as_str());
            !excepted && packets(reader) && reader.wants.met_by(self.arguments)
        };
        let (fragment, reader) = self.readers_of_all().find(fits)?;
        Some((self.collector(fragment), reader))
    }

    fn readers_of_all(&self) -> impl Iterator<Item = (&'a Fragment, &'a Reader)> + use<'a> {
        self.catalog.iter().flat_map(|fragment| fragment.readers.iter().map(move |reader| (fragment, reader)))
    }

    fn knows_section(&self, section: &str) -> bool {
        self.sections().iter().any(|known| known == section)
    }

    fn sections(&self) -> Vec<String> {
        let readers = self.catalog.iter().flat_map(|fragment| &fragment.readers);
        let known = readers.map(|reader| reader.schema.section().to_owned());
        known.chain(self.returns.map(|schema| schema.section().to_owned())).collect()
    }
}
