/* tls_error.c - the library's error queue as a sentence for a person, and our
 * errors as alerts for the peer. RFC 8446 6. */
#include <openssl/err.h>

#include "tls/tls_int.h"

struct error_reason {
	int reason;
	enum err err;
	const char *text;
};

/* Those that operators meet, in words that say what to do. */
static const struct error_reason error_reasons[] = {
	{SSL_R_UNSUPPORTED_PROTOCOL, ERR_UNSUPPORTED,
	 "no common protocol version (TLS 1.2 and 1.3 are taken, or "
	 "what the configuration says)"},
	{SSL_R_UNKNOWN_SSL_VERSION, ERR_UNSUPPORTED,
	 "no common protocol version (TLS 1.2 and 1.3 are taken, or "
	 "what the configuration says)"},
	{SSL_R_NO_SHARED_CIPHER, ERR_UNSUPPORTED,
	 "no common cipher suite (we take ECDHE with AES-GCM or ChaCha20; "
	 "the certificate's key must fit the suite)"},
	{SSL_R_NO_SHARED_GROUP, ERR_UNSUPPORTED,
	 "no common group (we take X25519MLKEM768, X25519, P-256, P-384)"},
	{SSL_R_WRONG_CURVE, ERR_UNSUPPORTED,
	 "no common group (we take X25519MLKEM768, X25519, P-256, P-384)"},
	{SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS, ERR_UNSUPPORTED,
	 "no common signature algorithm for our certificate's key"},
	{SSL_R_NO_APPLICATION_PROTOCOL, ERR_UNSUPPORTED,
	 "no common application protocol (ALPN)"},
	{SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, ERR_UNAUTHENTICATED,
	 "client gave no certificate, one is required"},
	{SSL_R_NO_CERTIFICATE_SET, ERR_UNAVAILABLE,
	 "we have no certificate yet"},
	{SSL_R_HTTP_REQUEST, ERR_PROTOCOL,
	 "peer speaks plain HTTP on a TLS port"},
	{SSL_R_HTTPS_PROXY_REQUEST, ERR_PROTOCOL,
	 "peer speaks plain HTTP (CONNECT) on a TLS port"},
	{SSL_R_WRONG_VERSION_NUMBER, ERR_PROTOCOL,
	 "peer does not speak TLS (bad record header)"},
	{SSL_R_BAD_SIGNATURE, ERR_SIGNATURE,
	 "peer's handshake signature does not verify (its key and "
	 "certificate do not match)"},
	{SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, ERR_PROTOCOL,
	 "record does not decrypt (damaged or forged on its way)"},
};

struct error_alert {
	int alert;
	const char *name;
};

/* RFC 8446 6. */
static const struct error_alert error_alerts[] = {
	{0, "close_notify"},
	{10, "unexpected_message"},
	{20, "bad_record_mac"},
	{22, "record_overflow"},
	{40, "handshake_failure"},
	{42, "bad_certificate"},
	{43, "unsupported_certificate"},
	{44, "certificate_revoked"},
	{45, "certificate_expired"},
	{46, "certificate_unknown"},
	{47, "illegal_parameter"},
	{48, "unknown_ca"},
	{49, "access_denied"},
	{50, "decode_error"},
	{51, "decrypt_error"},
	{70, "protocol_version"},
	{71, "insufficient_security"},
	{80, "internal_error"},
	{86, "inappropriate_fallback"},
	{90, "user_canceled"},
	{109, "missing_extension"},
	{110, "unsupported_extension"},
	{112, "unrecognized_name"},
	{113, "bad_certificate_status_response"},
	{115, "unknown_psk_identity"},
	{116, "certificate_required"},
	{120, "no_application_protocol"},
};

static enum err
error_from_alert(int alert, struct why *why)
{
	for (size_t i = 0; i < COUNT_OF(error_alerts); i++) {
		if (error_alerts[i].alert == alert)
			return why_set(why, ERR_REFUSED,
				       "TLS: peer sent alert %s",
				       error_alerts[i].name);
	}
	return why_set(why, ERR_REFUSED, "TLS: peer sent alert %d", alert);
}

/* ERR_OK: no sentence of ours for this one. */
static enum err
error_from_reason(int reason, struct why *why)
{
	if (reason >= SSL_AD_REASON_OFFSET)
		return error_from_alert(reason - SSL_AD_REASON_OFFSET, why);
	for (size_t i = 0; i < COUNT_OF(error_reasons); i++) {
		if (error_reasons[i].reason == reason)
			return why_set(why, error_reasons[i].err, "TLS: %s",
				       error_reasons[i].text);
	}
	return ERR_OK;
}

/* The queue goes from the cause to its consequences: the first that has a
 * sentence, else the first. */
enum err
tls_error_take(const SSL *ssl, struct why *why)
{
	uint32_t first = ERR_peek_error(), code;
	const char *text = ERR_reason_error_string(first);
	enum err e = ERR_OK;

	while (e == ERR_OK && (code = ERR_get_error()) != 0) {
		if (ERR_GET_LIB(code) == ERR_LIB_SSL)
			e = error_from_reason(ERR_GET_REASON(code), why);
	}
	ERR_clear_error();
	if (e != ERR_OK)
		return e;
	return why_set(why, ERR_PROTOCOL, "TLS: %s (%s)",
		       text == NULL ? "protocol violation" : text,
		       SSL_state_string_long(ssl));
}

uint8_t
tls_alert_of(enum err e)
{
	switch (e) {
	case ERR_EXPIRED:
	case ERR_NOT_YET_VALID:
		return SSL_AD_CERTIFICATE_EXPIRED;
	case ERR_UNTRUSTED:
		return SSL_AD_UNKNOWN_CA;
	case ERR_UNSUPPORTED:
		return SSL_AD_UNSUPPORTED_CERTIFICATE;
	case ERR_UNAVAILABLE:
		return SSL_AD_INTERNAL_ERROR;
	default:
		return SSL_AD_BAD_CERTIFICATE;
	}
}
