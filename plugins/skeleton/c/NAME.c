/* SPDX-License-Identifier: MIT */
/* A sink that appends a line to a file for each event: when, which process, where, and the packet's length. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tracer/plugin.h"

/* What is kept between events. */
struct sink {
	const struct tracer_host *host;
	const struct tracer_session *session;
	FILE *file;
	/* The field `skb.len`, if events may have it. */
	int has_len;
	uint32_t len;
};

/* Says why it cannot go on: told to the user, who keeps the trace, but not this sink. */
static int32_t fail(const struct tracer_host *host, const char *what)
{
	char why[512];

	snprintf(why, sizeof(why), "%s: %s", what, strerror(errno));
	host->fail(host->context, tracer_text(why));
	return TRACER_FAILED;
}

/* Opens the file of the option `file`. */
static FILE *opened(const struct tracer_host *host)
{
	struct tracer_value option = { 0 };
	char path[4096];
	int fd;

	if (host->option(host->context, tracer_text("file"), &option) != TRACER_OK || !option.bytes.len)
		return fdopen(dup(STDERR_FILENO), "a");
	/* Texts do not end in a NUL. */
	snprintf(path, sizeof(path), "%.*s", (int)option.bytes.len, (const char *)option.bytes.bytes);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? NULL : fdopen(fd, "a");
}

static int32_t start(const struct tracer_host *host, const struct tracer_session *session, void **state)
{
	struct sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return fail(host, "cannot begin");
	sink->host = host;
	sink->session = session;
	sink->has_len = host->field(host->context, tracer_text("skb"), tracer_text("len"), &sink->len) == TRACER_OK;
	sink->file = opened(host);
	if (!sink->file) {
		int32_t status = fail(host, "cannot open the file of `--NAME-file`");

		free(sink);
		return status;
	}
	*state = sink;
	return TRACER_OK;
}

/* Names are the choice of whoever has them: nothing in them must reach a terminal that is more than a character. */
static void put(FILE *file, const uint8_t *bytes, uint64_t len)
{
	uint64_t i;

	for (i = 0; i < len && bytes[i]; i++)
		putc(bytes[i] < 0x20 || bytes[i] >= 0x7f ? '?' : bytes[i], file);
}

static void put_probe(FILE *file, const struct tracer_session *session, uint16_t probe)
{
	/* A newer tracer's structs may be longer than those that this was compiled with: they say how long they are. */
	const uint8_t *at = (const uint8_t *)session->probes + (size_t)session->probe_size * probe;
	const struct tracer_probe *found = (const void *)at;

	if (probe < session->probes_len)
		put(file, found->name.bytes, found->name.len);
}

static int32_t event(void *state, const struct tracer_event *event)
{
	struct sink *sink = state;
	struct tracer_value len = { 0 };

	fprintf(sink->file, "%" PRIu64 ".%09" PRIu64 " ", event->time / 1000000000, event->time % 1000000000);
	put(sink->file, event->comm, sizeof(event->comm));
	fprintf(sink->file, " (%" PRIu32 ") ", event->tgid);
	put_probe(sink->file, sink->session, event->probe);
	if (sink->has_len && sink->host->value(sink->host->context, event, sink->len, &len) == TRACER_OK)
		fprintf(sink->file, " len %" PRIu64, len.number);
	putc('\n', sink->file);
	return TRACER_OK;
}

static int32_t loss(void *state, const struct tracer_loss *loss)
{
	struct sink *sink = state;

	fprintf(sink->file, "lost %" PRIu64 " events of ", loss->events);
	put_probe(sink->file, sink->session, loss->probe);
	putc('\n', sink->file);
	return TRACER_OK;
}

/* There are no more events for now: whoever reads the file sees what there is. */
static int32_t flush(void *state)
{
	struct sink *sink = state;

	return fflush(sink->file) ? fail(sink->host, "cannot write the lines") : TRACER_OK;
}

static int32_t stop(void *state)
{
	struct sink *sink = state;
	const struct tracer_host *host = sink->host;
	int failed = fclose(sink->file);

	free(sink);
	return failed ? fail(host, "cannot write the lines") : TRACER_OK;
}

static const struct tracer_functions functions = {
	.struct_size = sizeof(functions),
	.start = start,
	.event = event,
	.loss = loss,
	.flush = flush,
	.stop = stop,
};

static const struct tracer_plugin plugin = {
	.magic = TRACER_MAGIC,
	.major = TRACER_MAJOR,
	.minor = TRACER_MINOR,
	.struct_size = sizeof(plugin),
	.name = TRACER_TEXT("NAME"),
	.release = TRACER_TEXT("0.1.0"),
	.licence = TRACER_TEXT("MIT"),
	.functions = &functions,
};

TRACER_PLUGIN(plugin)
