/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A plugin that behaves, and a catalogue of ways in which one does not: `cc -shared -fPIC -pthread -DMODE_... [-DAT=...] hostile.c`.
 * Without a mode it behaves: it adds a section to events and is a sink. (A mode leaves functions unused, so -Wno-unused.)
 *
 * AT says in which function it happens, for those marked (AT): START, ENRICH (also if it is not said), EVENT, LOSS, TICK, FLUSH, STOP.
 * AFTER says how often it goes well before. With ALWAYS, events whose packets are not followed get a section too.
 *
 * It ends or stops its process:
 *	CONSTRUCTOR_ABORTS	before anything of it was called
 *	ENTRY_EXITS		in tracer_plugin()
 *	CRASH			writes to NULL (AT)
 *	ABORT			(AT)
 *	EXIT			exit(0), as if all were well (AT)
 *	THREAD_EXIT		ends the thread that called it (AT)
 *	LOOP			for ever, at full speed (AT)
 *	SLEEP			for an hour (AT)
 *	STACK			calls itself without end (AT)
 *	MEMORY			takes all that there is, and touches it (AT)
 *	SMASH			writes over all of the heap that it can reach from an event's record (AT: ENRICH, EVENT)
 * It takes away what others use:
 *	CLOSE_ALL		closes all file descriptors but the first three (AT)
 *	WRITE_ALL		writes to all of them (AT)
 *	FORK			leaves a child behind, that sleeps for an hour with all that it has inherited (AT)
 *	FORK_CRASH		leaves such a child behind, and crashes (AT)
 *	FORK_RETURNS		returns twice (AT)
 *	PRINT			to standard output (AT)
 *	CHATTER			10000 messages (AT)
 *	SIGNALS			ignores all signals that can be ignored (AT)
 *	SIGNAL_PARENT		asks the process that started it to end (AT)
 * It fails:
 *	FAIL			says why (AT)
 *	FAIL_LONG		and says it at length (AT)
 *	FAIL_CONTROL		and says it with an escape sequence of a terminal (AT)
 *	FAIL_SILENT		does not say why (AT)
 *	STATUS_7		returns what means nothing (AT)
 *	PANICKED		says that it has panicked (AT)
 *	OPTION			does not start if the option `n` is more than 100
 *	SAYS_ABSENT		returns ABSENT (AT: everywhere but in ENRICH that means nothing)
 * It writes what it should not:
 *	OVERRUN_1, OVERRUN_2K	behind its room, from its end on
 *	OVERRUN_FAR		a single byte, 2000 behind its room
 *	UNDERRUN_1, UNDERRUN_2K	in front of it
 *	TEXTS_USED		says that more bytes are used than there are
 *	TEXT_OUTSIDE		refers to a text that is not in its section
 *	ROOM_MOVED		changes what it was told of its room
 * It asks at the wrong time:
 *	THREAD			from a thread, while it is called (AT)
 *	THREAD_LATER		from a thread, when the function has returned (AT)
 *	STALE_EVENT		about the event before
 *	EVENT_IN_TICK		about an event in `tick`
 *	AFTER_STOP		from a thread, when `stop` has returned
 *	SIGNAL			from a signal handler, between its calls
 * It asks wrongly:
 *	ARGUMENTS		NULL, not UTF-8, too long, no such number: it fails if it is not told so (AT: ENRICH, EVENT)
 *	ASK_ON			about the event until it is told to stop (AT: ENRICH, EVENT)
 * Its descriptor is wrong, or not as usual: see there.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tracer/plugin.h"

enum function { START = 1, ENRICH, EVENT, LOSS, TICK, FLUSH, STOP };

#ifndef AT
#define AT ENRICH
#endif

#ifndef AFTER
#define AFTER 0
#endif

#ifdef ALWAYS
#define HAS_SECTION(event) 1
#else
#define HAS_SECTION(event) ((event)->packet_id != 0)
#endif

static const struct tracer_host *host;
static const struct tracer_event *last;
static uint64_t events;
static volatile int32_t status = 1000;

/* What the host answered at a wrong time; 1000 if it was not asked yet. */
TRACER_EXPORT int32_t hostile_status(void);
int32_t hostile_status(void)
{
	return status;
}

static void rest(long milliseconds)
{
	struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000 };

	while (nanosleep(&time, &time))
		;
}

