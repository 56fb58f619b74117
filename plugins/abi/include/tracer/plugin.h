/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A plugin of tracer that is a shared library: what crosses the boundary between the two.
 *
 * The library exports one function, `const struct tracer_plugin *tracer_plugin(void)`. TRACER_PLUGIN declares it.
 * docs/plugins.md tells all about it. This file is generated from plugins/abi/src/c.rs.
 */
#ifndef TRACER_PLUGIN_H
#define TRACER_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

// Begins every descriptor: `TRACERNP`, read as a little-endian number.
#define TRACER_MAGIC 5786653028652241492

// The version of this interface that must be the same on both sides.
#define TRACER_MAJOR 1

// Counts what was added to the major version.
#define TRACER_MINOR 0

// It went well; of `enrich`: the section is there.
#define TRACER_OK 0

// There is no such thing; of `enrich`: the event gets no section.
#define TRACER_ABSENT 1

// It failed. A plugin that returns this, or any other negative number, gets no further calls but `stop`.
#define TRACER_FAILED -1

// The plugin panicked: what `export_plugin!` returns then.
#define TRACER_PANICKED -2

// From the host: this may not be asked now, or not by this thread, or not about this event. The plugin is not used any more.
#define TRACER_WRONG_TIME -3

// From the host: a pointer is NULL, or a text is not UTF-8.
#define TRACER_BAD_ARGUMENT -4

// A field or value: an unsigned number of 1, 2, 4 or 8 bytes.
#define TRACER_KIND_UINT 1

// A field or value: a signed number of 1, 2, 4 or 8 bytes.
#define TRACER_KIND_INT 2

// A field: an array of characters, up to a NUL or its end. A value: a text, UTF-8.
#define TRACER_KIND_STRING 3

// A field or value: bytes.
#define TRACER_KIND_BYTES 4

// A field: 32 bits that say where behind the section's struct a text is (`tracer_add_text` sets it).
#define TRACER_KIND_TEXT 5

// Says more than people usually want to know.
#define TRACER_LOG_DEBUG 0

// Worth knowing.
#define TRACER_LOG_INFO 1

// Something is not as it should be.
#define TRACER_LOG_WARNING 2

// An event as tracer prints it: some lines, each with its end.
#define TRACER_AS_TEXT 0

// An event as an object of JSON: one line, with its end.
#define TRACER_AS_JSON 1

// UTF-8 of so many bytes, without a NUL at its end.
struct tracer_text {
        // The first byte; may be NULL if there is none.
        const uint8_t *bytes;
        // How many there are.
        uint64_t len;
};

// A name for a value of a field.
struct tracer_name {
        // The value.
        int64_t value;
        // Its name.
        struct tracer_text name;
};

// A field of a section.
struct tracer_field {
        // A C identifier, in no other field of the section.
        struct tracer_text name;
        // How it is shown: `plain` (also if empty), `hex`, `be16`, `be32`, `ipv4`, `ipv6`, `mac`, `netns`.
        struct tracer_text show;
        // `KIND_...`
        uint32_t kind;
        // Bytes from the begin of the section's struct.
        uint32_t offset;
        // Its bytes.
        uint32_t size;
        // Zero.
        uint32_t reserved;
        // Names of its values, if it is a number that has some.
        const struct tracer_name *names;
        // How many.
        uint64_t names_len;
};

// A section of events: a struct, and behind it the texts that its fields refer to.
struct tracer_section {
        // `sizeof(struct tracer_section)`
        uint32_t struct_size;
        // `sizeof(struct tracer_field)`
        uint32_t field_size;
        // A C identifier.
        struct tracer_text name;
        // Bytes of its struct: 1 to 4096.
        uint32_t size;
        // Bytes of all texts behind it, at most 32768; 0 where no field is a `KIND_TEXT`.
        uint32_t texts;
        // The fields.
        const struct tracer_field *fields;
        // How many.
        uint64_t fields_len;
};

// A value of a field or of an option.
struct tracer_value {
        // `KIND_UINT`, `KIND_INT`, `KIND_STRING` or `KIND_BYTES`.
        uint32_t kind;
        // Zero.
        uint32_t reserved;
        // A number; a negative one in two's complement.
        uint64_t number;
        // A text or bytes, or the name of a number that has one; else of length 0. As long valid as the event, of an option until
        // `stop` returns.
        struct tracer_text bytes;
};

