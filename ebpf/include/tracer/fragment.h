/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The fragment ABI: what a collector's BPF code is written against.
 *
 * A fragment holds readers and accessors. A *reader* fills one section of an event:
 *
 *	struct my_args {
 *		struct sk_buff *skb REQUIRED;
 *	};
 *	struct my {
 *		__u32 len;
 *		__u32 mark HEX;
 *	};
 *	READER(my, struct my_args *args, struct my *out)
 *	{
 *		out->len = LOAD(args->skb->len);
 *		out->mark = LOAD(args->skb->mark);
 *		return PRESENT(out);
 *	}
 *
 * Nothing else declares anything: the types of the two parameters are the declaration, read from
 * the object's BTF. Each member of the first struct is an argument by *type*: the engine fills in
 * the traced function's argument of that type, or one that it can derive, else NULL; or it is
 * tagged as an OPTION or SYMBOL. The second
 * struct is the section, zeroed before the call; its members and their tags are the schema of the
 * text, of JSON, of filters and of stored traces.
 *
 * A reader returns the bytes it used: PRESENT(out), or ABSENT when it has nothing to say. A
 * section that ends in an array tagged as packet data may use fewer bytes than sizeof: see
 * USED(out, array, n).
 *
 * An *accessor* gives one field early, so that a filter can decide before any buffer is touched:
 *
 *	ACCESSOR(my, mark, struct my_args *args, __u64 *value)
 *
 * It stores the value and returns PRESENT_VALUE, or returns ABSENT. A field that is an array of characters has an accessor
 * with a pointer to such an array:
 *
 *	ACCESSOR(my, name, struct my_args *args, char (*value)[16])
 *
 * A *hook* reports nothing. It stands at places of its own, which the manifest names in `[[hook]]`, as long as the
 * collector is in use, and keeps the collector's maps, for the readers to look into:
 *
 *	HOOK(freed, struct freed_args *args)
 *
 * Its arguments are those of its place, which is always a function's entry or return by BTF, or a tracepoint: by type as
 * above, by name (PARAMETER), or what the function returned (RETURNED).
 *
 * A collector that knows a packet again lets tracer *follow* packets, by two functions which take a struct of arguments:
 * FOLLOW notes that a packet has passed the filter, FOLLOWED returns 1 where that was noted, else 0. An event of such a
 * packet is wanted though the filter does not hold for it.
 *
 * Every fragment is compiled twice: with probe reads, which work everywhere, and (TRACER_DIRECT)
 * with direct loads, for probes whose arguments the verifier knows by type. Two macros hide that:
 * LOAD(p->field) for a typed pointer's field, PEEK(type, address) for an address that was computed.
 */
#ifndef TRACER_FRAGMENT_H
#define TRACER_FRAGMENT_H

/*
 * The version of this interface. An object says which one it was compiled with. The major number changes when objects that
 * were compiled before no longer work, the minor one when something was added: a tracer takes objects with its own major
 * number and no greater minor one.
 */
#define TRACER_ABI_MAJOR 1
#define TRACER_ABI_MINOR 0

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;

#define NULL ((void *)0)
#define SEC(name) __attribute__((section(name), used))
/* Types of the kernel: member offsets are those of the running kernel (CO-RE). */
#define KERNEL __attribute__((preserve_access_index))
#define INLINE static inline __attribute__((always_inline))
#define SUBPROGRAM static __attribute__((noinline))

/* Tags on members of an argument struct: the reader runs only where this argument can be had. */
#define TAG(text) __attribute__((btf_decl_tag(text)))
#define REQUIRED TAG("required")

/* An integer member that holds the value of one of the collector's options, as a constant. */
#define OPTION(name) TAG("option:" name)
/* A __u64 member that holds the address of a kernel symbol; 0 where the kernel does not show it. */
#define SYMBOL(name) TAG("symbol:" name)

/* For hooks: a member that holds the parameter of this name, whatever its type; 0 where the function has none. */
#define PARAMETER(name) TAG("parameter:" name)
/* For hooks at a function's return: a member that holds what it returned. */
#define RETURNED TAG("returned")

