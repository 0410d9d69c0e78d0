# meshcert - certificates for a service mesh. `make help` lists the targets.
#
# One Makefile, not recursive. Everything built goes to build/<variant>/, where
# the variant names compiler, sanitizer and architecture, so that they can live
# beside each other:  make CC=clang   make SAN=address,undefined test
#                     make ARCH=arm64
# FAIL=1 is the build with failpoints (lib/base/fail.h), for tests/fault only.

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=
FAIL ?=
ARCH ?= $(shell uname -m)
PREFIX ?= /usr/local
VERSION := $(shell sed -n 's/^\#define VERSION_TEXT "\(.*\)"/\1/p' lib/base/version.h)

comma := ,
cc_name := $(notdir $(CC))
ifeq ($(ARCH),arm64)
CC := aarch64-linux-gnu-gcc
VARIANT := arm64
export MESHCERT_CROSS := arm64
else
PKG_CONFIG := pkg-config
VARIANT := $(cc_name)$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(COVERAGE),-cov)$(if $(FAIL),-fail)
endif
B := build/$(VARIANT)
GEN := build/gen

# tools/deps says where it put AWS-LC and the tests' Python environment.
DEPS := $(shell MESHCERT_CROSS=$(filter arm64,$(ARCH)) tools/deps --print)
AWSLC := $(patsubst awslc=%,%,$(filter awslc=%,$(DEPS)))
VENV := $(patsubst venv=%,%,$(filter venv=%,$(DEPS)))
SYSROOT := $(patsubst sysroot=%,%,$(filter sysroot=%,$(DEPS)))
ifeq ($(ARCH),arm64)
PKG_CONFIG := env PKG_CONFIG_SYSROOT_DIR=$(SYSROOT) \
	PKG_CONFIG_LIBDIR=$(SYSROOT)/usr/lib/aarch64-linux-gnu/pkgconfig pkg-config
CROSS_CFLAGS := -isystem $(SYSROOT)/usr/include \
	-isystem $(SYSROOT)/usr/include/aarch64-linux-gnu
# Libraries of libraries (libcurl's) are the target machine's business.
CROSS_LINK := -L$(SYSROOT)/usr/lib/aarch64-linux-gnu -Wl,--allow-shlib-undefined
endif
AWSLC_VERSION := $(shell sed -n 's/^aws-lc-sys = { version = "=\([0-9.]*\)".*/\1/p' third_party/aws-lc/Cargo.toml)

# ---- compiler ---------------------------------------------------------
has_flag = $(shell $(CC) -Werror $(1) -x c -c -o /dev/null /dev/null 2>/dev/null && echo $(1))
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes \
	-Wstrict-prototypes -Wvla -Wformat=2 -Wundef -Wcast-qual -Werror
HARDEN := -fstack-protector-strong -fPIE $(call has_flag,-fstack-clash-protection) \
	$(call has_flag,-fcf-protection=full) $(call has_flag,-mbranch-protection=standard) \
	$(call has_flag,-ftrivial-auto-var-init=zero)
ifeq ($(SAN)$(FAIL),)
HARDEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
OPT ?= -O2
else ifeq ($(SAN),)
# Checked variants of the C library's calls would pass tests/fault/libc.c by.
HARDEN += -U_FORTIFY_SOURCE
OPT ?= -O2
else
SANFLAGS := -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
OPT ?= -O1
endif
COVERAGE ?=
CFLAGS ?= -g
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE $(OPT) $(CFLAGS) $(WARN) $(HARDEN) \
	$(SANFLAGS) $(if $(COVERAGE),-fprofile-instr-generate -fcoverage-mapping) \
	-ffunction-sections -fdata-sections -Ilib -Icmd \
	$(if $(SAN)$(COVERAGE),-DOS_NO_SANDBOX) $(if $(FAIL),-DFAILPOINTS) \
	-isystem $(GEN) -isystem $(AWSLC)/include $(CROSS_CFLAGS) -MMD -MP
# AWS-LC's symbols never leave our binaries: a PKCS#11 module or libpq may
# bring OpenSSL into the same process. tests/flow/test_build.py looks with nm -D.
LINK_FLAGS = $(CROSS_LINK) $(SANFLAGS) $(if $(COVERAGE),-fprofile-instr-generate) -pie -Wl,--gc-sections -Wl,-z,relro,-z,now \
	-Wl,-z,noexecstack -Wl,--as-needed \
	-Wl,--exclude-libs,libcrypto.a:libssl.a
