//! Stacks as people want to read them: names instead of addresses, and nothing of the tracing machinery, so that a
//! stack looks the same whichever way its probe was attached. What stands above the probed function differs by attach
//! type and kernel (measured: none for kprobes, two or three BPF frames for fentry, `bpf_trace_run*` for tracepoints).

use std::borrow::Cow;

/// Names for kernel addresses.
pub trait Symbols {
    /// The symbol that `address` lies in.
    fn resolve(&self, address: u64) -> Option<Symbol<'_>>;
}

/// A place in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// The function's name.
    pub name: Cow<'a, str>,
    /// Bytes from its start.
    pub offset: u64,
}

/// Knows no name.
#[derive(Debug, Clone, Copy)]
pub struct NoSymbols;

impl Symbols for NoSymbols {
    fn resolve(&self, _: u64) -> Option<Symbol<'_>> {
        None
    }
}

/// Which frames of a probe's stacks are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trim {
    /// The probe is at this function's entry: the stack begins with it.
    Entry(String),
    /// The probe is at this function's return: the stack begins with its caller.
    Return(String),
    /// The probe is inside a function: the stack begins below the machinery.
    Machinery,
}

/// Names that a stack of a probe may start with before it comes to the kernel's own doing.
const MACHINERY: [&str; 8] = [
    "bpf_prog_",
    "bpf_trampoline_",
    "bpf_dispatcher_",
    "bpf_trace_run",
    "__bpf_trace_",
    "__traceiter_",
    "arch_rethook_trampoline",
    "__kretprobe_trampoline",
];

/// Frames at the front of a stack among which a tracepoint's machinery is looked for.
const NEAR: usize = 6;

/// A frame of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The return address, or the probed instruction; `None` for a function that is known to be there though the walk
    /// did not find it.
    pub address: Option<u64>,
    /// Where that is, if it is known.
    pub symbol: Option<Symbol<'a>>,
}

impl Trim {
    /// The frames of `stack` (innermost first) that are worth reading.
    pub fn frames<'a>(&self, stack: impl Iterator<Item = u64>, symbols: &'a dyn Symbols) -> Vec<Frame<'a>> {
        let resolve = |address| Frame { address: Some(address), symbol: symbols.resolve(address) };
        let mut frames: Vec<Frame<'a>> = stack.map(resolve).collect();
        let first = self.first(&frames);
        // A stack without any name (kptr_restrict) is all that there is: shown whole.
        if first < frames.len() {
            frames.drain(..first);
            // Some kernels' trampolines stand in the way of the walk; but that is where the probe is.
            if let Trim::Entry(function) = self
                && !frames.first().is_some_and(|frame| frame.is_in(function))
            {
                let symbol = Symbol { name: function.clone().into(), offset: 0 };
                frames.insert(0, Frame { address: None, symbol: Some(symbol) });
            }
        }
        frames
    }

    fn first(&self, frames: &[Frame<'_>]) -> usize {
        let machinery = frames.iter().take_while(|frame| frame.is_machinery()).count();
        match self {
            Trim::Entry(function) => {
                frames.iter().position(|frame| frame.is_in(function)).unwrap_or(machinery)
            }
            // Only directly below the machinery: further down it would be another call of a recursive function.
            Trim::Return(function) => {
                machinery + usize::from(frames.get(machinery).is_some_and(|frame| frame.is_in(function)))
            }
            // Kernels that do not know programs by name give their frames other ones; what calls them has its own.
            Trim::Machinery => {
                let near = &frames[..frames.len().min(NEAR)];
                let caller = near.iter().rposition(|frame| frame.is_machinery() && frame.symbol.is_some());
                caller.map_or(machinery, |at| machinery.max(at + 1))
            }
        }
    }
}

impl Frame<'_> {
    fn is_in(&self, function: &str) -> bool {
        self.symbol.as_ref().is_some_and(|symbol| symbol.name == function)
    }

    /// Programs need not be in kallsyms, so no name counts as one of theirs.
    fn is_machinery(&self) -> bool {
        let Some(symbol) = &self.symbol else { return true };
        MACHINERY.iter().any(|start| symbol.name.starts_with(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Address *i* is in the symbol *i*; an empty name is none.
    struct Names(&'static [&'static str]);

    impl Symbols for Names {
        fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
            let name = self.0[usize::try_from(address).unwrap()];
            (!name.is_empty()).then(|| Symbol { name: name.into(), offset: address })
        }
    }

    fn trimmed(trim: &Trim, names: &'static [&'static str]) -> Vec<String> {
        let stack = 0..u64::try_from(names.len()).unwrap();
        let names = Names(names);
        let frames = trim.frames(stack, &names);
        frames
            .into_iter()
            .map(|frame| frame.symbol.map_or(String::new(), |symbol| symbol.name.into()))
            .collect()
    }

    #[test]
    fn an_entry_begins_with_its_function() {
        let entry = Trim::Entry("f".into());
        assert_eq!(trimmed(&entry, &["f", "g", "f"]), ["f", "g", "f"]);
        assert_eq!(trimmed(&entry, &["bpf_prog_1_x", "bpf_trampoline_2", "f", "g"]), ["f", "g"]);
        assert_eq!(trimmed(&entry, &["", "odd_thunk", "f", "g"]), ["f", "g"]);
        assert_eq!(
            trimmed(&entry, &["bpf_prog_1", "", "g", "", "h"]),
            ["f", "g", "", "h"],
            "the walk missed it"
        );
        assert_eq!(trimmed(&entry, &[]), [""; 0]);
    }

    #[test]
    fn a_return_begins_with_the_caller() {
        let ret = Trim::Return("f".into());
        assert_eq!(trimmed(&ret, &["arch_rethook_trampoline", "g", "f"]), ["g", "f"]);
        assert_eq!(trimmed(&ret, &["bpf_prog_1", "bpf_trampoline_2", "f", "g"]), ["g"]);
        assert_eq!(trimmed(&ret, &["g", "h"]), ["g", "h"]);
    }

    #[test]
    fn a_tracepoint_begins_below_the_machinery() {
        let names = &["bpf_prog_1", "bpf_trace_run3", "__traceiter_kfree_skb", "kfree_skb", "ip_rcv"];
        assert_eq!(trimmed(&Trim::Machinery, names), ["kfree_skb", "ip_rcv"]);
        let misnamed = &["virtio_exit", "virtio_exit", "bpf_trace_run1", "kfree_skb", "ip_rcv"];
        assert_eq!(trimmed(&Trim::Machinery, misnamed), ["kfree_skb", "ip_rcv"]);
    }

    #[test]
    fn a_stack_without_names_is_whole() {
        assert_eq!(trimmed(&Trim::Entry("f".into()), &["", "", ""]).len(), 3);
        assert_eq!(Trim::Machinery.frames([1, 2].into_iter(), &NoSymbols).len(), 2);
    }
}
