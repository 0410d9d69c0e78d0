/* status_int.h - the lines of meshcert status, from whoever knows them. */
#ifndef MESHCERT_STATUS_INT_H
#define MESHCERT_STATUS_INT_H

#include "base/json.h"

struct status;

/* level: "OK", "WARN", "BAD". Everything is copied. */
void status_add(struct status *s, const char *level, const char *who,
		const char *topic, const char *text, const char *since,
		const char *action);
/* The lines of an agent's page. */
void status_read_agent(struct status *s, const struct json *root);
/* Asks for that page; false: nobody answers there (a line says so). */
bool status_ask_agent(struct status *s, const char *addr);

#endif
