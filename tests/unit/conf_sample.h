/* conf_sample.h - a table with every type, for tests and the fuzz target. */
#ifndef CONF_SAMPLE_H
#define CONF_SAMPLE_H

#include "base/conf.h"

struct sample_row {
	char *host;
	int64_t port;
	struct conf_list names;
};

struct sample {
	char *domain;
	int kind;
	int64_t ttl_ms;
	char *pin;
	int64_t size;
	int64_t level;
	bool on;
	struct conf_list list;
	struct conf_table rows;
};

static const char *const sample_kinds[] = {"files", "self-signed", NULL};

static const struct conf_key sample_row_keys[] = {
	{.name = "host",
	 .type = CONF_STRING,
	 .offset = offsetof(struct sample_row, host),
	 .min = 1,
	 .max = 20,
	 .help = "Where."},
	{.name = "net.port",
	 .type = CONF_INT,
	 .offset = offsetof(struct sample_row, port),
	 .deflt = "80",
	 .min = 1,
	 .max = 65535,
	 .help = "Port."},
	{.name = "net.names",
	 .type = CONF_LIST,
	 .offset = offsetof(struct sample_row, names),
	 .deflt = "a, b",
	 .help = "Names."},
	{.name = NULL}};

static const struct conf_key sample_keys[] = {
	{.name = "trust_domain",
	 .type = CONF_STRING,
	 .offset = offsetof(struct sample, domain),
	 .deflt = "cluster.local",
	 .min = 1,
	 .max = 255,
	 .help = "The trust domain of all identities."},
	{.name = "issuer.kind",
	 .type = CONF_ENUM,
	 .offset = offsetof(struct sample, kind),
	 .deflt = "self-signed",
	 .names = sample_kinds,
	 .help = "Who signs; a text that is so long that it has to be "
		 "wrapped somewhere."},
	{.name = "issuer.ttl",
	 .type = CONF_DURATION,
	 .offset = offsetof(struct sample, ttl_ms),
	 .deflt = "24h",
	 .min = 60000,
	 .max = 86400000,
	 .help = "How long a certificate lives."},
	{.name = "issuer.pin",
	 .type = CONF_STRING,
	 .offset = offsetof(struct sample, pin),
	 .max = 8,
	 .secret = true,
	 .help = "PIN of the token."},
	{.name = "limits.size",
	 .type = CONF_SIZE,
	 .offset = offsetof(struct sample, size),
	 .deflt = "64k",
	 .help = "Size."},
	{.name = "limits.level",
	 .type = CONF_INT,
	 .offset = offsetof(struct sample, level),
	 .min = -9,
	 .max = 9,
	 .deflt = "-2",
	 .help = "Level."},
	{.name = "on",
	 .type = CONF_BOOL,
	 .offset = offsetof(struct sample, on),
	 .deflt = "true",
	 .help = "On."},
	{.name = "list",
	 .type = CONF_LIST,
	 .offset = offsetof(struct sample, list),
	 .max = 3,
	 .help = "Texts."},
	{.name = "rows",
	 .type = CONF_TABLE,
	 .offset = offsetof(struct sample, rows),
	 .sub = sample_row_keys,
	 .sub_size = sizeof(struct sample_row),
	 .help = "Rows."},
	{.name = NULL}};

#endif
