/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A sink that writes a line to syslog for each event: `tracer collect -p nft-dropmon --sink syslog`.
 *
 * While events happen it never waits: a line that the daemon does not take at once is lost and counted, and the user is told how
 * many were. (Those of a stored trace can wait a little.) Where nobody listens any more, it looks once a second whether somebody
 * does again.
 *
 * Lines have the form of RFC 3164, as the C library's syslog() writes them: without the host, which the daemon knows.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tracer/plugin.h"

#define SECOND 1000000000ull
/* How often the user is told of lines that were not taken. */
#define TOLD_EVERY (60 * SECOND)
/* How long a line of a stored trace waits for the daemon, in milliseconds. */
#define PATIENCE 200
/* As many bytes as the option `longest` permits. */
#define LINE_MAX_BYTES 65000

struct sink {
	const struct tracer_host *host;
	const struct tracer_session *session;
	struct sockaddr_un address;
	/* -1 while nobody listens. */
	int fd;
	/* Whether it may be tried to connect: once in a second. */
	int may_connect;
	/* Whether it makes sense to wait: not at all live, nor behind a line for which it was in vain. */
	int may_wait;
	unsigned priority;
	uint32_t form;
	size_t longest;
	/* Lines that were taken, that were not, and as many of the latter as the user knows of. */
	uint64_t taken, refused, told;
	/* When the user was told. */
	uint64_t told_at;
	char line[LINE_MAX_BYTES];
};

static void say(struct sink *sink, uint32_t level, const char *format, ...)
{
	char text[512];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	sink->host->log(sink->host->context, level, tracer_text(text));
}

/* Says why it cannot be used, and gives what `start` returns then. */
static int32_t fail(const struct tracer_host *host, const char *format, ...)
{
	char text[512];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	host->fail(host->context, tracer_text(text));
	return TRACER_FAILED;
}

/* -- The socket ----------------------------------------------------------------------------------------------------- */

/* Returns 0, or an error of the system's. */
static int connect_to_daemon(struct sink *sink)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	sink->may_connect = 0;
	if (fd < 0)
		return errno;
	if (connect(fd, (const struct sockaddr *)&sink->address, sizeof(sink->address))) {
		int error = errno;

		close(fd);
		return error;
	}
	sink->fd = fd;
	return 0;
}

/* Waits until the daemon takes lines again, if that may be, and it does. */
static int waited(struct sink *sink)
{
	struct pollfd daemon = { .fd = sink->fd, .events = POLLOUT };

	if (sink->may_wait)
		sink->may_wait = poll(&daemon, 1, PATIENCE) > 0;
	return sink->may_wait;
}

