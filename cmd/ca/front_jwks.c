/* front_jwks.c - the key sets of the configured token issuers.
 *
 * A file is watched and read again when it changes; a URL is asked for through
 * the fetch role at start, at its interval, and when a token comes whose key is
 * unknown (at most every ten seconds: anybody can make up key ids). A set that
 * cannot be had or read leaves the one before it in force. Requests whose
 * token's key is unknown wait for the fetch that they caused. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "ca/front_int.h"
#include "jose/jwt.h"
#include "os/os.h"

enum {
	JWKS_MISS_INTERVAL_MS = 10000,
	JWKS_RETRY_MS = 5000,
	JWKS_TIMEOUT_MS = 10000,
	JWKS_READ_AGAIN_MS = 2000,
	JWKS_PARKED_MAX = 1000
};

static void
jwks_use(struct jwks_source *src, struct slice json)
{
	struct front *f = src->front;
	const char *name = f->issuers[src->index].issuer;
	struct jwks *keys = NULL;
	struct why why = {0};
	enum err ret = jwks_parse(json, &why, &keys);

	if (ret != ERR_OK) {
		log_warn("front.jwks",
			 "issuer %s: %s: %s; the keys before it stay in force",
			 name, src->url != NULL ? src->url : src->file,
			 why_text(&why, ret));
		return;
	}
	log_info("front.jwks", "issuer %s: %zu keys", name, jwks_count(keys));
	metric_set(f->metrics, M_JWKS_AGE_TIMESTAMP, 0, wall_sec(wall_now()));
	ra_set_jwks(f->ra, src->index, keys);
	jwks_unref(keys);
	src->warned = false;
}

static void jwks_on_timer(void *arg);

static void
jwks_again(struct jwks_source *src, uint64_t after_ms)
{
	ev_timer_cancel(&src->timer);
	must(ev_timer_start(src->front->loop, after_ms, jwks_on_timer, src,
			    &src->timer) == ERR_OK);
}

/* ---- files ------------------------------------------------------------- */

static void
jwks_read_file(void *arg)
{
	struct jwks_source *src = arg;
	struct why why = {0};
	struct buf json;
	enum err ret;

	buf_init(&json, JWKS_MAX);
	ret = os_file_read(src->file, &json, &why);
	if (ret == ERR_OK)
		jwks_use(src, buf_get(&json));
	else if (!src->warned)
		log_warn("front.jwks", "issuer %s: %s",
			 src->front->issuers[src->index].issuer,
			 why_text(&why, ret));
	src->warned = ret != ERR_OK;
	/* What was wrong with the disk is no event of the folder. */
	if (ret != ERR_OK)
		jwks_again(src, JWKS_READ_AGAIN_MS);
	buf_fini(&json);
}

/* The folder is watched: files are replaced by renaming. */
static enum err
jwks_watch_file(struct jwks_source *src)
{
	char *dir = os_dup_parent(src->file);
	enum err ret = ev_watch_start(src->front->loop, dir, jwks_read_file,
				      src, &src->watch);

	mem_free(dir);
	return ret;
}

/* ---- URLs -------------------------------------------------------------- */

static void
jwks_ask(struct jwks_source *src)
{
	struct front *f = src->front;
	const struct msg_fetch m = {
		.size_max = JWKS_MAX / 2,
		.timeout_ms = JWKS_TIMEOUT_MS,
		.url = slice_of_str(src->url),
		.ca_file = slice_of_str(src->ca_file),
	};

	if (src->asking || f->fetch == NULL)
		return;
	buf_reset(&f->out);
	msg_fetch_write(&f->out, &m);
	src->asked = mono_now();
	src->asking = ipc_send(f->fetch, MSG_FETCH, src->index,
			       buf_get(&f->out)) == ERR_OK;
}

static void
jwks_on_timer(void *arg)
{
	struct jwks_source *src = arg;

	if (src->url != NULL)
		jwks_ask(src);
	else
		jwks_read_file(src);
}

static void
jwks_unpark_all(struct front *f, size_t index)
{
	struct issue *list = f->parked;

	f->parked = NULL;
	while (list != NULL) {
		struct issue *is = list;

		list = is->parked_next;
		is->parked_next = NULL;
		if (is->parked_for == (int)index) {
			issue_unpark(is);
		} else {
			is->parked_next = f->parked;
			f->parked = is;
		}
	}
}

void
front_jwks_take(struct front *f, uint64_t id, const struct msg_fetched *m)
{
	struct jwks_source *src;

	if (id >= f->source_cnt || f->sources[id].url == NULL)
		return;
	src = &f->sources[id];
	/* What nobody asked for counts nothing. */
	if (!src->asking)
		return;
	src->asking = false;
	if (m->e == ERR_OK && m->http_status == 200) {
		metric_add(f->metrics, M_JWKS_FETCH, 0, 1);
		jwks_use(src, m->body);
		jwks_again(src, (uint64_t)src->refresh_ms);
	} else {
		metric_add(f->metrics, M_JWKS_FETCH_FAILED, 0, 1);
		log_peer("front.jwks",
			 "issuer %s: %s: %.*s (HTTP status %u); %s",
			 f->issuers[id].issuer, src->url, SLICE_FMT(m->text),
			 m->http_status,
			 ra_has_jwks(f->ra, id)
				 ? "the keys before stay in force"
				 : "its tokens are refused until it answers");
		jwks_again(src, JWKS_RETRY_MS);
	}
	jwks_unpark_all(f, id);
}

