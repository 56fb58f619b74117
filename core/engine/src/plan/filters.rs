//! What must hold at a probe: the conditions of collectors' options where their sections are read, the probe's own filter, and
//! those of the command line.

use tracer_bpf::Btf;
use tracer_compose::filter::{Condition, Scope, Source, Stage, TooLarge, ValueTest, check_size, resolve};
use tracer_compose::{Accessor, Catalog, Follow, Fragment, Reader};
use tracer_dsl::filter::{Expr, Filter, HeaderField, Value};
use tracer_dsl::option::Located;
use tracer_dsl::probe::{Probe, ProbeKind};
use tracer_dsl::{Diagnostic, Diagnostics};
use tracer_event::Kind;

use super::{Plan, PlannedProbe};
use crate::{error::Error, names, request::Request};

/// What is asked of a probe's hits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked<'a> {
    /// What those want who asked for the probe; an event is what any of them wants.
    pub(crate) wanted: Vec<Wish<'a>>,
    /// What must hold beside that.
    pub(crate) always: Vec<Wish<'a>>,
}

/// A condition, and how it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wish<'a> {
    pub(crate) condition: Condition<'a>,
    /// Empty where nothing is asked.
    pub(crate) text: String,
    /// What it asks about and the probe does not have.
    pub(crate) absent: Vec<String>,
}

impl<'a> Asked<'a> {
    /// As one. What must always hold need not hold for a packet that is `followed`.
    fn condition(&self, followed: Option<&Condition<'a>>) -> Condition<'a> {
        let all = |wishes: &[Wish<'a>]| wishes.iter().map(|wish| wish.condition.clone()).collect();
        let mut always = Condition::All(all(&self.always)).conjuncts();
        if let Some(followed) = followed {
            // Each part, so that those that can be decided early still are. When a function returns, its packet is gone.
            for part in always.iter_mut().filter(|part| part.stage() != Stage::Return) {
                let holds = std::mem::replace(part, Condition::Constant(false));
                *part = Condition::Any(vec![holds, followed.clone()]);
            }
        }
        always.push(Condition::Any(all(&self.wanted)));
        Condition::All(always)
    }

    /// For whoever wants to know when there is an event: alternatives, and what must hold beside them.
    pub(crate) fn words(&self) -> Vec<String> {
        let texts = |wishes: &[Wish<'_>]| -> Vec<String> {
            let texts = wishes.iter().map(|wish| wish.text.clone());
            texts.filter(|text| !text.is_empty()).collect()
        };
        let mut wanted = texts(&self.wanted);
        if wanted.len() < self.wanted.len() {
            // One of them wants every event.
            wanted.clear();
        }
        wanted.dedup();
        let wanted = match &wanted[..] {
            [] | [_] => wanted.concat(),
            several => several.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" or "),
        };
        let all = Some(wanted).filter(|wanted| !wanted.is_empty()).into_iter();
        all.chain(texts(&self.always)).collect()
    }

    fn absent(&self) -> Vec<&str> {
        let mut absent: Vec<&str> = self
            .wanted
            .iter()
            .chain(&self.always)
            .flat_map(|wish| &wish.absent)
            .map(String::as_str)
            .collect();
        absent.sort_unstable();
        absent.dedup();
        absent
    }
}

/// Where a wish is resolved.
pub(super) struct Here<'s, 'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) readers: &'s [(usize, &'a Reader)],
    pub(super) arguments: &'s tracer_compose::Arguments,
    /// The types of the place, and those that filters' casts lead to; none for a place without any.
    pub(super) types: Vec<&'s Btf>,
    pub(super) returns: Option<&'s tracer_event::Schema>,
}

