/* test_ipc.c - frames, and channels over real sockets. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "ipc/ipc.h"
#include "patience.h"

enum {
	FRAME_MAX = 4096,
	QUEUE_MAX = 1 << 20
};

/* One end of a channel and what it got. */
struct end {
	struct ipc *ch;
	struct fixture *f;
	uint64_t last_id;
	uint16_t last_type;
	size_t messages;
	size_t bytes;
	size_t batches;
	size_t fds;
	int last_fd;
	int closed;
	enum err why;
	bool echo;
	bool refuse;
	bool close_at_once;
};

struct fixture {
	struct ev_loop *loop;
	struct patience patience;
	struct end a;
	struct end b;
};

static int
setup(void **state)
{
	struct fixture *f = MEM_NEW(struct fixture);

	assert_int_equal(ev_loop_new(&f->loop), ERR_OK);
	f->a.f = f->b.f = f;
	f->a.last_fd = f->b.last_fd = -1;
	patience_start(f->loop, &f->patience);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	ipc_close(&f->a.ch);
	ipc_close(&f->b.ch);
	patience_end(&f->patience);
	ev_loop_free(f->loop);
	mem_free(f);
	return 0;
}

static enum err
end_on_message(void *arg, uint16_t type, uint64_t id, struct slice payload,
	       int fd)
{
	struct end *e = arg;

	/* In the order of sending: ids grow. */
	assert_true(id > e->last_id);
	e->last_id = id;
	e->last_type = type;
	e->messages++;
	e->bytes += payload.len;
	if (fd >= 0) {
		e->fds++;
		if (e->last_fd >= 0)
			(void)close(e->last_fd);
		e->last_fd = fd;
	}
	if (e->echo)
		assert_int_equal(ipc_send(e->ch, type, id, payload), ERR_OK);
	if (e->close_at_once)
		ipc_close(&e->ch);
	return e->refuse ? ERR_UNSUPPORTED : ERR_OK;
}

static void
end_on_batch_end(void *arg)
{
	((struct end *)arg)->batches++;
}

static void
end_on_close(void *arg, enum err why)
{
	struct end *e = arg;

	e->closed++;
	e->why = why;
}

static const struct ipc_cbs end_cbs = {end_on_message, end_on_batch_end,
				       end_on_close};

static void
end_open(struct end *e, int fd, bool want_fds)
{
	struct ipc_limits limits = {.frame_max = FRAME_MAX,
				    .queue_max = QUEUE_MAX,
				    .want_fds = want_fds};

	assert_int_equal(
		ipc_new(e->f->loop, fd, "test", &limits, &end_cbs, e, &e->ch),
		ERR_OK);
}

/* b is a bare descriptor: the test plays the other end itself. */
static int
make_half(struct fixture *f, bool want_fds)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				    0, fds),
			 0);
	end_open(&f->a, fds[0], want_fds);
	return fds[1];
}

static void
make_pair(struct fixture *f, bool want_fds)
{
	end_open(&f->b, make_half(f, want_fds), want_fds);
}

/* -- frames ------------------------------------------------------------- */

static void
a_frame_is_read_back_as_written(void **state)
{
	struct buf b;
	struct slice in;
	struct ipc_frame f;

	(void)state;
	buf_init(&b, 1000);
	assert_int_equal(ipc_frame_write(&b, 0x1234, 0x1122334455667788u,
					 SLICE_LIT("payload")),
			 ERR_OK);
	assert_int_equal(ipc_frame_write(&b, 2, 1, SLICE_NONE), ERR_OK);
	in = buf_get(&b);
	assert_memory_equal(in.p,
			    "\0\0\0\x11\x12\x34\x11\x22\x33\x44\x55\x66"
			    "\x77\x88payload",
			    21);
	assert_int_equal(ipc_frame_read(&in, 7, &f), ERR_OK);
	assert_int_equal(f.type, 0x1234);
	assert_true(f.id == 0x1122334455667788u);
	assert_true(slice_is_str(f.payload, "payload"));
	assert_int_equal(ipc_frame_read(&in, 7, &f), ERR_OK);
	assert_int_equal(f.type, 2);
	assert_int_equal(f.payload.len, 0);
	assert_int_equal(in.len, 0);
	buf_fini(&b);
}

