//! Hooks in the kernel. They stand before the first probe does, so that no reader looks into a map that nobody keeps, and
//! in a function that is probed too, the probe's program runs first: it was attached last.

use std::collections::BTreeMap;

use tracer_compose::{Build, HookKind, HookShape, compose_hook};
use tracer_kernel::{Link, Program, prog::TracingPoint};

use super::{Loader, Refusal, program::Point};
use crate::{error::Error, plan::PlannedHook, request::Way};

/// A hook in the kernel.
pub(crate) struct LiveHook {
    pub(crate) collector: String,
    pub(crate) at: String,
    pub(crate) program: Program,
    pub(crate) link: Option<Link>,
}

impl<'a> Loader<'a> {
    /// Loads and attaches the hooks of all collectors.
    pub(super) fn hooks(&mut self) -> Result<(), Error> {
        for hook in &self.plan.hooks {
            match self.hook(hook) {
                Ok((program, link)) => self.done.hooks.push(LiveHook {
                    collector: self.collector_of(hook).to_owned(),
                    at: hook.at.to_string(),
                    program,
                    link: Some(link),
                }),
                Err(reason) => self.do_without(hook, reason)?,
            }
        }
        Ok(())
    }

    /// Shows all hooks to the verifier; what each that is not taken is refused for.
    pub(crate) fn try_hooks(&mut self) -> Result<Vec<Option<String>>, Error> {
        let plan = self.plan;
        plan.hooks
            .iter()
            .map(|hook| match self.hook_program(hook) {
                Ok(_) => Ok(None),
                Err(Refusal::Fatal(error)) => Err(error),
                Err(Refusal::Way(reason) | Refusal::Place(reason)) => Ok(Some(reason)),
            })
            .collect()
    }

    fn collector_of(&self, hook: &PlannedHook<'_>) -> &'a str {
        &self.plan.collectors[hook.collector].manifest.name
    }

    fn do_without(&mut self, hook: &PlannedHook<'_>, refusal: Refusal) -> Result<(), Error> {
        let reason = match refusal {
            Refusal::Fatal(error) => return Err(error),
            Refusal::Way(reason) | Refusal::Place(reason) => format!("{}: {reason}", hook.at),
        };
        let collector = self.collector_of(hook).to_owned();
        let Some(without) = hook.without else {
            return Err(Error::Collector { collector, number: hook.collector, reason });
        };
        self.done.left_out.push(format!("collector {collector}: {without}: {reason}"));
        Ok(())
    }

    fn hook(&mut self, hook: &PlannedHook<'_>) -> Result<(Program, Link), Refusal> {
        let program = self.hook_program(hook)?;
        let link = Link::tracing(&program).map_err(|e| Refusal::Way(e.to_string()))?;
        Ok((program, link))
    }

    fn hook_program(&mut self, hook: &PlannedHook<'_>) -> Result<Program, Refusal> {
        let direct = self.hook_build(hook, Build::Direct);
        match direct {
            Err(Refusal::Way(reason)) => self.hook_build(hook, Build::Probe).map_err(|second| match second {
                // The same answer twice says nothing new.
                Refusal::Way(again) if again == reason => Refusal::Way(reason),
                Refusal::Way(again) => Refusal::Way(format!("{reason}; with probe reads: {again}")),
                other => other,
            }),
            other => other,
        }
    }

    fn hook_build(&mut self, hook: &PlannedHook<'_>, build: Build) -> Result<Program, Refusal> {
        self.link_all(build)?;
        let (way, at) = match hook.at.kind {
            HookKind::Fentry => (Way::Fentry, TracingPoint::Fentry),
            HookKind::Fexit => (Way::Fexit, TracingPoint::Fexit),
            HookKind::Tracepoint => (Way::TpBtf, TracingPoint::TpBtf),
        };
        let constants = self.plan.constants.iter().filter(|((index, _), _)| *index == hook.collector);
        let constants: BTreeMap<String, u64> =
            constants.map(|((_, option), value)| (option.clone(), *value)).collect();
        let composed = compose_hook(&HookShape {
            attach: way.attach(),
            build,
            fragment: &self.linked[&(hook.collector, build)],
            hook: hook.hook,
            arguments: &hook.arguments,
            parameters: &hook.parameters,
            returned: hook.returned,
            constants,
            symbols: self.addresses.clone(),
        });
        let image = composed.map_err(|error| Refusal::Way(error.to_string()))?;
        let slots = self.make_maps(&image, &mut None)?;
        let point = Point::Hook { at, place: &hook.place };
        self.load_image(&point, &image, slots.as_ref(), None)
    }
}