impl<'a> Plan<'a> {
    /// What one who asked for a probe wants there, as far as it is not asked of all probes.
    pub(super) fn wish(
        &mut self,
        options: &[Expr],
        own: &[Located<Filter>],
        here: &Here<'_, 'a>,
    ) -> Result<Wish<'a>, Error> {
        let mut wish = Wish { condition: Condition::Constant(true), text: String::new(), absent: Vec::new() };
        let (mut conditions, mut texts) = (Vec::new(), Vec::new());
        for option in options {
            if let Some(condition) = self.of_option(option, here)? {
                texts.push(option.to_string());
                conditions.push(condition);
            }
        }
        let mut found = Diagnostics::new();
        for filter in own {
            match self.of_filter(filter, here) {
                Ok(one) => {
                    conditions.push(one.condition);
                    texts.push(one.text);
                    wish.absent.extend(one.absent);
                }
                Err(more) => found.extend(more),
            }
        }
        found.or_value(())?;
        wish.condition = Condition::All(conditions).folded();
        wish.text = match &texts[..] {
            [] | [_] => texts.concat(),
            several => several.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" and "),
        };
        Ok(wish)
    }

    /// A filter at a probe.
    pub(super) fn of_filter(
        &mut self,
        filter: &Located<Filter>,
        here: &Here<'_, 'a>,
    ) -> Result<Wish<'a>, Diagnostics> {
        let mut scope = self.scope(here);
        let resolved = resolve(&filter.value, &mut scope).map_err(|found| found.rebase(&filter.source))?;
        let text = filter.value.text().to_owned();
        Ok(Wish { condition: resolved.condition, text, absent: resolved.absent })
    }

    fn scope<'s>(&'s mut self, here: &'s Here<'s, 'a>) -> Scope<'s, 'a> {
        Scope {
            catalog: here.catalog,
            collectors: &mut self.collectors,
            readers: here.readers,
            arguments: here.arguments,
            types: &here.types,
            returns: here.returns,
            names: &self.kernel_enums,
        }
    }

    /// The condition that an option of a collector expresses, where that collector reads.
    fn of_option(&self, option: &Expr, here: &Here<'_, 'a>) -> Result<Option<Condition<'a>>, Error> {
        let Expr::In { field, values, span } = option;
        let reported = here.readers.iter().find(|(_, r)| r.schema.section() == field.section);
        let Some((collector, reader)) = reported else { return Ok(None) };
        let failed = |found: Diagnostic| {
            Error::from(Diagnostics::from(match span {
                Some(source) => found.at(source.clone()),
                None => found,
            }))
        };
        let fragment = self.collectors[*collector];
        let accessor: Option<&'a Accessor> = fragment.accessor(&field.section, &field.field);
        let schema = reader.schema_with(|_| None, &self.kernel_enums);
        let known = schema.field(&field.field);
        let (Some(accessor), Some(known)) = (accessor, known) else {
            return Err(failed(Diagnostic::error(format!("`{field}` cannot be selected by"))));
        };
        let number = |value: &Value| match (value, &known.kind) {
            (Value::Number(n), _) => Ok(*n),
            (Value::Name(name), Kind::Enum { names, .. }) => {
                let number = names.iter().find(|(_, n)| n == name).map(|(n, _)| *n);
                number.ok_or_else(|| failed(names::never(&field.to_string(), name, names)))
            }
            (Value::Name(name), _) => {
                Err(failed(Diagnostic::error(format!("`{field}` is a number, not `{name}`"))))
            }
        };
        let values = values.iter().map(number).collect::<Result<Vec<i64>, _>>()?;
        let Some(test) = ValueTest::one_of(known, &values) else {
            return Err(failed(Diagnostic::error(format!("`{field}` is no number"))));
        };
        let source = Source::Accessor { fragment: *collector, accessor, field: known.clone() };
        Ok(Some(Condition::Value(source, test)))
    }

    /// The collector that follows packets, if they are to be followed.
    fn follower(&mut self, request: &Request) -> Result<Option<(usize, &'a Follow)>, Diagnostics> {
        let all = self.collectors[..self.reporting].iter().enumerate();
        let found = all.filter_map(|(index, fragment)| {
            let fragment: &'a Fragment = fragment;
            Some((index, fragment.follow.as_ref()?))
        });
        let found = found.into_iter().next();
        match (request.follow, found) {
            (Some(true), None) => {
                let error =
                    Diagnostic::error("packets cannot be followed: none of the collectors knows them again");
                return Err(error.hint("add one that does: `-c skb-tracking`").into());
            }
            (Some(true), Some(_)) if request.filters.is_empty() => {
                let error = Diagnostic::error(
                    "packets cannot be followed: there is no filter that some of them pass",
                );
                return Err(error.hint("say which packets: `-f 'tcp port 443'`").into());
            }
            (Some(false), _) | (_, None) => return Ok(None),
            _ if request.filters.is_empty() => return Ok(None),
            _ => {}
        }
        if request.follow.is_none() {
            self.notes.push(
                "packets that pass the filter once are followed: they are kept wherever they are seen afterwards \
                 (--follow=no keeps them only where it holds)"
                    .to_owned(),
            );
        }
        Ok(found)
    }

    /// Settles what must hold at each probe. A probe at which it never does is left out.
    pub(super) fn settle(&mut self, request: &Request, catalog: &'a Catalog) -> Result<(), Diagnostics> {
        let follower = self.follower(request)?;
        let probes = std::mem::take(&mut self.probes);
        let (mut kept, mut never) = (Vec::new(), Vec::new());
        for mut probe in probes {
            let name = probe.name().to_owned();
            let kind = kind_name(&probe.probe);
            let known = |field: HeaderField| match field {
                HeaderField::Probe => Some(name.clone()),
                HeaderField::Type => Some(kind.to_owned()),
                _ => None,
            };
            probe.follow =
                follower.filter(|(collector, _)| probe.readers.iter().any(|(reads, _)| reads == collector));
            let followed = probe.follow.map(|(fragment, follow)| Condition::Followed { fragment, follow });
            probe.filter = probe.asked.condition(followed.as_ref()).with_header(&known).conjuncts();
            if probe.filter == [Condition::Constant(false)] {
                never.push(probe);
                continue;
            }
            let asks_packet = |one: &Condition<'_>| {
                one.leaves().into_iter().any(|leaf| matches!(leaf, Condition::Packet(_)))
            };
            if probe.filter.iter().any(asks_packet) {
                let here = Here {
                    catalog,
                    readers: &probe.readers,
                    arguments: &probe.arguments,
                    types: Vec::new(),
                    returns: probe.returns.as_deref(),
                };
                probe.packet = self.scope(&here).packet_reader();
            }
            check_size(&probe.filter, probe.packet.map(|(_, reader)| reader))
                .map_err(|large| too_large(request, &probe, &large))?;
            kept.push(probe);
        }
        self.probes = kept;
        let Some(first) = never.first() else { return Ok(()) };
        if self.probes.is_empty() {
            return Err(nothing_passes(request, &never).into());
        }
        let absent = first.asked.absent();
        let because = if absent.is_empty() {
            String::new()
        } else {
            format!(": nothing there has {}", absent.join(", "))
        };
        self.notes.push(match &never[..] {
            [only] => format!("{} is left out, as its filter never holds{because}", only.probe),
            several => format!("{} probes are left out, as their filter never holds{because}", several.len()),
        });
        Ok(())
    }
}