static void
an_incomplete_frame_consumes_nothing(void **state)
{
	struct buf b;
	struct ipc_frame f;

	(void)state;
	buf_init(&b, 1000);
	assert_int_equal(ipc_frame_write(&b, 1, 1, SLICE_LIT("abc")), ERR_OK);
	for (size_t len = 0; len < buf_len(&b); len++) {
		struct slice in = slice_sub(buf_get(&b), 0, len);

		assert_int_equal(ipc_frame_read(&in, 3, &f), ERR_NOT_FOUND);
		assert_int_equal(in.len, len);
	}
	buf_fini(&b);
}

static void
a_frame_of_wrong_length_is_a_protocol_error(void **state)
{
	static const uint8_t short_one[] = {0, 0, 0, 9};
	static const uint8_t long_one[] = {0, 0, 0, 10 + 5};
	static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff};
	struct slice in = SLICE_ARRAY(short_one);
	struct ipc_frame f;

	(void)state;
	assert_int_equal(ipc_frame_read(&in, 4, &f), ERR_PROTOCOL);
	in = SLICE_ARRAY(long_one);
	assert_int_equal(ipc_frame_read(&in, 4, &f), ERR_PROTOCOL);
	in = SLICE_ARRAY(long_one);
	assert_int_equal(ipc_frame_read(&in, 5, &f), ERR_NOT_FOUND);
	in = SLICE_ARRAY(huge);
	assert_int_equal(ipc_frame_read(&in, 1 << 20, &f), ERR_PROTOCOL);
}

/* -- channels ----------------------------------------------------------- */

static void
messages_arrive_in_order_and_as_one_batch(void **state)
{
	struct fixture *f = *state;
	size_t header_and_text = IPC_HEADER_LEN + 5;
	uint8_t peek[4096];
	int other = make_half(f, false);

	for (uint64_t i = 1; i <= 64; i++)
		assert_int_equal(ipc_send(f->a.ch, 7, i, SLICE_LIT("hello")),
				 ERR_OK);
	/* Nothing went out yet: it is one write, at the end of the turn. */
	assert_int_equal(recv(other, peek, sizeof(peek), MSG_PEEK), -1);
	ev_loop_step(f->loop, false);
	assert_int_equal(recv(other, peek, sizeof(peek), MSG_PEEK),
			 64 * header_and_text);
	end_open(&f->b, other, false);
	wait_for(f, f->b.messages == 64);
	assert_int_equal(f->b.batches, 1);
	assert_int_equal(f->b.bytes, 64 * 5);
	assert_int_equal(f->b.last_type, 7);
}

static void
answers_come_back(void **state)
{
	struct fixture *f = *state;

	make_pair(f, false);
	f->b.echo = true;
	for (uint64_t i = 1; i <= 20000; i++) {
		assert_int_equal(ipc_send(f->a.ch, 1, i, SLICE_LIT("question")),
				 ERR_OK);
		if (i % 5000 == 0)
			wait_for(f, f->a.messages == i);
	}
	assert_int_equal(f->a.bytes, 20000 * 8);
}

static void
frames_cut_anywhere_are_put_together(void **state)
{
	struct fixture *f = *state;
	int other = make_half(f, false);
	struct buf b;
	struct slice all;

	buf_init(&b, 10000);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(
			ipc_frame_write(&b, 1, i, SLICE_LIT("some text")),
			ERR_OK);
	all = buf_get(&b);
	for (size_t i = 0; i < all.len; i++) {
		assert_int_equal(write(other, all.p + i, 1), 1);
		ev_loop_step(f->loop, true);
		assert_int_equal(f->a.messages, (i + 1) / (IPC_HEADER_LEN + 9));
	}
	buf_fini(&b);
	(void)close(other);
	wait_for(f, f->a.closed);
	assert_int_equal(f->a.why, ERR_CLOSED);
	assert_int_equal(f->a.closed, 1);
}