LIBS = $(AWSLC)/lib/libssl.a $(AWSLC)/lib/libcrypto.a \
	$(shell $(PKG_CONFIG) --libs libuv libnghttp2 libprotobuf-c jansson yaml-0.1 sqlite3 libseccomp) \
	-lhttp_parser -lpthread -lm
FETCH_LIBS = $(shell $(PKG_CONFIG) --libs libcurl libuv libseccomp) -lpthread

# ---- what there is ----------------------------------------------------
PROTOS := $(wildcard proto/*.proto)
GEN_C := $(PROTOS:proto/%.proto=$(GEN)/proto/%.pb-c.c)
GEN_O := $(GEN_C:$(GEN)/%.c=$(B)/gen/%.o)
# Failpoints are part of no other build; under sanitizers, whose own calls of
# these names they would hide, without those of the C library.
FAIL_C := lib/base/fail.c
LIB_C := $(filter-out $(if $(FAIL),,$(FAIL_C)),$(wildcard lib/*/*.c))
LIB_C += $(if $(FAIL),$(if $(SAN),,tests/fault/libc.c))
LIB_O := $(LIB_C:%.c=$(B)/%.o)
LIB := $(B)/libmeshcert.a
# meshcert-fetch uses nothing of AWS-LC: a test looks.
PROGRAMS := $(B)/meshcert-ca $(B)/meshcert-agent $(B)/meshcert $(B)/meshcert-fetch
UNIT_C := $(wildcard tests/unit/test_*.c)
UNIT := $(UNIT_C:tests/unit/%.c=$(B)/tests/%)
FUZZ_C := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_SHORT := $(FUZZ_C:tests/fuzz/%.c=$(B)/fuzz/%)

.PHONY: all demo soak test unit flow fuzz-short fuzz fuzz-coverage peers bench \
	check format \
	install clean help deps fuzz-bins
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAMS) ## build the programs

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## install what is needed (Debian 12 or newer)
	@tools/deps

$(AWSLC)/ok:
	@tools/deps

# ---- rules ------------------------------------------------------------
$(GEN)/proto/%.pb-c.c $(GEN)/proto/%.pb-c.h: proto/%.proto
	@mkdir -p $(GEN)/proto
	protoc-c --proto_path=. --c_out=$(GEN) $<

# Generated code is not held to our warnings.
$(B)/gen/%.o: $(GEN)/%.c | $(AWSLC)/ok $(GEN_C)
	@mkdir -p $(@D)
	$(CC) $(filter-out $(WARN),$(ALL_CFLAGS)) -c -o $@ $<

$(B)/%.o: %.c | $(AWSLC)/ok $(GEN_C)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -DAWSLC_CRATE_VERSION='"$(AWSLC_VERSION)"' -c -o $@ $<

$(LIB): $(LIB_O) $(GEN_O)
	@rm -f $@
	ar rcs $@ $^

