/* client_cert.c - renewal: the caller shows the certificate that it has. The
 * chain was verified to our own roots by tls; here only the identity is
 * taken. */
#include <stdio.h>

#include "pki/cert.h"
#include "ra/ra_int.h"

enum err
ra_client_cert(struct ra *ra, const struct ra_input *in, struct why *why,
	       struct ra_result *out)
{
	char serial[2 * CERT_SERIAL_MAX + 8];
	enum err ret;

	if (in->peer == NULL || !in->peer->verified)
		return ERR_NOT_FOUND;
	/* The connection may have outlived its certificate. */
	if (!wall_is_before(in->now, in->peer->not_after))
		return why_set(
			why, ERR_EXPIRED,
			"the client certificate of this connection has "
			"expired: connect again with a valid one or with "
			"a token");
	ret = ra_take_identity(ra, in->peer->spiffe_id, why, out);
	if (ret != ERR_OK)
		return ret;
	cert_serial_format(in->peer->serial, serial);
	(void)snprintf(out->caller, sizeof(out->caller), "cert serial=%s",
		       serial);
	out->kind = RA_CLIENT_CERT;
	return ERR_OK;
}