void
front_jwks_start(struct front *f)
{
	for (size_t i = 0; i < f->source_cnt; i++) {
		f->sources[i].asking = false;
		if (f->sources[i].url != NULL && f->fetch != NULL)
			jwks_ask(&f->sources[i]);
	}
}

/* ---- waiting requests -------------------------------------------------- */

bool
front_jwks_park(struct front *f, struct issue *is, struct slice header)
{
	int index = is->who.want_jwks;
	struct jwks_source *src;
	size_t parked = 0;

	if (index < 0 || f->fetch == NULL || f->sources[index].url == NULL)
		return false;
	src = &f->sources[index];
	if (!src->asking &&
	    (src->asked.ns == 0 ||
	     mono_diff_ms(mono_now(), src->asked) >= JWKS_MISS_INTERVAL_MS))
		jwks_ask(src);
	for (const struct issue *p = f->parked; p != NULL; p = p->parked_next)
		parked++;
	if (!src->asking || parked >= JWKS_PARKED_MAX ||
	    secret_dup(header, &is->authorization) != ERR_OK)
		return false;
	is->parked_for = index;
	is->parked_next = f->parked;
	f->parked = is;
	return true;
}

void
front_jwks_expire(struct front *f, struct mono now)
{
	struct issue *next;

	/* Each that is given up takes itself out of the list. */
	for (struct issue *is = f->parked; is != NULL; is = next) {
		next = is->parked_next;
		if (mono_is_before(is->deadline, now))
			issue_give_up(is);
	}
}

void
front_jwks_forget(struct front *f, struct issue *is)
{
	/* Most never were in it: the list may be long. */
	if (is->parked_for < 0)
		return;
	for (struct issue **at = &f->parked; *at != NULL;
	     at = &(*at)->parked_next) {
		if (*at == is) {
			*at = is->parked_next;
			break;
		}
	}
	secret_free(is->authorization);
	is->authorization = NULL;
}

/* ---- life -------------------------------------------------------------- */

static char *
jwks_dup_if_set(const char *text)
{
	return text == NULL || *text == '\0' ? NULL : mem_dup_str(text);
}

static enum err
jwks_open_one(struct front *f, size_t i, struct why *why)
{
	const struct ca_conf_jwt *j = ca_conf_get_jwt(&f->conf, i);
	struct jwks_source *src = &f->sources[i];
	enum err ret;

	*src = (struct jwks_source){
		.front = f,
		.index = i,
		.file = jwks_dup_if_set(j->jwks_file),
		.url = jwks_dup_if_set(j->jwks_url),
		.ca_file = jwks_dup_if_set(j->ca_file),
		.refresh_ms = j->refresh_ms,
	};
	f->issuers[i] = (struct ra_jwt_issuer){
		.issuer = j->issuer,
		.audiences = (const char *const *)j->audiences.items,
		.from_claim = j->identity == 1,
		.claim = j->claim,
		.leeway_sec = j->leeway_ms / 1000,
	};
	if (src->file == NULL)
		return ERR_OK;
	if ((ret = jwks_watch_file(src)) != ERR_OK)
		return why_set(why, ret,
			       "auth.jwt: %s: its folder cannot be watched: %s",
			       src->file, err_text(ret));
	return ERR_OK;
}

enum err
front_jwks_open(struct front *f, struct why *why)
{
	struct ra_opts opts = {
		.order = (const char *const *)f->conf.auth_order.items,
		.trust_domain = slice_of_str(f->conf.trust_domain),
		.issuer_cnt = f->conf.jwt.cnt,
	};
	enum err ret;

	f->source_cnt = f->conf.jwt.cnt;
	f->sources = MEM_NEW_ARRAY(struct jwks_source, f->source_cnt);
	f->issuers = MEM_NEW_ARRAY(struct ra_jwt_issuer, f->source_cnt);
	for (size_t i = 0; i < f->source_cnt; i++) {
		if ((ret = jwks_open_one(f, i, why)) != ERR_OK)
			return ret;
	}
	opts.issuers = f->issuers;
	if ((ret = ra_new(&opts, why, &f->ra)) != ERR_OK)
		return ret;
	for (size_t i = 0; i < f->source_cnt; i++) {
		if (f->sources[i].file != NULL)
			jwks_read_file(&f->sources[i]);
	}
	return ERR_OK;
}

void
front_jwks_free(struct front *f)
{
	for (size_t i = 0; i < f->source_cnt; i++) {
		struct jwks_source *src = &f->sources[i];

		ev_watch_cancel(&src->watch);
		ev_timer_cancel(&src->timer);
		mem_free(src->file);
		mem_free(src->url);
		mem_free(src->ca_file);
	}
	mem_free(f->sources);
	mem_free(f->issuers);
	ra_free(f->ra);
}
