//! Many functions of one shape share a program: by kprobe.multi they are attached and detached at once, where hundreds of
//! programs would take many seconds.

use super::{Loader, Refusal};
use crate::{error::Error, plan::PlannedProbe, request::Way};

/// Fewer functions than this are worth a program each: fentry misses no hit, kprobe.multi does.
const MANY: usize = 33;

/// Probes that may share a program, in the order of the plan; all others stand alone.
pub(super) fn groups<'p, 'a>(probes: &'p [PlannedProbe<'a>]) -> Vec<Vec<&'p PlannedProbe<'a>>> {
    let forced = |probe: &PlannedProbe<'_>| probe.ways == [Way::KprobeMulti];
    let many = probes.iter().filter(|probe| may_share(probe)).count() >= MANY;
    let mut groups: Vec<Vec<&PlannedProbe<'_>>> = Vec::new();
    for probe in probes {
        let shares = may_share(probe) && (many || forced(probe));
        let known =
            groups.iter_mut().find(|group| shares && group.iter().all(|other| same_shape(other, probe)));
        match known {
            Some(group) => group.push(probe),
            None => groups.push(vec![probe]),
        }
    }
    groups
}

/// Whether any way of attaching will do at the function's entry, or kprobe.multi is the one that is wanted.
fn may_share(probe: &PlannedProbe<'_>) -> bool {
    use tracer_dsl::probe::ProbeKind;
    probe.probe.kind == ProbeKind::Kprobe && (probe.ways.len() > 1 || probe.ways == [Way::KprobeMulti])
}

/// Whether the same program does for both.
fn same_shape(a: &PlannedProbe<'_>, b: &PlannedProbe<'_>) -> bool {
    let readers = |probe: &PlannedProbe<'_>| -> Vec<(usize, String)> {
        probe.readers.iter().map(|(i, reader)| (*i, reader.function.clone())).collect()
    };
    may_share(b)
        && a.ways == b.ways
        && a.probe.stack == b.probe.stack
        && a.arguments == b.arguments
        && a.guards.len() == b.guards.len()
        && readers(a) == readers(b)
        && a.filter == b.filter
}

/// What became of attaching many at once.
enum Together {
    Attached,
    /// Some of the functions are not to be had: the kernel does not say which.
    NotThere,
    /// Not in this way, on this kernel.
    NotSo,
}

impl<'a> Loader<'a> {
    /// Attaches a group at once; `false` where this kernel does not, and each of them is to be tried alone.
    pub(super) fn group(&mut self, group: &[&PlannedProbe<'a>]) -> Result<bool, Error> {
        // A function that the kernel does not take spoils the whole call, which does not say which one it was.
        let (mut known, mut alone) = (Vec::new(), Vec::new());
        let names = group.iter().map(|probe| probe.name()).collect();
        self.functions.extend(self.symbols.addresses_of(&names));
        for probe in group {
            if self.functions.get(probe.name()).is_some_and(|address| *address != 0) {
                known.push(*probe);
            } else {
                alone.push(*probe);
            }
        }
        let mut work = vec![known];
        while let Some(part) = work.pop() {
            match part.len() {
                0 => {}
                1 => alone.extend(part),
                n => match self.together(&part)? {
                    Together::Attached => {}
                    Together::NotThere => {
                        let (a, b) = part.split_at(n / 2);
                        work.extend([b.to_vec(), a.to_vec()]);
                    }
                    Together::NotSo if self.done.live.is_empty() && alone.is_empty() => return Ok(false),
                    Together::NotSo => alone.extend(part),
                },
            }
        }
        for probe in alone {
            self.one_of_many(probe)?;
        }
        Ok(true)
    }

    fn together(&mut self, probes: &[&PlannedProbe<'a>]) -> Result<Together, Error> {
        let way = Way::KprobeMulti;
        for build in way.builds() {
            match self.by(probes, way, *build) {
                Ok(info) => {
                    let attachment = self.done.attachments.len() - 1;
                    for (index, probe) in probes.iter().enumerate() {
                        let info = info.clone().map(|info| {
                            let name = probe.name().to_owned();
                            tracer_event::ProbeInfo {
                                trim: tracer_event::Trim::Entry(name.clone()),
                                name,
                                ..info
                            }
                        });
                        let live = info.map(|info| probe.live(info, way, vec![], (attachment, index)));
                        self.done.live.extend(live);
                    }
                    return Ok(Together::Attached);
                }
                Err(Refusal::Fatal(error)) => return Err(error),
                Err(Refusal::Place(_)) => return Ok(Together::NotThere),
                Err(Refusal::Way(_)) => {}
            }
        }
        Ok(Together::NotSo)
    }

    /// Addresses and cookies; a probe's cookie is its place among them, counted from 1.
    pub(super) fn addresses_of(&self, probes: &[&PlannedProbe<'_>]) -> Result<Vec<(u64, u64)>, Refusal> {
        let found = probes.iter().zip(1u64..).map(|(probe, cookie)| {
            let known = self.functions.get(probe.name()).copied();
            let address =
                known.or_else(|| self.symbols.address(probe.name())).filter(|address| *address != 0);
            let hidden = || Refusal::Way(format!("the address of {} is not known", probe.name()));
            Ok((address.ok_or_else(hidden)?, cookie))
        });
        found.collect()
    }
}
