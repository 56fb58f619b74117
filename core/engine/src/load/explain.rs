//! A refusal of the verifier's in the words of whoever wrote the code.

use tracer_compose::Image;
use tracer_kernel::LoadError;

/// What a refusal begins with that is about the code, and not about who may load it.
pub(crate) const REFUSED: &str = "the verifier refused";

/// A refusal that is about who may load what.
pub(crate) const NOT_PERMITTED: &str = "the kernel does not permit programs of this kind";

/// A refusal in the words of whoever wrote the code: which fragment, which C line.
pub(super) fn explain(error: &LoadError, image: &Image) -> String {
    let Some(insn) = last_instruction(&error.log) else {
        return match error.errno.raw_os_error() {
            // Loading fentry programs can be forbidden where kprobes are not, and the other way round.
            Some(code) if code == rustix::io::Errno::PERM.raw_os_error() => NOT_PERMITTED.to_owned(),
            _ => error.to_string(),
        };
    };
    let mut reason = error.reason().unwrap_or("no reason given").to_owned();
    // aya-obj, like libbpf, puts this number where a field or type does not exist: 0xbad2310.
    if reason.contains("195896080") {
        reason = "it uses a field or type that this kernel does not have, without testing for it".to_owned();
    }
    let Some(blame) = image.blame(insn) else { return format!("{REFUSED} it: {reason}") };
    let who = blame.collector.map_or("tracer itself".to_owned(), |c| format!("collector {c}"));
    let line =
        blame.line.map(|(file, line, text)| format!("\n      at {file}:{line}: {text}")).unwrap_or_default();
    format!("{REFUSED} {who}, in {}: {reason}{line}", blame.function)
}

/// The number of the instruction that the verifier looked at last: its log lines begin with it.
fn last_instruction(log: &str) -> Option<usize> {
    let number = |line: &str| line.split_once(": (").and_then(|(n, _)| n.trim().parse().ok());
    log.lines().rev().find_map(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_instruction_of_a_log() {
        let log = "0: (bf) r6 = r1\n; int x = y;\n17: (85) call bpf_map_lookup_elem#1\nR1 type=scalar expected=map_ptr\n\
                   processed 18 insns (limit 1000000)\n";
        assert_eq!(last_instruction(log), Some(17));
        assert_eq!(last_instruction("nothing"), None);
    }
}