/* Tags on members of a section: how the field is shown. */
#define HEX TAG("hex")
#define BE16 TAG("be16")
#define BE32 TAG("be32")
#define IPV4 TAG("ipv4")
#define IPV6 TAG("ipv6")
#define MAC TAG("mac")
#define NETNS TAG("netns")
/* The name of the network device that the packet was at. */
#define DEVICE TAG("device")
/* A __u64 that all events of one packet have in common; 0 where nothing follows the packet. */
#define PACKET_ID TAG("packet-id")
/*
 * Packet bytes; the section also has `link`, `protocol` (BE16) and `orig_len`. It may have `vlan_proto` (BE16) and
 * `vlan_tci`: a tag that is not in the bytes, if the first is not 0.
 */
#define PACKET TAG("packet")
/*
 * Strings of any length: a section ends in an array of characters tagged STRINGS, and a __u32 tagged
 * TEXT refers to one of them. See APPEND_TEXT.
 */
#define TEXT TAG("text")
#define STRINGS TAG("strings")
/*
 * An integer whose values the running kernel names, by an enum of its own or of one of its loaded modules. The numbers of
 * such an enum may differ from kernel to kernel, so the names are looked up when tracing begins. Of several enums
 * ("one,two") the first that has the value names it; enums that a kernel lacks are passed over; a value without a name is
 * shown as a number. The enum's own name is cut off where an enumerator begins with it, in capitals.
 */
#define KERNEL_ENUM(names) TAG("enum:" names)
/* On packet bytes: no more than this option says are used, and room is kept for no more. */
#define AT_MOST(name) TAG("max:" name)

#define READER(section, ...) SEC("raw_tp/reader") int reader__##section(__VA_ARGS__)
#define ACCESSOR(section, field, ...) SEC("raw_tp/accessor") int accessor__##section##__##field(__VA_ARGS__)
#define HOOK(name, ...) SEC("raw_tp/hook") int hook__##name(__VA_ARGS__)
#define FOLLOW(name, ...) SEC("raw_tp/follow") int follow__##name(__VA_ARGS__)
#define FOLLOWED(name, ...) SEC("raw_tp/followed") int followed__##name(__VA_ARGS__)

#define ABSENT 0
#define PRESENT(out) ((int)sizeof(*(out)))
#define PRESENT_VALUE 1
/* Bytes used when only `n` elements of the section's last member, an array of bytes, are. */
#define USED(out, array, n) ((int)(__builtin_offsetof(__typeof__(*(out)), array) + (n)))

/* Maps, in the form of libbpf: struct { __uint(type, ..); __type(key, ..); } name SEC(".maps"); */
#define __uint(name, value) int(*name)[value]
#define __type(name, value) __typeof__(value) *name
/* From include/uapi/linux/bpf.h. */
#define BPF_MAP_TYPE_HASH 1
#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_PERCPU_HASH 5
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_MAP_TYPE_LRU_HASH 9
#define BPF_ANY 0
#define BPF_NOEXIST 1

