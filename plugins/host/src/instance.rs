//! A plugin that has started. Each call ends in a look at what it returned, at what it wrote, and at whether it asked at a wrong time.

use std::{ffi::c_void, fmt};

use tracer_plugin_abi::c;

use crate::{
    Description, EventParts, Failure, LossParts, Services, SessionInfo,
    desk::DeskRef,
    room::Room,
    session::{self, size},
};

/// A plugin that has started. Only the thread that started it can call it. What it was shown is never freed, since threads of its own may
/// look at it even after [`Instance::stop`].
///
/// The first failure is the last word: after it only [`Instance::stop`] calls the plugin.
pub struct Instance {
    functions: c::Functions,
    desk: DeskRef,
    state: *mut c_void,
    room: Option<Room>,
    failed: bool,
}

impl Instance {
    pub(crate) fn start(
        description: &Description,
        functions: c::Functions,
        services: &mut dyn Services,
        session: &SessionInfo,
    ) -> Result<Instance, Failure> {
        let mut instance = Instance {
            functions,
            desk: DeskRef::leak(),
            state: std::ptr::null_mut(),
            room: description.section.as_ref().map(Room::new),
            failed: false,
        };
        let Some(start) = functions.start else { return Ok(instance) };
        let (host, session) = (instance.desk.host(), session::leak(session));
        let mut state = std::ptr::null_mut();
        // SAFETY: the plugin's function, with pointers to what lives for good, and to room for one pointer.
        instance.call(services, "start", None, |_, _| unsafe { start(host, session, &raw mut state) })?;
        instance.state = state;
        Ok(instance)
    }

    /// Has the plugin fill its section of an event. `out` gets the struct and the texts that are used, or is empty where the event gets
    /// no section (`false`).
    ///
    /// # Errors
    /// What the plugin did wrong, or why it cannot go on. `out` is empty then.
    pub fn enrich(
        &mut self,
        services: &mut dyn Services,
        event: &EventParts<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, Failure> {
        out.clear();
        if self.failed {
            return Err(Failure::Over { function: "enrich" });
        }
        let (Some(enrich), Some(room)) = (self.functions.enrich, &mut self.room) else { return Ok(false) };
        let given = room.offer();
        // SAFETY: the plugin's function, with its state and what was made for it.
        let called =
            self.call(services, "enrich", Some(event), |state, event| unsafe { enrich(state, event, given) });
        let Some(room) = &mut self.room else { return Ok(false) };
        // What it wrote matters more than what it says.
        let taken = room.check().and(called).and_then(|there| match there {
            true => room.take(out).map(|()| true),
            false => Ok(false),
        });
        self.failed |= taken.is_err();
        taken
    }

    /// Gives the plugin an event, if it takes events.
    ///
    /// # Errors
    /// What the plugin did wrong, or why it cannot go on.
    pub fn event(&mut self, services: &mut dyn Services, event: &EventParts<'_>) -> Result<(), Failure> {
        let Some(function) = self.functions.event else { return Ok(()) };
        // SAFETY: the plugin's function, with its state and an event that lives as long.
        self.call(services, "event", Some(event), |state, event| unsafe { function(state, event) }).map(drop)
    }

    /// Tells the plugin that events were lost, if it wants to know.
    ///
    /// # Errors
    /// What the plugin did wrong, or why it cannot go on.
    pub fn loss(&mut self, services: &mut dyn Services, loss: &LossParts) -> Result<(), Failure> {
        let Some(function) = self.functions.loss else { return Ok(()) };
        let LossParts { probe, cpu, events, before } = *loss;
        let loss = c::Loss { struct_size: size::<c::Loss>(), probe, cpu, events, before };
        // SAFETY: the plugin's function, with its state and a struct that lives as long.
        self.call(services, "loss", None, |state, _| unsafe { function(state, &raw const loss) }).map(drop)
    }

    /// Tells the plugin that a second has passed, if it wants to know. `now`: CLOCK_MONOTONIC, nanoseconds.
    ///
    /// # Errors
    /// What the plugin did wrong, or why it cannot go on.
    pub fn tick(&mut self, services: &mut dyn Services, now: u64) -> Result<(), Failure> {
        self.check_room("tick")?;
        let Some(function) = self.functions.tick else { return Ok(()) };
        // SAFETY: the plugin's function, with its state.
        self.call(services, "tick", None, |state, _| unsafe { function(state, now) }).map(drop)
    }

    /// Has the plugin pass on what it has kept, if it keeps anything.
    ///
    /// # Errors
    /// What the plugin did wrong, or why it cannot go on.
    pub fn flush(&mut self, services: &mut dyn Services) -> Result<(), Failure> {
        let Some(function) = self.functions.flush else { return Ok(()) };
        // SAFETY: the plugin's function, with its state.
        self.call(services, "flush", None, |state, _| unsafe { function(state) }).map(drop)
    }

    /// Ends the plugin; also one that failed.
    ///
    /// # Errors
    /// What the plugin did wrong, unless it has been told before.
    pub fn stop(mut self, services: &mut dyn Services) -> Result<(), Failure> {
        let failed = std::mem::take(&mut self.failed);
        let before = if failed { Ok(()) } else { self.check_room("stop") };
        let Some(function) = self.functions.stop else { return before };
        // SAFETY: the plugin's function, with its state, for the last time.
        let stopped = self.call_anyway(services, "stop", None, |state, _| unsafe { function(state) });
        match (failed, stopped) {
            // It is the same misuse as before.
            (true, Err(Failure::WrongTime { .. })) => Ok(()),
            (_, stopped) => before.and(stopped.map(drop)),
        }
    }

    /// Whether the margins of the room are as they should be, at times when that is not urgent.
    fn check_room(&mut self, function: &'static str) -> Result<(), Failure> {
        if self.failed {
            return Err(Failure::Over { function });
        }
        let checked = self.room.as_ref().map_or(Ok(()), Room::check_all);
        self.failed |= checked.is_err();
        checked
    }

    fn call(
        &mut self,
        services: &mut dyn Services,
        function: &'static str,
        event: Option<&EventParts<'_>>,
        run: impl FnOnce(*mut c_void, *const c::Event) -> i32,
    ) -> Result<bool, Failure> {
        if self.failed {
            return Err(Failure::Over { function });
        }
        let called = self.desk.misused().and_then(|()| self.call_anyway(services, function, event, run));
        self.failed |= called.is_err();
        called
    }

    /// Whether the plugin returned `OK`, and not `ABSENT`.
    fn call_anyway(
        &mut self,
        services: &mut dyn Services,
        function: &'static str,
        event: Option<&EventParts<'_>>,
        run: impl FnOnce(*mut c_void, *const c::Event) -> i32,
    ) -> Result<bool, Failure> {
        let state = self.state;
        let (status, why) = self.desk.call(services, event, |event| run(state, event));
        self.desk.misused()?;
        match status {
            c::OK => Ok(true),
            c::ABSENT if function == "enrich" => Ok(false),
            c::PANICKED => Err(Failure::Panicked { function, why }),
            code if code < 0 => Err(Failure::Returned { function, code, why }),
            code => Err(Failure::NoStatus { function, code }),
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("failed", &self.failed).finish_non_exhaustive()
    }
}
