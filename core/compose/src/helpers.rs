//! The helpers that fragments may call: those that read, that keep maps, and that have no effect on anything else. A fragment
//! that writes to user memory, sends signals, or changes what a function returns would be no observer; one that writes to
//! rings would write into somebody else's records.

use tracer_bpf::Insn;

/// Numbers and names as in `include/uapi/linux/bpf.h`.
const ALLOWED: [(i32, &str); 29] = [
    (1, "map_lookup_elem"),
    (2, "map_update_elem"),
    (3, "map_delete_elem"),
    (5, "ktime_get_ns"),
    (7, "get_prandom_u32"),
    (8, "get_smp_processor_id"),
    (14, "get_current_pid_tgid"),
    (15, "get_current_uid_gid"),
    (16, "get_current_comm"),
    (35, "get_current_task"),
    (42, "get_numa_node_id"),
    (80, "get_current_cgroup_id"),
    (113, "probe_read_kernel"),
    (115, "probe_read_kernel_str"),
    (118, "jiffies64"),
    (123, "get_current_ancestor_cgroup_id"),
    (125, "ktime_get_boot_ns"),
    (136, "skc_to_tcp6_sock"),
    (137, "skc_to_tcp_sock"),
    (138, "skc_to_tcp_timewait_sock"),
    (139, "skc_to_tcp_request_sock"),
    (140, "skc_to_udp6_sock"),
    (158, "get_current_task_btf"),
    (160, "ktime_get_coarse_ns"),
    (164, "for_each_map_elem"),
    (181, "loop"),
    (182, "strncmp"),
    (195, "map_lookup_percpu_elem"),
    (208, "ktime_get_tai_ns"),
];

/// Names of some that are tried now and then, for messages.
const FORBIDDEN: [(i32, &str); 13] = [
    (4, "probe_read"),
    (6, "trace_printk"),
    (12, "tail_call"),
    (25, "perf_event_output"),
    (36, "probe_write_user"),
    (45, "probe_read_str"),
    (58, "override_return"),
    (109, "send_signal"),
    (112, "probe_read_user"),
    (114, "probe_read_user_str"),
    (117, "send_signal_thread"),
    (130, "ringbuf_output"),
    (131, "ringbuf_reserve"),
];

/// `BPF_JMP | BPF_CALL`; with 0 as its source, of a helper by its number.
const CALL: u8 = 0x85;
/// `BPF_PSEUDO_CALL` as the source.
const OWN: u8 = 1;
/// What the linker leaves in place of an access to a field or type that this kernel lacks; the verifier refuses it wherever it
/// could be reached.
const POISON: i32 = 0x0bad_2310;

/// What a helper is called.
pub(crate) fn name(helper: i32) -> Option<&'static str> {
    let known = ALLOWED.iter().chain(&FORBIDDEN).find(|(number, _)| *number == helper);
    known.map(|(_, name)| *name)
}

/// Numbers and names of the helpers that a fragment may call.
pub fn allowed_helpers() -> impl Iterator<Item = (i32, &'static str)> {
    ALLOWED.into_iter()
}

/// The first helper that a fragment may not call, of those that bytes of an object's code call.
pub(crate) fn forbidden(code: &[u8]) -> Option<i32> {
    // Code, register nibbles (the source in the upper one), 16 bits of offset, 32 of immediate.
    let calls = code.chunks_exact(8).filter(|insn| insn[0] == CALL);
    first(calls.map(|insn| (insn[1] >> 4, i32::from_le_bytes([insn[4], insn[5], insn[6], insn[7]]))))
}

/// The same of instructions.
pub(crate) fn forbidden_in(insns: &[Insn]) -> Option<i32> {
    first(insns.iter().filter(|insn| insn.code == CALL).map(|insn| (insn.src, insn.imm)))
}

fn first(mut calls: impl Iterator<Item = (u8, i32)>) -> Option<i32> {
    let forbidden = |(kind, helper): &(u8, i32)| match kind {
        0 => *helper != POISON && !ALLOWED.iter().any(|(number, _)| number == helper),
        // A function of the object's own. What else there is calls a function of the kernel's by its number in BTF.
        kind => *kind != OWN,
    };
    calls.find(forbidden).map(|(_, helper)| helper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_reads_is_allowed() {
        let call = |src, imm| Insn { code: CALL, src, imm, ..Insn::default() };
        assert_eq!(forbidden_in(&[call(0, 113), call(0, 1), call(0, POISON)]), None);
        assert_eq!(forbidden_in(&[call(0, 1), call(0, 36)]), Some(36));
        // A function of the object's own, and one of the kernel's that was resolved: no helper.
        assert_eq!(forbidden_in(&[call(1, 36)]), None);
        assert_eq!(forbidden_in(&[call(2, 1)]), Some(1), "a function of the kernel's");
        let bytes: Vec<u8> = [call(0, 1), call(0, 130)].iter().flat_map(|insn| insn.bytes()).collect();
        assert_eq!(forbidden(&bytes), Some(130));
        assert_eq!(name(130), Some("ringbuf_output"));
    }
}