/* Sends a line, live only if that is possible at once. */
static int taken(struct sink *sink, size_t len)
{
	for (;;) {
		if (sink->fd < 0 && (!sink->may_connect || connect_to_daemon(sink)))
			return 0;
		if (send(sink->fd, sink->line, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 1;
		switch (errno) {
		case EINTR:
			break;
		/* It has more to do than it can: the next line may have better luck. */
		case EAGAIN:
			if (waited(sink))
				break;
			return 0;
		case ENOBUFS:
		case EMSGSIZE:
			return 0;
		/* It has ended. Another may be there already. */
		default:
			close(sink->fd);
			sink->fd = -1;
		}
	}
}

/* -- Lines ---------------------------------------------------------------------------------------------------------- */

/* Begins a line, with a time in nanoseconds since 1970, or 0 for now. Returns its bytes. */
static size_t begin(struct sink *sink, int64_t realtime)
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t seconds = realtime ? (time_t)(realtime / (int64_t)SECOND) : time(NULL);
	struct tm at = { 0 };
	int len;

	localtime_r(&seconds, &at);
	len = snprintf(sink->line, sizeof(sink->line), "<%u>%s %2d %02d:%02d:%02d tracer[%d]: ", sink->priority,
		       months[at.tm_mon % 12], at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec, (int)getpid());
	return len < 0 ? 0 : (size_t)len;
}

/*
 * Adds a text to a line of so many bytes: a line end, and what the next line is indented by, becomes `; `; a control character
 * becomes `?`, since a log may be shown on a terminal. What does not fit is cut. Returns the line's bytes.
 */
static size_t add(struct sink *sink, size_t len, struct tracer_text text)
{
	size_t end = sink->longest - 3, i = 0;
	const uint8_t *bytes = text.bytes;

	/* It is cut already. */
	if (len > end)
		return len;
	while (text.len && bytes[text.len - 1] == '\n')
		text.len--;
	while (i < text.len) {
		uint8_t byte = bytes[i++];

		if (len + 2 > end) {
			/* Not within a character: what begins with 10 in binary is not the first byte of one. */
			if ((byte & 0xc0) == 0x80) {
				while (len && ((uint8_t)sink->line[len - 1] & 0xc0) == 0x80)
					len--;
				if (len)
					len--;
			}
			memcpy(sink->line + len, "...", 3);
			return len + 3;
		}
		if (byte == '\n') {
			while (i < text.len && bytes[i] == ' ')
				i++;
			sink->line[len++] = ';';
			sink->line[len++] = ' ';
		} else if (byte < 0x20 || byte == 0x7f) {
			sink->line[len++] = '?';
		} else if (byte == 0xc2 && i < text.len && bytes[i] < 0xa0) {
			/* U+0080 to U+009F are control characters too. */
			i++;
			sink->line[len++] = '?';
		} else {
			sink->line[len++] = (char)byte;
		}
	}
	return len;
}

static void end(struct sink *sink, size_t len)
{
	if (taken(sink, len))
		sink->taken++;
	else
		sink->refused++;
}

/* -- What tracer calls ---------------------------------------------------------------------------------------------- */

static int number(const struct tracer_host *host, const char *name, uint64_t *number)
{
	struct tracer_value value = { 0 };
	int32_t status = host->option(host->context, tracer_text(name), &value);

	*number = value.number;
	return status == TRACER_OK && value.kind == TRACER_KIND_UINT;
}

static int text(const struct tracer_host *host, const char *name, struct tracer_text *text)
{
	struct tracer_value value = { 0 };
	int32_t status = host->option(host->context, tracer_text(name), &value);

	*text = value.bytes;
	return status == TRACER_OK && value.kind == TRACER_KIND_STRING;
}

static int is(struct tracer_text text, const char *word)
{
	return text.len == strlen(word) && !memcmp(text.bytes, word, text.len);
}

/* What the options say, or an error. */
static int32_t settle(struct sink *sink)
{
	const struct tracer_host *host = sink->host;
	struct tracer_text path, form;
	uint64_t facility, severity, longest;

	if (!number(host, "facility", &facility) || !number(host, "severity", &severity) ||
	    !number(host, "longest", &longest) || !text(host, "socket", &path) || !text(host, "form", &form))
		return fail(host, "collector.toml is not that of this library: install both files of one release");
	if (is(form, "json"))
		sink->form = TRACER_AS_JSON;
	else if (is(form, "text"))
		sink->form = TRACER_AS_TEXT;
	else
		return fail(host, "`--syslog-form %.*s`: use `text` or `json`", (int)(form.len < 64 ? form.len : 64),
			    (const char *)form.bytes);
	if (!path.len || path.len >= sizeof(sink->address.sun_path) || memchr(path.bytes, 0, path.len))
		return fail(host, "`--syslog-socket` takes a path of 1 to %zu bytes",
			    sizeof(sink->address.sun_path) - 1);
	sink->address.sun_family = AF_UNIX;
	memcpy(sink->address.sun_path, path.bytes, path.len);
	sink->priority = (unsigned)(facility << 3 | severity);
	sink->longest = longest < LINE_MAX_BYTES ? longest : LINE_MAX_BYTES;
	return TRACER_OK;
}

static int32_t start(const struct tracer_host *host, const struct tracer_session *session, void **state)
{
	struct sink *sink = calloc(1, sizeof(*sink));
	int error;

	if (!sink)
		return fail(host, "no memory");
	sink->host = host;
	sink->session = session;
	sink->fd = -1;
	sink->may_wait = !session->live;
	if (settle(sink)) {
		free(sink);
		return TRACER_FAILED;
	}
	error = connect_to_daemon(sink);
	if (error) {
		fail(host, "cannot connect to %s: %s: `--syslog-socket PATH` says where a syslog daemon listens",
		     sink->address.sun_path, strerror(error));
		free(sink);
		return TRACER_FAILED;
	}
	*state = sink;
	return TRACER_OK;
}

static int32_t event(void *state, const struct tracer_event *event)
{
	struct sink *sink = state;
	struct tracer_text text = { NULL, 0 };
	int32_t status = sink->host->render(sink->host->context, event, sink->form, &text);

	if (status < 0)
		return status;
	if (status == TRACER_OK)
		end(sink, add(sink, begin(sink, event->realtime), text));
	return TRACER_OK;
}

/* A probe's name, of an array whose structs may be longer than those that this was compiled with. */
static struct tracer_text probe_name(const struct tracer_session *session, uint16_t probe)
{
	const uint8_t *probes = (const uint8_t *)session->probes;

	if (probe >= session->probes_len)
		return tracer_text("a probe");
	return ((const struct tracer_probe *)(const void *)(probes + (size_t)session->probe_size * probe))->name;
}

static int32_t loss(void *state, const struct tracer_loss *loss)
{
	struct sink *sink = state;
	size_t len = begin(sink, 0);
	char text[64];

	snprintf(text, sizeof(text), "lost %llu events of ", (unsigned long long)loss->events);
	len = add(sink, len, tracer_text(text));
	len = add(sink, len, probe_name(sink->session, loss->probe));
	snprintf(text, sizeof(text), " on CPU %u", (unsigned)loss->cpu);
	end(sink, add(sink, len, tracer_text(text)));
	return TRACER_OK;
}

/* Tells the user of lines that were not taken, if there are any that he does not know of. */
static void tell(struct sink *sink)
{
	if (sink->refused == sink->told)
		return;
	say(sink, TRACER_LOG_WARNING, "%llu lines were written, and %llu lost: %s did not take them",
	    (unsigned long long)sink->taken, (unsigned long long)sink->refused, sink->address.sun_path);
	sink->told = sink->refused;
}

static int32_t tick(void *state, uint64_t now)
{
	struct sink *sink = state;

	sink->may_connect = 1;
	sink->may_wait = !sink->session->live;
	if (now - sink->told_at >= TOLD_EVERY) {
		tell(sink);
		sink->told_at = now;
	}
	return TRACER_OK;
}

static int32_t stop(void *state)
{
	struct sink *sink = state;

	tell(sink);
	if (sink->fd >= 0)
		close(sink->fd);
	free(sink);
	return TRACER_OK;
}

static const struct tracer_functions functions = {
	.struct_size = sizeof(functions),
	.start = start,
	.event = event,
	.loss = loss,
	.tick = tick,
	.stop = stop,
};

static const struct tracer_plugin plugin = {
	.magic = TRACER_MAGIC,
	.major = TRACER_MAJOR,
	.minor = TRACER_MINOR,
	.struct_size = sizeof(plugin),
	.name = TRACER_TEXT("syslog"),
	.release = TRACER_TEXT("1.0.0"),
	.licence = TRACER_TEXT("MIT OR Apache-2.0"),
	.functions = &functions,
};

TRACER_PLUGIN(plugin)