static int32_t ask(void)
{
	uint64_t address;

	return host->address(host->context, tracer_text("nf_hook_slow"), &address);
}

static int32_t ask_about(const struct tracer_event *event)
{
	struct tracer_value value;

	return host->value(host->context, event, 1, &value);
}

#if defined(MODE_THREAD) || defined(MODE_THREAD_LATER) || defined(MODE_AFTER_STOP)
static void *asks_later(void *milliseconds)
{
	rest((long)(intptr_t)milliseconds);
	status = ask();
	return NULL;
}

static void ask_by_thread(long milliseconds, int join)
{
	pthread_t thread;

	pthread_create(&thread, NULL, asks_later, (void *)(intptr_t)milliseconds);
	if (join)
		pthread_join(thread, NULL);
	else
		pthread_detach(thread);
}
#endif

#ifdef MODE_SIGNAL
static void asks_at_signal(int number)
{
	(void)number;
	status = ask();
}
#endif

#ifdef MODE_STACK
static int deeper(volatile int *above)
{
	volatile int here[1024];

	here[0] = *above + 1;
	return deeper(here) + here[0];
}
#endif

#ifdef MODE_ARGUMENTS
#define EXPECT(wanted, call) \
	do { \
		int32_t is = (call); \
		if (is != (wanted)) { \
			char why[160]; \
			snprintf(why, sizeof(why), "%s returned %d", #call, is); \
			host->fail(host->context, tracer_text(why)); \
			return TRACER_FAILED; \
		} \
	} while (0)

static int32_t asks_wrongly(const struct tracer_event *event)
{
	static uint8_t much[65537];
	void *context = host->context;
	struct tracer_text name = tracer_text("x"), null = { NULL, 1 }, none = { NULL, 0 }, latin = { (const uint8_t *)"\xe4", 1 };
	struct tracer_text longest = { much, 65536 }, longer = { much, 65537 }, endless = { much, UINT64_MAX }, text;
	struct tracer_value value;
	struct tracer_member member;
	uint64_t number64;
	int64_t signed64;
	uint32_t number;

	memset(much, 'a', sizeof(much));
	EXPECT(TRACER_BAD_ARGUMENT, host->log(context, 1, null));
	EXPECT(TRACER_BAD_ARGUMENT, host->log(context, 1, latin));
	EXPECT(TRACER_BAD_ARGUMENT, host->log(context, 1, longer));
	EXPECT(TRACER_BAD_ARGUMENT, host->log(context, 1, endless));
	EXPECT(TRACER_BAD_ARGUMENT, host->log(context, 3, name));
	EXPECT(TRACER_OK, host->log(context, 1, longest));
	EXPECT(TRACER_OK, host->log(context, 1, none));
	EXPECT(TRACER_BAD_ARGUMENT, host->fail(context, null));
	EXPECT(TRACER_BAD_ARGUMENT, host->fail(context, latin));
	EXPECT(TRACER_BAD_ARGUMENT, host->option(context, null, &value));
	EXPECT(TRACER_BAD_ARGUMENT, host->option(context, name, NULL));
	EXPECT(TRACER_ABSENT, host->option(context, name, &value));
	EXPECT(TRACER_BAD_ARGUMENT, host->field(context, null, name, &number));
	EXPECT(TRACER_BAD_ARGUMENT, host->field(context, name, latin, &number));
	EXPECT(TRACER_BAD_ARGUMENT, host->field(context, name, name, NULL));
	EXPECT(TRACER_ABSENT, host->field(context, name, name, &number));
	EXPECT(TRACER_BAD_ARGUMENT, host->value(context, NULL, 1, &value));
	EXPECT(TRACER_BAD_ARGUMENT, host->value(context, event, 1, NULL));
	EXPECT(TRACER_ABSENT, host->value(context, event, UINT32_MAX, &value));
	EXPECT(TRACER_BAD_ARGUMENT, host->render(context, NULL, TRACER_AS_TEXT, &text));
	EXPECT(TRACER_BAD_ARGUMENT, host->render(context, event, TRACER_AS_TEXT, NULL));
	EXPECT(TRACER_BAD_ARGUMENT, host->render(context, event, 2, &text));
	EXPECT(TRACER_BAD_ARGUMENT, host->symbol(context, 0, NULL));
	EXPECT(TRACER_BAD_ARGUMENT, host->address(context, null, &number64));
	EXPECT(TRACER_BAD_ARGUMENT, host->address(context, name, NULL));
	EXPECT(TRACER_BAD_ARGUMENT, host->type_size(context, latin, &number));
	EXPECT(TRACER_BAD_ARGUMENT, host->type_size(context, name, NULL));
	EXPECT(TRACER_BAD_ARGUMENT, host->member(context, name, null, &member));
	EXPECT(TRACER_BAD_ARGUMENT, host->member(context, name, name, NULL));
	EXPECT(TRACER_BAD_ARGUMENT, host->enumerator(context, latin, name, &signed64));
	EXPECT(TRACER_BAD_ARGUMENT, host->enumerator(context, name, name, NULL));
	EXPECT(TRACER_BAD_ARGUMENT, host->log(NULL, 1, name));
	EXPECT(TRACER_BAD_ARGUMENT, host->log((char *)context + 8, 1, name));
	return TRACER_OK;
}
#endif

/* Does what the mode says, wherever that is. Returns the status of the function. */
static int32_t act(enum function at, const struct tracer_event *event)
{
	static uint64_t times;

	(void)event;
	if (at != AT || ++times <= AFTER)
		return TRACER_OK;
#if defined(MODE_CRASH)
	*(volatile int *)NULL = 1;
#elif defined(MODE_ABORT)
	abort();
#elif defined(MODE_EXIT)
	exit(0);
#elif defined(MODE_THREAD_EXIT)
	pthread_exit(NULL);
#elif defined(MODE_LOOP)
	for (;;)
		status = 1000;
#elif defined(MODE_SLEEP)
	rest(3600 * 1000L);
#elif defined(MODE_STACK)
	volatile int zero = 0;

	return deeper(&zero) & 1;
#elif defined(MODE_MEMORY)
	for (;;) {
		char *all = malloc(1 << 20);

		if (all)
			memset(all, 1, 1 << 20);
	}
#elif defined(MODE_SMASH)
	if (event)
		memset((uint8_t *)event->record, 0x41, 64 << 20);
#elif defined(MODE_CLOSE_ALL)
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
#elif defined(MODE_WRITE_ALL)
	for (int fd = 3; fd < 1024; fd++) {
		char noise[4096];

		memset(noise, 0xa5, sizeof(noise));
		if (fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && write(fd, noise, sizeof(noise)) < 0)
			continue;
	}
#elif defined(MODE_FORK) || defined(MODE_FORK_CRASH)
	if (fork() == 0) {
		rest(3600 * 1000L);
		_exit(0);
	}
#ifdef MODE_FORK_CRASH
	*(volatile int *)NULL = 1;
#endif
#elif defined(MODE_FORK_RETURNS)
	if (fork() < 0)
		return TRACER_FAILED;
#elif defined(MODE_PRINT)
	puts("a plugin speaks");
	fflush(stdout);
#elif defined(MODE_CHATTER)
	for (int i = 0; i < 10000; i++)
		host->log(host->context, TRACER_LOG_INFO, tracer_text("again and again"));
#elif defined(MODE_SIGNALS)
	for (int number = 1; number < 32; number++)
		signal(number, SIG_IGN);
#elif defined(MODE_SIGNAL_PARENT)
	static int asked;

	if (!asked++)
		kill(getppid(), SIGTERM);
#elif defined(MODE_FAIL)
	host->fail(host->context, tracer_text("the disk is full"));
	return TRACER_FAILED;
#elif defined(MODE_FAIL_LONG)
	static uint8_t why[4096];
	struct tracer_text text = { why, sizeof(why) };

	/* One character of two bytes after another, which do not end at an even place. */
	for (size_t i = 0; i < sizeof(why); i++)
		why[i] = i == 0 || i == sizeof(why) - 1 ? '.' : i % 2 ? 0xc3 : 0xa4;
	host->fail(host->context, text);
	return TRACER_FAILED;
#elif defined(MODE_FAIL_CONTROL)
	host->fail(host->context, tracer_text("\033[2Jnothing\nhappened"));
	return TRACER_FAILED;
#elif defined(MODE_FAIL_SILENT)
	return -77;
#elif defined(MODE_STATUS_7)
	return 7;
#elif defined(MODE_PANICKED)
	host->fail(host->context, tracer_text("index out of bounds"));
	return TRACER_PANICKED;
#elif defined(MODE_SAYS_ABSENT)
	return TRACER_ABSENT;
#elif defined(MODE_THREAD)
	ask_by_thread(0, 1);
#elif defined(MODE_THREAD_LATER)
	ask_by_thread(20, 0);
#elif defined(MODE_ARGUMENTS)
	return asks_wrongly(event);
#elif defined(MODE_ASK_ON)
	struct tracer_text text;

	while (host->render(host->context, event, TRACER_AS_JSON, &text) == TRACER_OK)
		;
	return TRACER_FAILED;
#endif
	return TRACER_OK;
}

/* Its section. */
struct well {
	uint64_t packet;
	int16_t negative;
	uint8_t verdict;
	uint8_t bytes[5];
	char comm[16];
	uint32_t name;
	uint32_t other;
};

static const struct tracer_name verdicts[] = { { 0, TRACER_TEXT("drop") }, { 1, TRACER_TEXT("accept") } };

static int32_t start(const struct tracer_host *h, const struct tracer_session *session, void **state)
{
	(void)session;
	host = h;
	*state = malloc(1);
#ifdef MODE_SIGNAL
	signal(SIGUSR2, asks_at_signal);
#endif
#ifdef MODE_OPTION
	struct tracer_value n;

	if (host->option(host->context, tracer_text("n"), &n) != TRACER_OK || n.number > 100) {
		host->fail(host->context, tracer_text("n is too large"));
		return TRACER_FAILED;
	}
#endif
	return act(START, NULL);
}

static int32_t enrich(void *state, const struct tracer_event *event, struct tracer_room *room)
{
	struct well *well = (struct well *)room->section;
	size_t all = (size_t)room->section_len + room->texts_len;
	int32_t acted = act(ENRICH, event);

	(void)state;
	if (acted != TRACER_OK)
		return acted;
#ifdef MODE_STALE_EVENT
	if (last)
		status = ask_about(last);
#endif
	last = event;
	if (!HAS_SECTION(event))
		return TRACER_ABSENT;
	for (size_t i = 0; i < all; i++)
		if (room->section[i] != 0)
			return -99;
	well->packet = event->packet_id;
	well->negative = -3;
	well->verdict = 1;
	memcpy(well->bytes, "\1\2\3\4\5", 5);
	memcpy(well->comm, event->comm, sizeof(well->comm));
	tracer_add_text(room, &well->name, "a name", 6);
	tracer_add_text(room, &well->other, "another", 7);
#if defined(MODE_OVERRUN_1)
	room->section[all] = 0;
#elif defined(MODE_OVERRUN_2K)
	memset(room->section + all, 0, 2048);
#elif defined(MODE_OVERRUN_FAR)
	room->section[all + 2000] = 0;
#elif defined(MODE_UNDERRUN_1)
	room->section[-1] = 0;
#elif defined(MODE_UNDERRUN_2K)
	memset(room->section - 2048, 0, 2048);
#elif defined(MODE_TEXTS_USED)
	room->texts_used = room->texts_len + 1;
#elif defined(MODE_TEXT_OUTSIDE)
	well->other += 1 << 16;
#elif defined(MODE_ROOM_MOVED)
	room->section = (uint8_t *)room;
	room->section_len = UINT32_MAX;
	room->texts_len = UINT32_MAX;
#endif
	return TRACER_OK;
}

static int32_t event(void *state, const struct tracer_event *event)
{
	(void)state;
	events++;
#ifdef MODE_STALE_EVENT
	if (last)
		status = ask_about(last);
#endif
	last = event;
	return act(EVENT, event);
}

static int32_t loss(void *state, const struct tracer_loss *loss)
{
	(void)state;
	events += loss->events;
	return act(LOSS, NULL);
}

static int32_t tick(void *state, uint64_t now)
{
	(void)state;
	(void)now;
#ifdef MODE_EVENT_IN_TICK
	status = ask_about(last);
#endif
	return act(TICK, NULL);
}

static int32_t flush(void *state)
{
	(void)state;
	return act(FLUSH, NULL);
}

static int32_t stop(void *state)
{
	free(state);
#ifdef MODE_AFTER_STOP
	ask_by_thread(20, 0);
#endif
	return act(STOP, NULL);
}

/*
 * The descriptor:
 *	NULL_DESCRIPTOR, WRONG_MAGIC, MAJOR_2
 *	MINOR_7			a later version, with longer structs: to be taken
 *	PLUGIN_SMALL, PLUGIN_LARGE, FUNCTIONS_NULL, FUNCTIONS_SMALL, FUNCTIONS_LARGE, SECTION_SMALL, SECTION_LARGE, FIELD_SMALL, FIELD_LARGE:
 *				sizes that cannot be
 *	FIELDS_MANY, FIELDS_NULL, NAMES_MANY, NAMES_NULL, STRUCT_EMPTY, STRUCT_LARGE, TEXTS_LARGE
 *	TEXT_LONG, TEXT_LATIN, TEXT_NULL		its release
 *	NAME_BAD, SECTION_NAME_BAD, FIELD_NAME_BAD
 *	FIELD_OUTSIDE, FIELD_FAR, FIELD_TWICE, FIELD_KIND, FIELD_WIDTH, FIELD_NO_BYTES, FIELD_NAMES, NO_TEXTS
 *	NO_SECTION, NO_ENRICH, NOTHING
 *	ONLY_SINK, ONLY_ENRICH				to be taken
 *	NO_ENTRY, HIDDEN_ENTRY, DATA_ENTRY, UNDEFINED	what it exports and needs
 */
#ifdef MODE_MINOR_7
struct functions { struct tracer_functions now; void *later[3]; };
struct section { struct tracer_section now; void *later; };
struct field { struct tracer_field now; uint64_t later; };
struct plugin { struct tracer_plugin now; void *later[7]; };
#define LATER , { 0 }
#define LATER_ONE , 0
#else
struct functions { struct tracer_functions now; };
struct section { struct tracer_section now; };
struct field { struct tracer_field now; };
struct plugin { struct tracer_plugin now; };
#define LATER
#define LATER_ONE
#endif

#ifdef MODE_FIELD_NAME_BAD
#define VERDICT "ver-dict"
#elif defined(MODE_FIELD_TWICE)
#define VERDICT "packet"
#else
#define VERDICT "verdict"
#endif

#if defined(MODE_FIELD_OUTSIDE)
#define PLACE sizeof(struct well), 1
#elif defined(MODE_FIELD_FAR)
#define PLACE UINT32_MAX, 1
#elif defined(MODE_FIELD_WIDTH)
#define PLACE offsetof(struct well, verdict), 3
#else
#define PLACE offsetof(struct well, verdict), 1
#endif

#ifdef MODE_FIELD_KIND
#define KIND 6
#else
#define KIND TRACER_KIND_UINT
#endif

#if defined(MODE_NAMES_MANY)
#define NAMES verdicts, 4097
#elif defined(MODE_NAMES_NULL)
#define NAMES NULL, 2
#else
#define NAMES verdicts, 2
#endif

static const struct field fields[] = {
	{ TRACER_FIELD(struct well, packet, UINT, "hex") LATER_ONE },
	{ TRACER_FIELD(struct well, negative, INT, "") LATER_ONE },
	{ { TRACER_TEXT(VERDICT), TRACER_TEXT("plain"), KIND, PLACE, 0, NAMES } LATER_ONE },
#if defined(MODE_FIELD_NO_BYTES)
	{ { TRACER_TEXT("bytes"), TRACER_TEXT(""), TRACER_KIND_BYTES, 11, 0, 0, NULL, 0 } LATER_ONE },
#elif defined(MODE_FIELD_NAMES)
	{ { TRACER_TEXT("bytes"), TRACER_TEXT(""), TRACER_KIND_BYTES, 11, 5, 0, verdicts, 2 } LATER_ONE },
#else
	{ TRACER_FIELD(struct well, bytes, BYTES, "") LATER_ONE },
#endif
	{ TRACER_FIELD(struct well, comm, STRING, "") LATER_ONE },
	{ TRACER_FIELD(struct well, name, TEXT, "") LATER_ONE },
	{ TRACER_FIELD(struct well, other, TEXT, "") LATER_ONE },
};

static const struct section section = { {
#ifdef MODE_SECTION_SMALL
	.struct_size = offsetof(struct tracer_section, fields_len),
#elif defined(MODE_SECTION_LARGE)
	.struct_size = 4097,
#else
	.struct_size = sizeof(struct section),
#endif
#ifdef MODE_FIELD_SMALL
	.field_size = offsetof(struct tracer_field, names_len),
#elif defined(MODE_FIELD_LARGE)
	.field_size = UINT32_MAX,
#else
	.field_size = sizeof(struct field),
#endif
#ifdef MODE_SECTION_NAME_BAD
	.name = TRACER_TEXT("7well"),
#else
	.name = TRACER_TEXT("well"),
#endif
#ifdef MODE_STRUCT_EMPTY
	.size = 0,
#elif defined(MODE_STRUCT_LARGE)
	.size = 4097,
#else
	.size = sizeof(struct well),
#endif
#ifdef MODE_TEXTS_LARGE
	.texts = 32769,
#elif defined(MODE_NO_TEXTS)
	.texts = 0,
#else
	.texts = 100,
#endif
#ifndef MODE_FIELDS_NULL
	.fields = &fields[0].now,
#endif
#ifdef MODE_FIELDS_MANY
	.fields_len = 257,
#else
	.fields_len = sizeof(fields) / sizeof(*fields),
#endif
} LATER_ONE };

static const struct functions functions = { {
#ifdef MODE_FUNCTIONS_SMALL
	.struct_size = offsetof(struct tracer_functions, stop),
#elif defined(MODE_FUNCTIONS_LARGE)
	.struct_size = 1 << 20,
#else
	.struct_size = sizeof(struct functions),
#endif
	.start = start,
#if !defined(MODE_NO_ENRICH) && !defined(MODE_NOTHING) && !defined(MODE_ONLY_SINK)
	.enrich = enrich,
#endif
#if !defined(MODE_NOTHING) && !defined(MODE_ONLY_ENRICH)
	.event = event,
#endif
	.loss = loss,
	.tick = tick,
	.flush = flush,
	.stop = stop,
} LATER };

#ifdef MODE_TEXT_LONG
#define MUCH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define RELEASE TRACER_TEXT(MUCH MUCH MUCH MUCH "0")
#elif defined(MODE_TEXT_LATIN)
#define RELEASE TRACER_TEXT("1.\xe4")
#elif defined(MODE_TEXT_NULL)
#define RELEASE { NULL, 1 }
#else
#define RELEASE TRACER_TEXT("1.2")
#endif

static const struct plugin plugin = { {
#ifdef MODE_WRONG_MAGIC
	.magic = 0x7f454c46,
#else
	.magic = TRACER_MAGIC,
#endif
#ifdef MODE_MAJOR_2
	.major = 2,
	.minor = 3,
#elif defined(MODE_MINOR_7)
	.major = TRACER_MAJOR,
	.minor = 7,
#else
	.major = TRACER_MAJOR,
	.minor = TRACER_MINOR,
#endif
#ifdef MODE_PLUGIN_SMALL
	.struct_size = offsetof(struct tracer_plugin, functions),
#elif defined(MODE_PLUGIN_LARGE)
	.struct_size = UINT32_MAX,
#else
	.struct_size = sizeof(struct plugin),
#endif
#ifdef MODE_NAME_BAD
	.name = TRACER_TEXT("ho\033stile"),
#else
	.name = TRACER_TEXT("hostile"),
#endif
	.release = RELEASE,
	.licence = TRACER_TEXT("MIT"),
#if !defined(MODE_NO_SECTION) && !defined(MODE_NOTHING) && !defined(MODE_ONLY_SINK)
	.section = &section.now,
#endif
#ifndef MODE_FUNCTIONS_NULL
	.functions = &functions.now,
#endif
} LATER };

#ifdef MODE_CONSTRUCTOR_ABORTS
__attribute__((constructor)) static void constructor(void)
{
	abort();
}
#endif

#ifdef MODE_UNDEFINED
extern void there_is_no_such_function(void);
#endif

#if defined(MODE_NO_ENTRY)
#define ENTRY some_other_function
#else
#define ENTRY tracer_plugin
#endif

#ifdef MODE_DATA_ENTRY
TRACER_EXPORT const void *const tracer_plugin = &plugin;
#else
#ifdef MODE_HIDDEN_ENTRY
__attribute__((visibility("hidden"))) const struct tracer_plugin *ENTRY(void);
#else
TRACER_EXPORT const struct tracer_plugin *ENTRY(void);
#endif
const struct tracer_plugin *ENTRY(void)
{
#ifdef MODE_UNDEFINED
	there_is_no_such_function();
#endif
#ifdef MODE_ENTRY_EXITS
	exit(0);
#endif
#ifdef MODE_NULL_DESCRIPTOR
	return NULL;
#else
	return &plugin.now;
#endif
}
#endif
