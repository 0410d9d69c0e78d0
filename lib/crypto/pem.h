/* pem.h - PEM text (RFC 7468, read a little more kindly) and base64. */
#ifndef CRYPTO_PEM_H
#define CRYPTO_PEM_H

#include "base/buf.h"
#include "base/secret.h"
#include "base/slice.h"
#include "base/why.h"

/* Finds the next block in *in and moves *in behind it. Text between blocks is
 * passed over; lines may end in CRLF or have trailing blanks. label is
 * borrowed from the input; der goes into out (emptied first).
 * ERR_NOT_FOUND: no further block. ERR_SYNTAX: BEGIN without END, wrong label
 * at the end, bad base64. ERR_UNSUPPORTED: headers inside (Proc-Type:
 * encrypted). *in moves on success only. */
MUST_USE enum err pem_read(struct slice *in, struct slice *label,
			   struct buf *out, struct why *why);
/* The same for private keys: the bytes never touch ordinary memory. */
MUST_USE enum err pem_read_secret(struct slice *in, struct slice *label,
				  struct secret **out, struct why *why);
/* With the final newline. pem_len says how long the text will be. */
size_t pem_len(const char *label, size_t der_len);
enum err pem_write(struct buf *out, const char *label, struct slice der);
/* The same from secret memory into secret memory. */
MUST_USE enum err pem_write_secret(const char *label, struct slice der,
				   struct secret **out);

/* Standard alphabet with padding; url: RFC 4648 5, no padding on writing,
 * refused on reading (strict: no other bytes, unused bits zero). All four
 * append to out; a text that is refused appends nothing. */
enum err base64_write(struct buf *out, struct slice bytes);
enum err base64url_write(struct buf *out, struct slice bytes);
MUST_USE enum err base64_read(struct slice text, struct buf *out);
MUST_USE enum err base64url_read(struct slice text, struct buf *out);

#endif