static void
a_full_queue_is_busy_and_empties(void **state)
{
	struct fixture *f = *state;
	uint8_t payload[FRAME_MAX];
	uint64_t id = 0;
	int other = make_half(f, false);

	memset(payload, 7, sizeof(payload));
	while (ipc_send(f->a.ch, 1, ++id, SLICE_ARRAY(payload)) == ERR_OK)
		ipc_flush(f->a.ch);
	assert_int_equal(ipc_send(f->a.ch, 1, id, SLICE_ARRAY(payload)),
			 ERR_BUSY);
	assert_true((id - 1) * FRAME_MAX > QUEUE_MAX / 2);
	end_open(&f->b, other, false);
	wait_for(f, f->b.messages == id - 1);
	assert_int_equal(ipc_send(f->a.ch, 1, id, SLICE_ARRAY(payload)),
			 ERR_OK);
	wait_for(f, f->b.messages == id);
}

static void
a_payload_above_the_maximum_is_not_sent(void **state)
{
	struct fixture *f = *state;
	uint8_t payload[FRAME_MAX + 1] = {0};

	make_pair(f, false);
	assert_int_equal(ipc_send(f->a.ch, 1, 1, SLICE_ARRAY(payload)),
			 ERR_LIMIT);
	assert_int_equal(ipc_send(f->a.ch, 1, 1, slice_of(payload, FRAME_MAX)),
			 ERR_OK);
	wait_for(f, f->b.messages == 1);
}

static void
a_frame_above_the_maximum_ends_the_channel(void **state)
{
	struct fixture *f = *state;
	int other = make_half(f, false);
	struct buf b;

	buf_init(&b, 10000);
	assert_int_equal(ipc_frame_write(&b, 1, 1, SLICE_LIT("good")), ERR_OK);
	assert_int_equal(buf_put_u32(&b, FRAME_MAX + 11), ERR_OK);
	assert_int_equal(write(other, b.p, buf_len(&b)), (ssize_t)buf_len(&b));
	wait_for(f, f->a.closed);
	assert_int_equal(f->a.messages, 1);
	assert_int_equal(f->a.why, ERR_PROTOCOL);
	assert_int_equal(ipc_send(f->a.ch, 1, 1, SLICE_NONE), ERR_CLOSED);
	buf_fini(&b);
	(void)close(other);
}

static void
a_refused_message_ends_the_channel(void **state)
{
	struct fixture *f = *state;

	make_pair(f, false);
	f->b.refuse = true;
	assert_int_equal(ipc_send(f->a.ch, 99, 1, SLICE_NONE), ERR_OK);
	assert_int_equal(ipc_send(f->a.ch, 1, 2, SLICE_NONE), ERR_OK);
	wait_for(f, f->b.closed);
	assert_int_equal(f->b.messages, 1);
	assert_int_equal(f->b.why, ERR_UNSUPPORTED);
}

static void
a_channel_may_be_closed_inside_its_callback(void **state)
{
	struct fixture *f = *state;

	make_pair(f, false);
	f->b.close_at_once = true;
	assert_int_equal(ipc_send(f->a.ch, 1, 1, SLICE_NONE), ERR_OK);
	assert_int_equal(ipc_send(f->a.ch, 1, 2, SLICE_NONE), ERR_OK);
	wait_for(f, f->a.closed);
	assert_int_equal(f->b.messages, 1);
	assert_int_equal(f->b.batches, 0);
	assert_int_equal(f->b.closed, 0);
}

static void
what_was_queued_is_sent_after_close(void **state)
{
	struct fixture *f = *state;
	uint8_t payload[FRAME_MAX];
	int other = make_half(f, false);
	uint64_t cnt = QUEUE_MAX / FRAME_MAX - 1;

	memset(payload, 7, sizeof(payload));
	for (uint64_t i = 1; i <= cnt; i++)
		assert_int_equal(ipc_send(f->a.ch, 1, i, SLICE_ARRAY(payload)),
				 ERR_OK);
	ipc_close(&f->a.ch);
	assert_null(f->a.ch);
	end_open(&f->b, other, false);
	wait_for(f, f->b.closed);
	assert_int_equal(f->b.messages, cnt);
	assert_int_equal(f->b.why, ERR_CLOSED);
	assert_int_equal(f->a.closed, 0);
}

