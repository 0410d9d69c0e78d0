/* h2_fuzz.h - limits of the targets of HTTP/2: small, so that they are met. */
#ifndef H2_FUZZ_H
#define H2_FUZZ_H

#include "grpc/grpc.h"

enum {
	H2_FUZZ_TAKE_MAX = 50000
};

static const struct h2_limits h2_fuzz_limits = {
	.streams_max = 10,
	.header_bytes_max = 1000,
	.stream_out_max = 10000,
	.out_max = 15000,
	.window = 65535,
	.header_table = 4096,
	.cheap_frames_max = 50,
};

#endif