// An event. It and all that it points to are valid until the function returns that was given it.
struct tracer_event {
        // `sizeof(struct tracer_event)`
        uint32_t struct_size;
        // The probe's place in `tracer_session.probes`.
        uint16_t probe;
        // The CPU.
        uint16_t cpu;
        // CLOCK_MONOTONIC, nanoseconds.
        uint64_t time;
        // CLOCK_REALTIME, nanoseconds since 1970 (UTC); 0 where it is not known.
        int64_t realtime;
        // The process that ran on the CPU, and the thread, as the kernel numbers them.
        uint32_t tgid;
        // The thread.
        uint32_t pid;
        // The thread's name, up to a NUL or its end. It is the thread's own choice.
        uint8_t comm[16];
        // Of all events of a packet the same number, 0 where packets are not followed.
        uint64_t packet_id;
        // Addresses of the kernel stack, innermost first.
        const uint64_t *stack;
        // How many.
        uint64_t stack_len;
        // The whole record, as the format of traces has it.
        const uint8_t *record;
        // Its bytes.
        uint64_t record_len;
};

// An address that has a name.
struct tracer_symbol {
        // The function. Valid until the next call of the host's.
        struct tracer_text name;
        // Bytes from its begin.
        uint64_t offset;
};

// A member of one of the kernel's types.
struct tracer_member {
        // Bits from the begin of the type.
        uint64_t bit_offset;
        // Bytes of the member, or of the type that its bits are of.
        uint32_t size;
        // Bits of a bitfield, else 0.
        uint32_t bits;
};

// What a plugin may ask for, by the thread and during the functions that tracer calls, and at no other time. What has an
// event may be asked only about the one that was just given. Each gets `context` first.
//
// All return `OK`, `ABSENT`, or an error.
struct tracer_host {
        // `sizeof(struct tracer_host)`
        uint32_t struct_size;
        // The version of the interface that tracer has.
        uint16_t major;
        // The same.
        uint16_t minor;
        // To be given to each function.
        void *context;
        // Tells the user something, on standard error. At most 10 lines a second are shown; others are counted.
        int32_t (*log)(void *context, uint32_t level, struct tracer_text text);
        // Says why the function is going to return an error.
        int32_t (*fail)(void *context, struct tracer_text why);
        // The value of an option in `collector.toml`.
        int32_t (*option)(void *context, struct tracer_text name, struct tracer_value *value);
        // Finds a field that events may have: `handle` is for `value`, and stays the same.
        int32_t (*field)(void *context, struct tracer_text section, struct tracer_text field, uint32_t *handle);
        // A field of the event; `ABSENT` where the event does not have the section.
        int32_t (*value)(void *context, const struct tracer_event *event, uint32_t handle, struct tracer_value *value);
        // The event in words, `AS_TEXT` or `AS_JSON`. Valid as long as the event.
        int32_t (*render)(void *context, const struct tracer_event *event, uint32_t form, struct tracer_text *text);
        // The function of the kernel that has an address.
        int32_t (*symbol)(void *context, uint64_t address, struct tracer_symbol *symbol);
        // The address of a function or variable of the kernel.
        int32_t (*address)(void *context, struct tracer_text name, uint64_t *address);
        // The bytes of one of the kernel's structs or unions.
        int32_t (*type_size)(void *context, struct tracer_text name, uint32_t *size);
        // A member of one of the kernel's structs or unions.
        int32_t (*member)(void *context, struct tracer_text name, struct tracer_text member, struct tracer_member *found);
        // The value of an enumerator of one of the kernel's enums.
        int32_t (*enumerator)(void *context, struct tracer_text name, struct tracer_text enumerator, int64_t *value);
};

// A probe of the session.
struct tracer_probe {
        // Such as `__nft_trace_packet` or `skb:kfree_skb`.
        struct tracer_text name;
        // `k`, `kr`, `tp`, `fe` or `fx`.
        struct tracer_text tag;
};

// What is true of all events.
struct tracer_session {
        // `sizeof(struct tracer_session)`
        uint32_t struct_size;
        // 1: events come as they happen. 0: they come from a trace.
        uint32_t live;
        // `sizeof(struct tracer_probe)`
        uint32_t probe_size;
        // Zero.
        uint32_t reserved;
        // The version of tracer that saw the events.
        struct tracer_text tracer;
        // The host on which they happened.
        struct tracer_text host;
        // Its kernel's release.
        struct tracer_text kernel;
        // Its architecture, such as `x86_64`.
        struct tracer_text machine;
        // The inode number of tracer's own network namespace there, or 0.
        uint64_t own_netns;
        // The probes; `tracer_event.probe` counts them.
        const struct tracer_probe *probes;
        // How many.
        uint64_t probes_len;
        // All sections that events may have, each once.
        const struct tracer_section *sections;
        // How many.
        uint64_t sections_len;
};

// Room for the plugin's section. It is zeroed.
struct tracer_room {
        // `sizeof(struct tracer_room)`
        uint32_t struct_size;
        // Bytes of the struct.
        uint32_t section_len;
        // The struct; the texts begin right behind it.
        uint8_t *section;
        // Bytes that texts may take.
        uint32_t texts_len;
        // Bytes that they do take: set by the plugin.
        uint32_t texts_used;
};

