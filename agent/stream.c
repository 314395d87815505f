#include "agent/stream.h"

#include <git2.h>
#include <git2/sys/stream.h>

#define OUT_MAX ((size_t)65536) /* libgit2 writes a few bytes at a time: 2,130 writes for a push of 547 kB */

struct stream {
	git_stream parent; /* first: libgit2 hands back a pointer to it */
	struct trib_url url;
	struct trib_tls *tls;
	struct trib_buf out;
};

/* libgit2 passes no user data to a stream's constructor; one child process talks to one hub (stream.h). */
static struct trib_tls_ctx *credentials;
static struct trib_err *last_error;

static int fail(const struct trib_err *err)
{
	*last_error = *err;
	git_error_set_str(GIT_ERROR_NET, err->msg);
	return -1;
}

static int flush(struct stream *s)
{
	struct trib_err err;
	if (s->out.len == 0)
		return 0;
	int rc = trib_tls_write(s->tls, trib_buf_span(&s->out), TRIB_IO_MS, &err);
	trib_buf_reset(&s->out);
	return rc ? fail(&err) : 0;
}

static int stream_connect(git_stream *g)
{
	struct stream *s = (struct stream *)g;
	struct trib_err err;
	return trib_https_connect(credentials, &s->url, TRIB_HANDSHAKE_MS, &s->tls, &err) ? fail(&err) : 0;
}

/* Verification is whole in trib_tls_connect (chain, pinned root, role); libgit2 need not see the certificate. */
static int stream_certificate(git_cert **out, git_stream *g)
{
	(void)g;
	*out = NULL;
	return 0;
}

static ssize_t stream_read(git_stream *g, void *data, size_t len)
{
	struct stream *s = (struct stream *)g;
	struct trib_err err;
	size_t n;
	if (flush(s))
		return -1;
	if (trib_tls_read(s->tls, data, len, TRIB_IO_MS, &n, &err))
		return fail(&err);
	return (ssize_t)n;
}

static ssize_t stream_write(git_stream *g, const char *data, size_t len, int flags)
{
	struct stream *s = (struct stream *)g;
	(void)flags;
	if (s->out.len + len > OUT_MAX && flush(s))
		return -1;
	if (len > OUT_MAX) {
		struct trib_err err;
		return trib_tls_write(s->tls, trib_span(data, len), TRIB_IO_MS, &err) ? fail(&err) : (ssize_t)len;
	}
	trib_buf_put(&s->out, data, len);
	return s->out.failed ? -1 : (ssize_t)len;
}

static int stream_close(git_stream *g)
{
	struct stream *s = (struct stream *)g;
	trib_tls_free(s->tls);
	s->tls = NULL;
	trib_buf_reset(&s->out);
	return 0;
}

static void stream_free(git_stream *g)
{
	struct stream *s = (struct stream *)g;
	trib_tls_free(s->tls);
	trib_buf_release(&s->out);
	free(s);
}

static int stream_init(git_stream **out, const char *host, const char *port)
{
	struct stream *s = calloc(1, sizeof(*s));
	if (!s)
		return -1;
	s->parent = (git_stream){.version = GIT_STREAM_VERSION, .connect = stream_connect, .certificate = stream_certificate, .read = stream_read,
				 .write = stream_write, .close = stream_close, .free = stream_free};
	(void)snprintf(s->url.host, sizeof(s->url.host), "%s", host);
	(void)snprintf(s->url.port, sizeof(s->url.port), "%s", port);
	trib_buf_init(&s->out, OUT_MAX);
	*out = &s->parent;
	return 0;
}

int trib_stream_register(struct trib_tls_ctx *tls, struct trib_err *error_slot, struct trib_err *err)
{
	git_stream_registration r = {.version = GIT_STREAM_VERSION, .init = stream_init};
	credentials = tls;
	last_error = error_slot;
	last_error->code = TRIB_OK;
	if (git_stream_register(GIT_STREAM_TLS, &r) < 0)
		return trib_fail(err, TRIB_E_GIT, "libgit2 does not take our TLS stream");
	return 0;
}