fn too_large(request: &Request, probe: &PlannedProbe<'_>, large: &TooLarge) -> Diagnostics {
    let mut found = Diagnostic::error(format!("the filter is too large for {}", probe.probe));
    let own = request.probes.iter().flat_map(|probe| &probe.filter);
    if let Some(longest) = request.filters.iter().chain(own).max_by_key(|filter| filter.value.text().len()) {
        found = found.at(longest.source.clone());
    }
    found.because(large.to_string()).hint("a stored trace can be asked more: `tracer print -f`").into()
}

fn nothing_passes(request: &Request, never: &[PlannedProbe<'_>]) -> Diagnostic {
    let mut absent: Vec<&str> = never.iter().flat_map(|probe| probe.asked.absent()).collect();
    absent.sort_unstable();
    absent.dedup();
    let mut found = Diagnostic::error("nothing to trace: the filter holds at none of the probes");
    if let Some(filter) = request.filters.first() {
        found = found.at(filter.source.clone());
    }
    if !absent.is_empty() {
        found = found.because(format!("none of them has {}", absent.join(", ")));
    }
    found.hint("`tracer profile explain` and `tracer inspect` tell what there is at a probe")
}

/// As `probe.type` has it.
fn kind_name(probe: &Probe) -> &'static str {
    match probe.kind {
        ProbeKind::Kprobe => "kprobe",
        ProbeKind::Kretprobe => "kretprobe",
        ProbeKind::RawTracepoint => "raw_tracepoint",
        ProbeKind::Fentry => "fentry",
        ProbeKind::Fexit => "fexit",
    }
}
