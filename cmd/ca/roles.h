/* roles.h - the processes of meshcert-ca. Each is a file of its own name; what
 * a role holds and must never hold is in doc/threat-model.md. Each function
 * returns the exit code of its process. */
#ifndef CA_ROLES_H
#define CA_ROLES_H

#include <stdbool.h>

#define CA_PROGRAM "meshcert-ca"

struct ca_args {
	const char *config; /* path; NULL: defaults */
	bool check;
	bool print_config;
	bool print_template;
	const char *set[64]; /* key=value, NULL-ended */
};

int ca_supervisor_main(const struct ca_args *args);
int ca_front_main(unsigned index);
int ca_authority_main(unsigned index);
int ca_signer_main(unsigned index);
int ca_public_main(unsigned index);

#endif