// Events that were lost.
struct tracer_loss {
        // `sizeof(struct tracer_loss)`
        uint32_t struct_size;
        // The probe's place in `tracer_session.probes`.
        uint16_t probe;
        // The CPU.
        uint16_t cpu;
        // How many.
        uint64_t events;
        // The time of the event that came next, or 0 if none did.
        uint64_t before;
};

// What tracer calls, all from one thread, one after another. Those that are NULL are not.
struct tracer_functions {
        // `sizeof(struct tracer_functions)`
        uint32_t struct_size;
        // Zero.
        uint32_t reserved;
        // Comes first. `host` and `session` are valid until `stop` returns. What it puts into `state` is given to all others.
        int32_t (*start)(const struct tracer_host *host, const struct tracer_session *session, void **state);
        // Fills the plugin's section of an event: `OK`, `ABSENT`, or an error.
        int32_t (*enrich)(void *state, const struct tracer_event *event, struct tracer_room *room);
        // Takes an event, of a plugin that is a sink.
        int32_t (*event)(void *state, const struct tracer_event *event);
        // Takes the news that events were lost, of a plugin that is a sink.
        int32_t (*loss)(void *state, const struct tracer_loss *loss);
        // About once a second, whether or not there are events. `now`: CLOCK_MONOTONIC, nanoseconds.
        int32_t (*tick)(void *state, uint64_t now);
        // Behind some events, when there are no more for now: a plugin that is a sink passes on what it has kept.
        int32_t (*flush)(void *state);
        // Comes last, also after a failure of another but `start`: frees `state`.
        int32_t (*stop)(void *state);
};

// What a library says of itself. `tracer_plugin()` returns a pointer to one, which is valid for good.
struct tracer_plugin {
        // `TRACER_MAGIC`
        uint64_t magic;
        // `TRACER_MAJOR`
        uint16_t major;
        // `TRACER_MINOR`
        uint16_t minor;
        // `sizeof(struct tracer_plugin)`
        uint32_t struct_size;
        // The name in `collector.toml`.
        struct tracer_text name;
        // The plugin's own version, for people.
        struct tracer_text release;
        // Its licence, as SPDX has it.
        struct tracer_text licence;
        // What `enrich` fills; NULL if there is none.
        const struct tracer_section *section;
        // What tracer calls.
        const struct tracer_functions *functions;
};

/* A text that is written in the source. */
#define TRACER_TEXT(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }

/* A member of a section's struct, for tracer_section.fields. KIND is the end of a TRACER_KIND_..., SHOW a word or "". */
#define TRACER_FIELD(type, member, KIND, SHOW) \
	{ TRACER_TEXT(#member), TRACER_TEXT(SHOW), TRACER_KIND_##KIND, (uint32_t)offsetof(type, member), \
	  (uint32_t)sizeof(((type *)0)->member), 0, NULL, 0 }

/* The same of a number, with an array of struct tracer_name. */
#define TRACER_FIELD_NAMED(type, member, KIND, NAMES) \
	{ TRACER_TEXT(#member), { NULL, 0 }, TRACER_KIND_##KIND, (uint32_t)offsetof(type, member), \
	  (uint32_t)sizeof(((type *)0)->member), 0, NAMES, sizeof(NAMES) / sizeof((NAMES)[0]) }

#ifdef __cplusplus
#define TRACER_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define TRACER_EXPORT __attribute__((visibility("default")))
#endif

/* The library's one symbol. */
#define TRACER_PLUGIN(descriptor) \
	TRACER_EXPORT const struct tracer_plugin *tracer_plugin(void); \
	const struct tracer_plugin *tracer_plugin(void) \
	{ \
		return &(descriptor); \
	}

/* A text that ends in a NUL. */
static inline struct tracer_text tracer_text(const char *string)
{
	struct tracer_text text = { (const uint8_t *)string, 0 };

	while (string && string[text.len])
		text.len++;
	return text;
}

/*
 * Adds a text to a section, or as much of it as there is room for, and sets `field`, a uint32_t of TRACER_KIND_TEXT. (The cut may be
 * within a character.)
 */
static inline void tracer_add_text(struct tracer_room *room, uint32_t *field, const char *bytes, uint32_t len)
{
	uint32_t left = room->texts_len - room->texts_used, start = room->section_len + room->texts_used, i;

	if (len > left)
		len = left;
	for (i = 0; i < len; i++)
		room->section[start + i] = (uint8_t)bytes[i];
	room->texts_used += len;
	*field = len << 16 | start;
}

#endif /* TRACER_PLUGIN_H */