define program_rule
$$(B)/$(1): $$(patsubst %.c,$$(B)/%.o,$$(wildcard cmd/$(2)/*.c)) $$(LIB)
	$$(CC) $$(LINK_FLAGS) -o $$@ $$^ $(3)
endef
$(eval $(call program_rule,meshcert-ca,ca,$$(LIBS)))
$(eval $(call program_rule,meshcert-agent,agent,$$(LIBS)))
$(eval $(call program_rule,meshcert,meshcert,$$(LIBS)))
$(eval $(call program_rule,meshcert-fetch,fetch,$$(FETCH_LIBS)))

# It stands in for what judges signatures.
$(B)/tests/test_verdict: TEST_LINK := -Wl,--wrap=pubkey_verify \
	-Wl,--wrap=pubkey_verify_raw_ecdsa
# Counts the signatures that the library checks.
$(B)/tests/test_chain_search: TEST_LINK := -Wl,--wrap=EVP_DigestVerify
$(B)/tests/%: tests/unit/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Itests/unit $(LINK_FLAGS) $(TEST_LINK) -o $@ $< $(LIB) $(LIBS) -lcmocka

# meshcert-ca in which tests take roles over: tests/flow/test_taken_roles.py.
$(B)/tests/ca-main.o: cmd/ca/main.c | $(AWSLC)/ok $(GEN_C)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Dmain=ca_main -Wno-missing-prototypes -c -o $@ $<

TAKEN_O := $(B)/tests/ca-main.o \
	$(patsubst %.c,$(B)/%.o,$(filter-out cmd/ca/main.c,$(wildcard cmd/ca/*.c)))
$(B)/tests/taken: tests/unit/taken.c $(TAKEN_O) $(LIB)
	$(CC) $(ALL_CFLAGS) $(LINK_FLAGS) -o $@ $< $(TAKEN_O) $(LIB) $(LIBS)

# The short deterministic run: the target with a small driver of ours.
$(B)/fuzz/%: tests/fuzz/%.c tests/fuzz/driver.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Itests/fuzz $(LINK_FLAGS) -o $@ $< tests/fuzz/driver.c $(FUZZ_MORE) $(LIB) $(LIBS)

# What of a program a target needs.
CLI_O := $(patsubst %.c,$(B)/%.o,$(filter-out %/main.c,$(wildcard cmd/meshcert/*.c)))
$(B)/fuzz/fuzz_inspect $(B)/libfuzzer/fuzz_inspect: FUZZ_MORE := $(CLI_O)
$(B)/fuzz/fuzz_inspect $(B)/libfuzzer/fuzz_inspect: $(CLI_O)
# It has its own lines of meshcert status.
ANSWERS_O := $(filter-out %/status.o,$(CLI_O))
$(B)/fuzz/fuzz_cli_answers $(B)/libfuzzer/fuzz_cli_answers: FUZZ_MORE := $(ANSWERS_O)
$(B)/fuzz/fuzz_cli_answers $(B)/libfuzzer/fuzz_cli_answers: $(ANSWERS_O)

# libFuzzer: a variant of its own, see the target fuzz.
FUZZ_SAN := address,undefined,fuzzer-no-link
$(B)/libfuzzer/%: tests/fuzz/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer -Itests/fuzz $(LINK_FLAGS) -o $@ $< $(FUZZ_MORE) $(LIB) $(LIBS)

# ---- targets ----------------------------------------------------------
demo: deps ## two Envoys, mutual TLS, rotation under load, in a minute or two
	@$(MAKE) --no-print-directory all
	@$(VENV)/bin/python tests/demo/demo.py --build $(B)

soak: deps ## certificates of a few seconds' life for SOAK_SECONDS (1200); memory must be flat
	@$(MAKE) --no-print-directory all
	@$(VENV)/bin/python tests/soak/soak.py --build $(B) --seconds $(or $(SOAK_SECONDS),1200)

test: deps ## all tests that need no compiled peers
	@$(MAKE) --no-print-directory CC=$(CC) SAN=$(SAN) all unit-bins
	@$(MAKE) --no-print-directory CC=$(CC) SAN=$(SAN) FAIL=1 all
	@$(VENV)/bin/python tools/run-tests --build $(B) --venv $(VENV)

# vectors: what a flow test asks about signatures. taken: see above.
unit-bins: $(UNIT) $(FUZZ_SHORT) $(B)/tests/vectors $(B)/tests/taken
unit: unit-bins ## unit tests and the short fuzz run only
	@$(VENV)/bin/python tools/run-tests --build $(B) --venv $(VENV) unit fuzz

fuzz-bins: $(FUZZ_C:tests/fuzz/%.c=$(B)/libfuzzer/%)
fuzz: deps ## libFuzzer, FUZZ_SECONDS (60) for each target
	@$(MAKE) --no-print-directory CC=clang SAN=$(FUZZ_SAN) fuzz-bins
	@tools/run-fuzz build/clang-$(subst $(comma),-,$(FUZZ_SAN))/libfuzzer $(or $(FUZZ_SECONDS),60)

fuzz-coverage: deps ## what the fuzz targets' inputs reach of the code they are for
	@$(MAKE) --no-print-directory CC=clang SAN=fuzzer-no-link COVERAGE=1 fuzz-bins
	@tools/fuzz-coverage build/clang-fuzzer-no-link-cov/libfuzzer

peers: deps ## tests with real peers that must be compiled (cached)
	@$(MAKE) --no-print-directory all
	@tests/peer/run --build $(B)

bench: deps ## figures beside peers: a table, build/bench/results.json and figures.svg
	@$(MAKE) --no-print-directory all bench-bins
	@$(VENV)/bin/python bench/run.py --build $(B)

BENCH_C := $(wildcard bench/bench_*.c)
bench-bins: $(BENCH_C:bench/%.c=$(B)/bench/%)
$(B)/bench/%: bench/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LINK_FLAGS) -o $@ $< $(LIB) $(LIBS)

check: $(GEN_C) ## format, layers, banned calls, sizes, documents
	@tools/check

format: ## rewrite the sources as .clang-format says
	@git ls-files --cached --others --exclude-standard '*.c' '*.h' | xargs clang-format -i

install: all ## to $(DESTDIR)$(PREFIX)
	@tools/install-files "$(B)" "$(DESTDIR)$(PREFIX)"

clean: ## remove build/
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
