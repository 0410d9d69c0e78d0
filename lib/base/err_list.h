/* err_list.h - every error there is: X(NAME, name, CLASS, "text").
 *
 * The class says who can mend it, and decides gRPC status, TLS alert, metric:
 *   PEER    they sent nonsense           POLICY  well formed, but refused
 *   ENV     file, network, clock: may heal by itself
 *   LIMIT   a bound of ours was met      BUG     ours to mend
 */
X(ERR_SYNTAX, "syntax", PEER, "malformed input")
X(ERR_PROTOCOL, "protocol", PEER, "protocol violation")
X(ERR_SIGNATURE, "signature", PEER, "signature does not verify")
X(ERR_CLOSED, "closed", PEER, "closed by the peer")
X(ERR_UNSUPPORTED, "unsupported", PEER, "not supported")
X(ERR_UNAUTHENTICATED, "unauthenticated", POLICY, "caller is not authenticated")
X(ERR_DENIED, "denied", POLICY, "not allowed")
X(ERR_REFUSED, "refused", POLICY, "refused by policy")
X(ERR_UNTRUSTED, "untrusted", POLICY, "not trusted")
X(ERR_EXPIRED, "expired", POLICY, "expired")
X(ERR_NOT_YET_VALID, "not_yet_valid", POLICY, "not yet valid")
X(ERR_MISMATCH, "mismatch", POLICY, "does not match")
X(ERR_USED, "used", POLICY, "already used")
X(ERR_IO, "io", ENV, "input/output error")
X(ERR_NOT_FOUND, "not_found", ENV, "not found")
X(ERR_EXISTS, "exists", ENV, "exists already")
X(ERR_FORBIDDEN, "forbidden", ENV, "the operating system does not permit it")
X(ERR_DISK_FULL, "disk_full", ENV, "no space left")
X(ERR_NO_MEMORY, "no_memory", ENV, "out of memory")
X(ERR_TIMEOUT, "timeout", ENV, "timed out")
X(ERR_UNAVAILABLE, "unavailable", ENV, "not available now")
X(ERR_CONFIG, "config", ENV, "bad configuration")
X(ERR_LIMIT, "limit", LIMIT, "limit exceeded")
X(ERR_BUSY, "busy", LIMIT, "too busy")
X(ERR_EXCESS, "excess", LIMIT, "more requests than the caller may make")
X(ERR_CANCELLED, "cancelled", ENV, "cancelled")
X(ERR_BUG, "bug", BUG, "internal error")