/* -- descriptors -------------------------------------------------------- */

static void
descriptors_arrive_with_their_messages(void **state)
{
	struct fixture *f = *state;
	int pipes[2];
	char c = 0;

	make_pair(f, true);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	/* Mixed with messages that have none, in one turn. */
	assert_int_equal(ipc_send(f->a.ch, 1, 1, SLICE_LIT("before")), ERR_OK);
	assert_int_equal(
		ipc_send_fd(f->a.ch, 2, 2, SLICE_LIT("first"), pipes[0]),
		ERR_OK);
	assert_int_equal(ipc_send(f->a.ch, 1, 3, SLICE_LIT("between")), ERR_OK);
	assert_int_equal(
		ipc_send_fd(f->a.ch, 2, 4, SLICE_LIT("second"), pipes[1]),
		ERR_OK);
	/* The caller's own may go at once. */
	(void)close(pipes[0]);
	wait_for(f, f->b.messages == 4);
	assert_int_equal(f->b.fds, 2);
	assert_int_equal(f->b.last_type, 2);
	/* The last one is the writing end: no reader is left, but it is
	 * a descriptor of the same pipe. */
	assert_int_equal(read(f->b.last_fd, &c, 1), -1);
	assert_int_equal(fcntl(f->b.last_fd, F_GETFD), FD_CLOEXEC);
	(void)close(f->b.last_fd);
	(void)close(pipes[1]);
}

static void
many_descriptors_and_long_messages_keep_their_order(void **state)
{
	struct fixture *f = *state;
	uint8_t payload[FRAME_MAX];

	make_pair(f, true);
	memset(payload, 7, sizeof(payload));
	for (uint64_t i = 1; i <= 60; i++) {
		enum err e = i % 3 == 0 ? ipc_send_fd(f->a.ch, 5, i,
						      SLICE_ARRAY(payload), 0)
					: ipc_send(f->a.ch, 5, i,
						   SLICE_ARRAY(payload));

		assert_int_equal(e, ERR_OK);
	}
	wait_for(f, f->b.messages == 60);
	assert_int_equal(f->b.fds, 20);
	(void)close(f->b.last_fd);
}

static void
a_message_that_lacks_its_descriptor_ends_the_channel(void **state)
{
	struct fixture *f = *state;
	int other = make_half(f, true);
	struct buf b;

	buf_init(&b, 100);
	assert_int_equal(ipc_frame_write(&b, 0x8001, 1, SLICE_NONE), ERR_OK);
	assert_int_equal(write(other, b.p, buf_len(&b)), (ssize_t)buf_len(&b));
	wait_for(f, f->a.closed);
	assert_int_equal(f->a.messages, 0);
	assert_int_equal(f->a.why, ERR_PROTOCOL);
	buf_fini(&b);
	(void)close(other);
}

static void
a_plain_channel_sends_no_descriptor(void **state)
{
	struct fixture *f = *state;

	make_pair(f, false);
	assert_int_equal(ipc_send_fd(f->a.ch, 1, 1, SLICE_NONE, 0), ERR_BUG);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_is_read_back_as_written),
		cmocka_unit_test(an_incomplete_frame_consumes_nothing),
		cmocka_unit_test(a_frame_of_wrong_length_is_a_protocol_error),
		CASE(messages_arrive_in_order_and_as_one_batch),
		CASE(answers_come_back),
		CASE(frames_cut_anywhere_are_put_together),
		CASE(a_full_queue_is_busy_and_empties),
		CASE(a_payload_above_the_maximum_is_not_sent),
		CASE(a_frame_above_the_maximum_ends_the_channel),
		CASE(a_refused_message_ends_the_channel),
		CASE(a_channel_may_be_closed_inside_its_callback),
		CASE(what_was_queued_is_sent_after_close),
		CASE(descriptors_arrive_with_their_messages),
		CASE(many_descriptors_and_long_messages_keep_their_order),
		CASE(a_message_that_lacks_its_descriptor_ends_the_channel),
		CASE(a_plain_channel_sends_no_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
