// A plugin that asks for all that a plugin may ask for, and tells what it was answered: for asks.rs.
#include "tracer/plugin.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct asked {
	uint32_t length;
	uint32_t task;
};

static const struct tracer_host *host;
static uint32_t length_field;
static uint64_t ticks, rendered;

static void tell(const char *text)
{
	host->log(host->context, TRACER_LOG_INFO, tracer_text(text));
}

static int32_t start(const struct tracer_host *given, const struct tracer_session *session, void **state)
{
	struct tracer_value word = { 0 }, count = { 0 };
	struct tracer_member length = { 0 }, bits = { 0 };
	struct tracer_symbol symbol = { { NULL, 0 }, 0 };
	uint64_t address = 0;
	uint32_t size = 0;
	int64_t task = -1;
	char line[300];

	host = given;
	*state = NULL;
	host->option(host->context, tracer_text("word"), &word);
	host->option(host->context, tracer_text("count"), &count);
	snprintf(line, sizeof(line), "options: %.*s and %llu; live %u; of %llu probes the first is %.*s", (int)word.bytes.len,
		 (const char *)word.bytes.bytes, (unsigned long long)count.number, session->live,
		 (unsigned long long)session->probes_len, (int)session->probes[0].name.len,
		 (const char *)session->probes[0].name.bytes);
	tell(line);
	host->type_size(host->context, tracer_text("sk_buff"), &size);
	host->member(host->context, tracer_text("sk_buff"), tracer_text("len"), &length);
	host->member(host->context, tracer_text("sk_buff"), tracer_text("pkt_type"), &bits);
	host->enumerator(host->context, tracer_text("pid_type"), tracer_text("PIDTYPE_TGID"), &task);
	snprintf(line, sizeof(line), "types: sk_buff %s, its len has %u bytes and is inside: %d, its pkt_type %u bits; PIDTYPE_TGID %lld",
		 size > 100 ? "is there" : "is not", length.size, length.bit_offset / 8 + length.size <= size, bits.bits,
		 (long long)task);
	tell(line);
	if (host->address(host->context, tracer_text("vfs_read"), &address) == TRACER_OK)
		host->symbol(host->context, address + 4, &symbol);
	snprintf(line, sizeof(line), "symbols: %.*s+%llu", (int)symbol.name.len, (const char *)symbol.name.bytes,
		 (unsigned long long)symbol.offset);
	tell(line);
	if (host->type_size(host->context, tracer_text("no_such_type"), &size) != TRACER_ABSENT ||
	    host->option(host->context, tracer_text("no_such_option"), &word) != TRACER_ABSENT ||
	    host->field(host->context, tracer_text("skb"), tracer_text("no_such_field"), &length_field) != TRACER_ABSENT)
		tell("something is there that is not");
	return host->field(host->context, tracer_text("skb"), tracer_text("orig_len"), &length_field);
}

static int32_t enrich(void *state, const struct tracer_event *event, struct tracer_room *room)
{
	struct asked *asked = (struct asked *)room->section;
	struct tracer_value length;
	struct tracer_text json;
	int64_t late;

	(void)state;
	if (host->value(host->context, event, length_field, &length) != TRACER_OK)
		return TRACER_ABSENT;
	asked->length = (uint32_t)length.number;
	tracer_add_text(room, &asked->task, (const char *)event->comm, (uint32_t)strnlen((const char *)event->comm, 16));
	late = (int64_t)time(NULL) - event->realtime / 1000000000;
	if (late < -2 || late > 60)
		tell("the wall clock says something else");
	if (host->render(host->context, event, TRACER_AS_JSON, &json) == TRACER_OK && json.bytes[0] == '{')
		rendered++;
	return TRACER_OK;
}

static int32_t tick(void *state, uint64_t now)
{
	(void)state;
	ticks += now > 0;
	return TRACER_OK;
}

static int32_t stop(void *state)
{
	char line[100];

	(void)state;
	snprintf(line, sizeof(line), "%llu events as JSON; ticks: %s", (unsigned long long)rendered, ticks ? "some" : "none");
	tell(line);
	return TRACER_OK;
}

static const struct tracer_field fields[] = {
	TRACER_FIELD(struct asked, length, UINT, ""),
	TRACER_FIELD(struct asked, task, TEXT, ""),
};
static const struct tracer_section section = {
	sizeof(section), sizeof(fields[0]), TRACER_TEXT("asked"), sizeof(struct asked), 16, fields, 2,
};
static const struct tracer_functions functions = {
	.struct_size = sizeof(functions), .start = start, .enrich = enrich, .tick = tick, .stop = stop,
};
static const struct tracer_plugin plugin = {
	TRACER_MAGIC, TRACER_MAJOR, TRACER_MINOR, sizeof(plugin), TRACER_TEXT("asks"), TRACER_TEXT("1"), TRACER_TEXT("MIT"),
	&section, &functions,
};
TRACER_PLUGIN(plugin)
