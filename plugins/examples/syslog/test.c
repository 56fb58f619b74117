/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * `make test`: the sink with a host that is none and a daemon that is this program. What it tests is what a trace cannot show:
 * hostile texts, lines that are cut, a daemon that does not keep up, ends, and begins again.
 */
#include "syslog.c"

#include <sys/wait.h>

static char said[512], failed[512], socket_path[108], *form = "text";
static const char *rendered;
static uint64_t longest = 480;

#define CHECK(what)                                                       \
	do {                                                              \
		if (!(what)) {                                            \
			fprintf(stderr, "line %d: %s\n", __LINE__, #what); \
			exit(1);                                          \
		}                                                         \
	} while (0)

static void keep(char *kept, struct tracer_text text)
{
	snprintf(kept, 512, "%.*s", (int)text.len, (const char *)text.bytes);
}

static int32_t host_log(void *context, uint32_t level, struct tracer_text text)
{
	(void)context, (void)level;
	keep(said, text);
	return TRACER_OK;
}

static int32_t host_fail(void *context, struct tracer_text text)
{
	(void)context;
	keep(failed, text);
	return TRACER_OK;
}

static int32_t host_option(void *context, struct tracer_text name, struct tracer_value *value)
{
	struct {
		const char *name, *text;
		uint64_t number;
	} options[] = { { "socket", socket_path, 0 },  { "form", form, 0 },	       { "facility", NULL, 16 },
			{ "severity", NULL, 4 }, { "longest", NULL, longest } };
	size_t i;

	(void)context;
	for (i = 0; i < sizeof(options) / sizeof(*options); i++) {
		if (!is(name, options[i].name))
			continue;
		value->kind = options[i].text ? TRACER_KIND_STRING : TRACER_KIND_UINT;
		value->number = options[i].number;
		value->bytes = tracer_text(options[i].text);
		return TRACER_OK;
	}
	return TRACER_ABSENT;
}

static int32_t host_render(void *context, const struct tracer_event *event, uint32_t as, struct tracer_text *text)
{
	(void)context, (void)event;
	*text = tracer_text(as == TRACER_AS_JSON ? "{\"type\":\"event\"}\n" : rendered);
	return TRACER_OK;
}

static const struct tracer_host host = {
	.struct_size = sizeof(host),
	.log = host_log,
	.fail = host_fail,
	.option = host_option,
	.render = host_render,
};

/* As a newer tracer has them: larger. */
static const struct {
	struct tracer_probe known;
	uint64_t more;
} probes[2] = { { { TRACER_TEXT("one"), TRACER_TEXT("k") }, 1 }, { { TRACER_TEXT("net:two"), TRACER_TEXT("tp") }, 2 } };

static struct tracer_session session = {
	.struct_size = sizeof(session),
	.live = 1,
	.probe_size = sizeof(probes[0]),
	.probes = &probes[0].known,
	.probes_len = 2,
};

static int listens(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	unlink(socket_path);
	memcpy(address.sun_path, socket_path, sizeof(socket_path));
	CHECK(fd >= 0 && !bind(fd, (const struct sockaddr *)&address, sizeof(address)));
	return fd;
}

/* What the daemon gets, without its time; "" if there is nothing. */
static const char *line_at(int fd)
{
	static char line[70000];
	ssize_t len = recv(fd, line, sizeof(line) - 1, MSG_DONTWAIT);
	unsigned priority, day, hour, minute, second;
	char month[4];
	int pid, text = 0;

	if (len < 0)
		return "";
	line[len] = 0;
	CHECK((size_t)len <= longest);
	CHECK(sscanf(line, "<%u>%3[A-Za-z] %u %u:%u:%u tracer[%d]: %n", &priority, month, &day, &hour, &minute, &second, &pid,
		     &text) == 7);
	CHECK(text && priority == 16 * 8 + 4 && pid == getpid());
	return line + text;
}

static const char *shown(void *state, int fd, const char *text)
{
	struct tracer_event happened = { .struct_size = sizeof(happened), .realtime = 1700000000 * (int64_t)SECOND };

	rendered = text;
	CHECK(functions.event(state, &happened) == TRACER_OK);
	return line_at(fd);
}

static void *begun(void)
{
	void *state = NULL;

	CHECK(functions.start(&host, &session, &state) == TRACER_OK && state);
	return state;
}

static void lines(void)
{
	int fd = listens();
	void *state = begun();
	struct tracer_loss lost = { .struct_size = sizeof(lost), .probe = 1, .cpu = 3, .events = 12 };
	static char text[3000];
	const char *got;
	size_t i;

	CHECK(!strcmp(shown(state, fd, "1 [x] 0 [k] f\n  if 1 (lo)\n    deep\n"), "1 [x] 0 [k] f; if 1 (lo); deep"));
	CHECK(!strcmp(shown(state, fd, "a\x1b[31mb\tc\x7f"), "a?[31mb?c?"));
	CHECK(!strcmp(shown(state, fd, "\xc2\x9b" "31m \xc2\xa0 \xc3\xa4"), "?31m \xc2\xa0 \xc3\xa4"));
	CHECK(!strcmp(shown(state, fd, "\xc2"), "\xc2"));
	CHECK(!functions.loss(state, &lost) && !strcmp(line_at(fd), "lost 12 events of net:two on CPU 3"));
	lost.probe = 2;
	CHECK(!functions.loss(state, &lost) && strstr(line_at(fd), "of a probe"));
	/* Characters of two bytes, and the one at the cut not in halves, wherever that is. */
	for (i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	for (i = 0; i < 2; i++) {
		got = shown(state, fd, text);
		CHECK(strlen(got) > 400 && !strcmp(got + strlen(got) - 5, "\xc3\xa4..."));
		text[0] = 'x', text[1] = 'y', text[2] = 'z';
		memmove(text + 3, text + 4, sizeof(text) - 4);
	}
	CHECK(functions.stop(state) == TRACER_OK && !*said);
	form = "json";
	state = begun();
	CHECK(!strcmp(shown(state, fd, "no"), "{\"type\":\"event\"}"));
	functions.stop(state);
	form = "text";
	close(fd);
}

static void daemon_comes_and_goes(void)
{
	int fd = listens(), i;
	void *state = begun();

	/* It does not keep up: nobody waits for it. */
	for (i = 0; i < 100000 && !((struct sink *)state)->refused; i++)
		CHECK(functions.event(state, &(struct tracer_event){ .struct_size = sizeof(struct tracer_event) }) == TRACER_OK);
	CHECK(((struct sink *)state)->refused == 1);
	functions.tick(state, 61 * SECOND);
	CHECK(strstr(said, "and 1 lost: ") && strstr(said, socket_path));
	*said = 0;
	functions.tick(state, 62 * SECOND);
	CHECK(!*said);
	/* It ends, and another begins. */
	while (*line_at(fd))
		;
	close(fd);
	rendered = "gone";
	functions.event(state, &(struct tracer_event){ .struct_size = sizeof(struct tracer_event) });
	fd = listens();
	CHECK(!*shown(state, fd, "too early"));
	functions.tick(state, 63 * SECOND);
	CHECK(!strcmp(shown(state, fd, "again"), "again"));
	CHECK(functions.stop(state) == TRACER_OK && strstr(said, "and 3 lost"));
	close(fd);
}

/* A stored trace's lines wait: for a daemon that does not go on in vain, but once only. */
static void stored(void)
{
	int fd, i;
	void *state;
	struct timespec before, after;

	session.live = 0;
	fd = listens();
	state = begun();
	*said = 0;
	if (!fork()) {
		char some[16];

		for (i = 0; i < 3000 && recv(fd, some, sizeof(some), 0) > 0; i++)
			;
		_exit(0);
	}
	for (i = 0; i < 3000; i++)
		functions.event(state, &(struct tracer_event){ .struct_size = sizeof(struct tracer_event) });
	CHECK(wait(&i) > 0 && !i && ((struct sink *)state)->taken == 3000);
	clock_gettime(CLOCK_MONOTONIC, &before);
	for (i = 0; i < 3000; i++)
		functions.event(state, &(struct tracer_event){ .struct_size = sizeof(struct tracer_event) });
	clock_gettime(CLOCK_MONOTONIC, &after);
	CHECK(((struct sink *)state)->refused > 0 && after.tv_sec - before.tv_sec < 5);
	functions.stop(state);
	session.live = 1;
	close(fd);
}

static void refused(void)
{
	void *state = NULL;

	unlink(socket_path);
	CHECK(functions.start(&host, &session, &state) == TRACER_FAILED && strstr(failed, "No such file"));
	form = "xml";
	CHECK(functions.start(&host, &session, &state) == TRACER_FAILED && strstr(failed, "`--syslog-form xml`"));
	form = "text";
	CHECK(!state);
}

int main(void)
{
	char folder[] = "/tmp/tracer-syslog-XXXXXX";

	CHECK(mkdtemp(folder));
	snprintf(socket_path, sizeof(socket_path), "%s/log", folder);
	rendered = "nothing";
	lines();
	daemon_comes_and_goes();
	stored();
	refused();
	rmdir(folder);
	puts("all as it should be");
	return 0;
}