/* Helpers, by their numbers in include/uapi/linux/bpf.h. */
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static long (*bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static __u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static __u32 (*bpf_get_smp_processor_id)(void) = (void *)8;
static long (*bpf_probe_read_kernel)(void *dst, __u32 size, const void *src) = (void *)113;
static long (*bpf_probe_read_kernel_str)(void *dst, __u32 size, const void *src) = (void *)115;
/* Since 5.17. */
static long (*bpf_loop)(__u32 n, void *callback, void *ctx, __u64 flags) = (void *)181;

/* Keeps the compiler from undoing a bounds check that the verifier has to see. */
#define BARRIER(variable) asm volatile("" : "+r"(variable))

/* A value at an address that was computed; 0 where it cannot be read. */
#define PEEK(type, address)                                                       \
	({                                                                        \
		type peeked_;                                                     \
		bpf_probe_read_kernel(&peeked_, sizeof(peeked_), (const void *)(address)); \
		peeked_;                                                          \
	})

/* A field of a KERNEL struct behind a typed pointer; 0 where it cannot be read. */
#ifdef TRACER_DIRECT
/* The barrier keeps loads through pointers of different types from being merged into one. */
#define LOAD(field)                                                               \
	({                                                                        \
		__typeof__(field) loaded_ = (field);                              \
		BARRIER(loaded_);                                                 \
		loaded_;                                                          \
	})
#else
#define LOAD(field)                                                               \
	({                                                                        \
		__typeof__(field) loaded_;                                        \
		bpf_probe_read_kernel(&loaded_, sizeof(loaded_), &(field));       \
		loaded_;                                                          \
	})
#endif

/*
 * A field behind a pointer that was cast to another KERNEL struct, or computed: `READ(((struct tcp_sock *)sk)->snd_nxt)`. It is
 * read with a helper in both builds, since the verifier knows the pointer by its old type only. 0 where it cannot be read.
 */
#define READ(field)                                                               \
	({                                                                        \
		__typeof__(field) read_;                                          \
		bpf_probe_read_kernel(&read_, sizeof(read_), &(field));           \
		read_;                                                            \
	})

/*
 * A bitfield, at most 64 bits with its neighbours, behind a typed pointer; 0 where it cannot be
 * read. The numbers are those of `enum bpf_field_info_kind` in libbpf's bpf_core_read.h.
 */
#define LOAD_BITS(pointer, field)                                                 \
	({                                                                        \
		__u64 bits_ = 0;                                                  \
		bpf_probe_read_kernel(&bits_, __builtin_preserve_field_info((pointer)->field, 1), \
				      (const char *)(pointer) +                   \
					      __builtin_preserve_field_info((pointer)->field, 0)); \
		bits_ <<= __builtin_preserve_field_info((pointer)->field, 4);     \
		bits_ >> __builtin_preserve_field_info((pointer)->field, 5);      \
	})

/*
 * A pointer as a number, for arithmetic in a loop: the verifier follows every step of a pointer that
 * it knows the type of, and would not see an end.
 */
#define ADDRESS(pointer)                                                          \
	({                                                                        \
		const void *pointer_ = (pointer);                                 \
		PEEK(__u64, &pointer_);                                           \
	})

/* Bytes from the start of its KERNEL struct to this field: a constant when loaded. */
#define OFFSET(field) __builtin_preserve_field_info(field, 0)

/* Whether the running kernel has this field of a KERNEL struct: a constant when loaded. */
#define HAS_FIELD(field) __builtin_preserve_field_info(field, 2)

/*
 * Copies a kernel string into a character array of a section. The array is full to its last byte,
 * without a terminating NUL, exactly when the string did not fit: the output then says so.
 */
#define COPY_STRING(array, address)                                               \
	({                                                                        \
		const char *from_ = (const char *)(address);                      \
		long n_ = bpf_probe_read_kernel_str(array, sizeof(array), from_); \
		if (n_ == sizeof(array))                                          \
			(array)[sizeof(array) - 1] = PEEK(char, from_ + sizeof(array) - 1); \
		n_;                                                               \
	})

/*
 * Appends a kernel string of less than `max` bytes to the section's last array, of which `used` bytes
 * are taken, and makes a TEXT member refer to it. Gives the bytes that are taken now. The array has
 * room for `max` bytes of each string that may be appended.
 */
#define APPEND_TEXT(out, member, array, used, max, address)                       \
	({                                                                        \
		__u64 at_ = (used);                                               \
		BARRIER(at_);                                                     \
		if (at_ <= sizeof((out)->array) - (max)) {                        \
			long n_ = bpf_probe_read_kernel_str((out)->array + at_, max, \
							    (const void *)(address)); \
			if (n_ > 1 && n_ <= (max)) {                              \
				/* Without the NUL: the length is known. */       \
				(out)->member = (__u32)(n_ - 1) << 16 |           \
						(__builtin_offsetof(__typeof__(*(out)), array) + at_); \
				at_ += n_ - 1;                                    \
			}                                                         \
		}                                                                 \
		at_;                                                              \
	})

#define TRACER_STRING_(text) #text
#define TRACER_STRING(text) TRACER_STRING_(text)
#ifndef TRACER_LICENSE
/* What an object is licensed under, to be defined before this is included; tracing helpers take those that the GPL does. */
#define TRACER_LICENSE "Dual MIT/GPL"
#endif
char LICENSE[] SEC("license") = TRACER_LICENSE;
char TRACER_ABI[] SEC("tracer_abi") = TRACER_STRING(TRACER_ABI_MAJOR) "." TRACER_STRING(TRACER_ABI_MINOR);

#endif
