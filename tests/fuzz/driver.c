/* driver.c - the short deterministic run of a fuzz target.
 *
 * libFuzzer finds new inputs over hours; this finds the same ones on every
 * run of `make test`. Arguments are folders of seeds. Each seed is run as it
 * is, with each of its bits flipped, cut at each byte, and spliced with its
 * neighbour. The budget of executions is shared out between the seeds: where
 * a seed has more bits than its share, evenly spaced ones are taken. No clock
 * and no random source is used, so a failure always comes back; when the
 * process dies, the input that killed it is described on stderr.
 *
 *   fuzz_x DIR...          run
 *   fuzz_x FILE            run this one input as it is */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* A target whose inputs cost much says how many it wants. */
extern const unsigned fuzz_exec_max __attribute__((weak));
/* There only in a sanitizer's run. */
void __sanitizer_set_death_callback(void (*cb)(void)) __attribute__((weak));

#define SEED_MAX 4096
#define EXEC_MAX 400000 /* of one run, shared between the seeds */
#define SPLICE_CNT 32

struct seed {
	char *path;
	uint8_t *p;
	size_t len;
};

struct run {
	struct seed seeds[SEED_MAX];
	size_t seed_cnt;
	uint64_t exec_cnt;
	uint64_t rand_state;
};

/* What is being run, for the handlers: they get no argument. */
static struct {
	const char *path;
	const char *what;
	size_t at;
} now;

static void
describe(void)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "driver: died on %s, %s %zu\n",
			 now.path, now.what, now.at);

	if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
		return;
}

static void
on_signal(int signo)
{
	describe();
	signal(signo, SIG_DFL);
	raise(signo);
}

static void
watch_death(void)
{
	signal(SIGABRT, on_signal);
	if (__sanitizer_set_death_callback != NULL) {
		__sanitizer_set_death_callback(describe);
		return;
	}
	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	signal(SIGFPE, on_signal);
	signal(SIGILL, on_signal);
}

static void
die(const char *what, const char *path)
{
	fprintf(stderr, "driver: %s %s: %s\n", what, path, strerror(errno));
	exit(2);
}

static void *
take_memory(size_t len)
{
	void *p = malloc(len > 0 ? len : 1);

	if (p == NULL)
		die("memory for", now.path);
	return p;
}

/* A fixed sequence (splitmix64), so that each run does the same. */
static uint64_t
next_number(struct run *run)
{
	uint64_t z = (run->rand_state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* The input lies in a block of exactly its size: a sanitizer sees a read of
 * one byte too many. */
static void
execute(struct run *run, const uint8_t *p, size_t len)
{
	uint8_t *copy = take_memory(len);

	if (len > 0)
		memcpy(copy, p, len);
	(void)LLVMFuzzerTestOneInput(copy, len);
	free(copy);
	run->exec_cnt++;
}

static size_t
step_for(size_t cnt, size_t budget)
{
	return cnt <= budget ? 1 : (cnt + budget - 1) / budget;
}

static void
run_flips(struct run *run, struct seed *s, size_t budget)
{
	size_t bits = s->len * 8, step = step_for(bits, budget);

	now.what = "with its bit flipped:";
	for (size_t i = 0; i < bits; i += step) {
		now.at = i;
		s->p[i / 8] ^= (uint8_t)(1u << (i % 8));
		execute(run, s->p, s->len);
		s->p[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
}

static void
run_cuts(struct run *run, const struct seed *s, size_t budget)
{
	size_t step = step_for(s->len, budget);

	now.what = "cut at byte";
	for (size_t i = 0; i < s->len; i += step) {
		now.at = i;
		execute(run, s->p, i);
	}
}

/* The head of one seed and the tail of another. */
static void
run_splices(struct run *run, const struct seed *a, const struct seed *b)
{
	uint8_t *joined = take_memory(a->len + b->len);

	now.what = "spliced with its neighbour, number";
	for (size_t i = 0; i < SPLICE_CNT; i++) {
		size_t head = (size_t)(next_number(run) % (a->len + 1));
		size_t skip = (size_t)(next_number(run) % (b->len + 1));

		now.at = i;
		memcpy(joined, a->p, head);
		memcpy(joined + head, b->p + skip, b->len - skip);
		execute(run, joined, head + b->len - skip);
	}
	free(joined);
}

static void
run_seed(struct run *run, size_t i)
{
	struct seed *s = &run->seeds[i];
	size_t max = &fuzz_exec_max != NULL ? fuzz_exec_max : EXEC_MAX;
	size_t share = max / run->seed_cnt;

	now.path = s->path;
	now.what = "as it is";
	now.at = 0;
	execute(run, s->p, s->len);
	run_flips(run, s, share - share / 5);
	run_cuts(run, s, share / 5 + 1);
	run_splices(run, s, &run->seeds[(i + 1) % run->seed_cnt]);
}

static void
read_seed(struct run *run, const char *path)
{
	struct seed *s = &run->seeds[run->seed_cnt];
	struct stat st;
	FILE *f = fopen(path, "rb");

	if (f == NULL || fstat(fileno(f), &st) != 0)
		die("opening", path);
	now.path = path;
	s->len = (size_t)st.st_size;
	s->p = take_memory(s->len);
	s->path = strdup(path);
	if (fread(s->p, 1, s->len, f) != s->len)
		die("reading", path);
	fclose(f);
	run->seed_cnt++;
}

static int
is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Sorted by name: the order decides the splices. */
static void
read_folder(struct run *run, const char *folder)
{
	struct dirent **names = NULL;
	int cnt = scandir(folder, &names, is_visible, alphasort);
	char path[4096];

	if (cnt < 0)
		die("reading the folder", folder);
	if (run->seed_cnt + (size_t)cnt > SEED_MAX) {
		fprintf(stderr, "driver: more than %d seeds\n", SEED_MAX);
		exit(2);
	}
	for (int i = 0; i < cnt; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		read_seed(run, path);
		free(names[i]);
	}
	free(names);
}

static int
run_folders(struct run *run, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		read_folder(run, argv[i]);
	if (run->seed_cnt == 0) {
		fprintf(stderr, "driver: no seeds found. Put small inputs into "
				"the folder that is named.\n");
		return 2;
	}
	now.path = "nothing";
	now.what = "of length";
	execute(run, NULL, 0);
	for (size_t i = 0; i < run->seed_cnt; i++)
		run_seed(run, i);
	printf("%zu seeds, %" PRIu64 " executions\n", run->seed_cnt,
	       run->exec_cnt);
	return 0;
}

static int
run_one(struct run *run, const char *path)
{
	read_seed(run, path);
	now.what = "as it is";
	execute(run, run->seeds[0].p, run->seeds[0].len);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct run run;
	struct stat st;
	int ret;

	watch_death();
	if (argc < 2) {
		fprintf(stderr, "usage: %s DIR... | FILE\n", argv[0]);
		return 2;
	}
	if (argc == 2 && stat(argv[1], &st) == 0 && S_ISREG(st.st_mode))
		ret = run_one(&run, argv[1]);
	else
		ret = run_folders(&run, argc, argv);
	/* What the sanitizer finds from here on, a leak, is no seed's. */
	now.path = "the end";
	now.what = "run";
	for (size_t i = 0; i < run.seed_cnt; i++) {
		free(run.seeds[i].path);
		free(run.seeds[i].p);
	}
	return ret;
}
