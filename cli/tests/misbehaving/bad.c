/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A plugin that does what it is told by `-DHOW=...` at its second event: one of the names of functions below, all of which are
 * mistakes. It is a sink and adds a section.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tracer/plugin.h"

#ifndef MAJOR
#define MAJOR TRACER_MAJOR
#endif

struct added {
	uint32_t number;
	uint32_t text;
};

static const struct tracer_host *host;

static int32_t nothing(const struct tracer_event *event, struct tracer_room *room)
{
	(void)event, (void)room;
	return TRACER_ABSENT;
}

static int32_t error(const struct tracer_event *event, struct tracer_room *room)
{
	(void)event, (void)room;
	host->fail(host->context, tracer_text("the disk is full"));
	return TRACER_FAILED;
}

static int32_t crash(const struct tracer_event *event, struct tracer_room *room)
{
	(void)event, (void)room;
	*(volatile int *)8 = 1;
	return TRACER_OK;
}

static int32_t ends(const struct tracer_event *event, struct tracer_room *room)
{
	(void)event, (void)room;
	exit(3);
}

static int32_t blocks(const struct tracer_event *event, struct tracer_room *room)
{
	(void)event, (void)room;
	while (pause())
		;
	return TRACER_OK;
}

static int32_t status(const struct tracer_event *event, struct tracer_room *room)
{
	(void)event, (void)room;
	return 7;
}

/* Asks about an event that is over. */
static int32_t late(const struct tracer_event *event, struct tracer_room *room)
{
	static const struct tracer_event *before;
	struct tracer_text text;

	(void)room;
	if (before)
		host->render(host->context, before, TRACER_AS_TEXT, &text);
	before = event;
	return TRACER_OK;
}

static int32_t overrun(const struct tracer_event *event, struct tracer_room *room)
{
	(void)event;
	memset(room->section, 1, room->section_len + room->texts_len + 8);
	return TRACER_OK;
}

static int32_t sizes(const struct tracer_event *event, struct tracer_room *room)
{
	(void)event;
	room->texts_used = 70000;
	return TRACER_OK;
}

static int32_t start(const struct tracer_host *given, const struct tracer_session *session, void **state)
{
	static int some;

	(void)session;
	host = given;
	*state = &some;
	return TRACER_OK;
}

static int32_t enrich(void *state, const struct tracer_event *event, struct tracer_room *room)
{
	static int events;

	(void)state;
	return events++ ? HOW(event, room) : HOW == late ? late(event, room) : TRACER_ABSENT;
}

static int32_t event(void *state, const struct tracer_event *event)
{
	int32_t status = enrich(state, event, NULL);

	return status == TRACER_ABSENT ? TRACER_OK : status;
}

static const struct tracer_field fields[] = {
	TRACER_FIELD(struct added, number, UINT, ""),
	TRACER_FIELD(struct added, text, TEXT, ""),
};

static const struct tracer_section section = {
	.struct_size = sizeof(section),
	.field_size = sizeof(fields[0]),
	.name = TRACER_TEXT("bad"),
	.size = sizeof(struct added),
	.texts = 64,
	.fields = fields,
	.fields_len = 2,
};

static const struct tracer_functions functions = {
	.struct_size = sizeof(functions),
	.start = start,
	.enrich = enrich,
	.event = event,
};

static const struct tracer_plugin plugin = {
	.magic = TRACER_MAGIC,
	.major = MAJOR,
	.minor = TRACER_MINOR,
	.struct_size = sizeof(plugin),
	.name = TRACER_TEXT("bad"),
	.release = TRACER_TEXT("0.1.0"),
	.licence = TRACER_TEXT("MIT"),
	.section = &section,
	.functions = &functions,
};

TRACER_PLUGIN(plugin)

/* Whatever HOW is, the others are used too. */
int32_t (*const all[])(const struct tracer_event *, struct tracer_room *) = { nothing, error,  crash, ends,  blocks,
									      status,  late, overrun, sizes };
