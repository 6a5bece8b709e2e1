# Postern. Two commands for a newcomer: `make demo` and `make check`.
# Both install what they need from Debian's packages first (tools/setup).
#
#   O=DIR    where everything is built (default build)
#   SAN=...  -fsanitize=... for a build of its own directory (make asan, tsan)
#   CC=...   gcc or clang

O ?= build
CC = gcc
PROTOC_C ?= protoc-c
SAN ?=
PREFIX ?= /usr/local

PROGRAMS = posternd postern-worker postern-helper postern

WARN = -Wall -Wextra -Wshadow -Wvla -Wundef -Wpointer-arith -Wcast-qual -Wcast-align \
       -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wnull-dereference \
       -Wimplicit-fallthrough -Wconversion -Werror
HARDEN = -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection \
         -fcf-protection=full -ftrivial-auto-var-init=zero
ifneq ($(findstring clang,$(CC)),) # clang 14 wants this said aloud
HARDEN += -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
endif
LDHARDEN = -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
ifneq ($(SAN),)
HARDEN = -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer -DPOSTERN_SANITIZED
LDHARDEN = -fsanitize=$(SAN)
WARN := $(filter-out -Wnull-dereference,$(WARN)) -Wno-unknown-warning-option \
        -Wno-maybe-uninitialized # sanitizers confuse both
endif
OPT ?= -O2 -g
CPPFLAGS = -D_GNU_SOURCE -I. -I$(O)/gen
CFLAGS = -std=gnu17 $(OPT) -fPIE $(HARDEN)
LDFLAGS = $(LDHARDEN)

# --- generated: messages -------------------------------------------------
GEN = $(O)/gen/ipc/fs.pb-c.c $(O)/gen/ipc/boot.pb-c.c $(O)/gen/ipc/control.pb-c.c
GEN_H = $(GEN:.c=.h)

# --- libraries and programs: one folder each ------------------------------
src = $(wildcard $(1)/*.c)
obj = $(patsubst %.c,$(O)/obj/%.o,$(1))
LIB_DIRS = ipc sandbox policy
PROG_DIRS = broker worker proxy-helper control
ARCHIVES = $(LIB_DIRS:%=$(O)/lib/%.a)
lib_objs = $(call obj,$(filter-out %/main.c,$(call src,$(1))))

.PHONY: all
all: $(PROGRAMS:%=$(O)/%)

$(O)/lib/ipc.a: $(call lib_objs,ipc) $(GEN:$(O)/gen/%.c=$(O)/obj/gen/%.o)
$(O)/lib/sandbox.a: $(call lib_objs,sandbox)
$(O)/lib/policy.a: $(call lib_objs,policy)
$(O)/lib/broker.a: $(call lib_objs,broker)
$(O)/lib/worker.a: $(call lib_objs,worker)
$(O)/lib/proxy-helper.a: $(call lib_objs,proxy-helper)
$(O)/lib/control.a: $(call lib_objs,control)
$(O)/lib/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	@$(AR) rcs $@ $^

BASE_LIBS = -lprotobuf-c -lseccomp -lcap-ng
CONTROL_LIBS = -lprotobuf-c -lsmartcols -ljansson
TEST_LIBS = -lcmocka -lconfuse -lmd -levent_core $(BASE_LIBS) $(CONTROL_LIBS) -pthread
$(O)/posternd: $(O)/obj/broker/main.o $(O)/lib/broker.a $(O)/lib/policy.a $(O)/lib/sandbox.a $(O)/lib/ipc.a
$(O)/posternd: LIBS = -lconfuse -lmd -levent_core $(BASE_LIBS)
$(O)/postern-worker: $(O)/obj/worker/main.o $(O)/lib/worker.a $(O)/lib/sandbox.a $(O)/lib/ipc.a
$(O)/postern-worker: LIBS = $(BASE_LIBS)
$(O)/postern-helper: $(O)/obj/proxy-helper/main.o $(O)/lib/proxy-helper.a $(O)/lib/sandbox.a $(O)/lib/ipc.a
$(O)/postern-helper: LIBS = $(BASE_LIBS) -pthread
$(O)/postern: $(O)/obj/control/main.o $(O)/lib/control.a $(O)/lib/ipc.a
$(O)/postern: LIBS = $(CONTROL_LIBS)
$(PROGRAMS:%=$(O)/%):
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(O)/gen/%.pb-c.c $(O)/gen/%.pb-c.h: %.proto
	@mkdir -p $(O)/gen
	@$(PROTOC_C) --c_out=$(O)/gen $<

$(O)/obj/gen/%.o: $(O)/gen/%.c
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(CFLAGS) -w -c -o $@ $<

# tests/escape is built with the sandbox's test switches; see there
$(O)/obj/test-sandbox/%.o: sandbox/%.c | $(GEN_H)
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) -DPOSTERN_SANDBOX_TEST $(CFLAGS) $(WARN) -MMD -MP -c -o $@ $<

$(O)/obj/%.o: %.c | $(GEN_H)
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) -MMD -MP -c -o $@ $<

# --- tests: tests/KIND/test_X.c is one program -----------------------------
TEST_KINDS = unit contract escape system race
TEST_SRC = $(foreach k,$(TEST_KINDS),$(wildcard tests/$(k)/test_*.c))
TESTS = $(TEST_SRC:tests/%.c=$(O)/tests/%)
TEST_ARCHIVES = $(O)/lib/test.a $(O)/lib/worker.a $(O)/lib/proxy-helper.a $(O)/lib/broker.a \
                $(O)/lib/control.a $(O)/lib/policy.a $(O)/lib/sandbox.a $(O)/lib/ipc.a
$(O)/lib/test.a: $(call obj,$(wildcard tests/lib/*.c))
$(O)/lib/test-sandbox.a: $(patsubst sandbox/%.c,$(O)/obj/test-sandbox/%.o,$(call src,sandbox))
ESCAPE_OBJS = $(call obj,$(filter-out tests/escape/test_%,$(wildcard tests/escape/*.c)))
$(filter $(O)/tests/escape/%,$(TESTS)): $(O)/tests/escape/%: $(O)/obj/tests/escape/%.o $(ESCAPE_OBJS) $(O)/lib/test-sandbox.a $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(ESCAPE_OBJS) $(O)/lib/test-sandbox.a \
	    -Wl,--start-group $(filter-out %/sandbox.a,$(TEST_ARCHIVES)) -Wl,--end-group \
	    $(TEST_LIBS)
$(O)/tests/%: $(O)/obj/tests/%.o $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(TEST_ARCHIVES) -Wl,--end-group \
	    $(TEST_LIBS)

kind = $(filter $(O)/tests/$(1)/%,$(TESTS))
.PHONY: unit contract escape system race tests
tests: $(TESTS)
unit: $(call kind,unit)
	@tools/run-tests unit $^
contract: $(call kind,contract)
	@tools/run-tests contract $^
escape: all $(call kind,escape) $(call kind,contract)
	@POSTERN_BIN=$(O) tools/run-tests escape $(call kind,escape)
	@POSTERN_CONTRACT_HELPER=$(abspath $(O))/postern-helper tools/run-tests sandboxed $(call kind,contract)
# The same with Linux 6.1 as the host, in QEMU; PROGRAMS="escape/test_every_call"
.PHONY: escape-61
escape-61: all $(call kind,escape) $(call kind,contract) $(call kind,system)
	@tools/setup qemu
	@POSTERN_BIN=$(O) tests/e2e/host61 $(PROGRAMS)
system: all $(call kind,system)
	@POSTERN_BIN=$(O) tools/run-tests system $(call kind,system)
race: all $(call kind,race)
	@POSTERN_BIN=$(O) tools/run-tests race $(call kind,race)

# The conformance suite is one program, linked statically where the machine can,
# so that any guest can run it. POSIX="-k 6.1 ...": more than fits into check.
$(O)/posix/posix: $(call obj,$(call src,tests/posix))
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) -static -o $@ $^ 2>/dev/null || $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^
.PHONY: posix
posix: all $(O)/posix/posix
	@POSTERN_BIN=$(O) tests/posix/run $(POSIX)

# --- sanitizers: the same tests, another build -----------------------------
.PHONY: asan tsan
asan:
	@$(MAKE) --no-print-directory O=$(O)-asan SAN=address,undefined unit contract
tsan:
	@$(MAKE) --no-print-directory O=$(O)-tsan SAN=thread unit contract

# --- the two commands --------------------------------------------------------
.PHONY: setup demo check check-all vm
setup:
	@tools/setup
demo:
	@tools/setup
	@$(MAKE) --no-print-directory all
	@POSTERN_BIN=$(O) tests/e2e/demo
check:
	@tools/setup check
	@$(MAKE) --no-print-directory check-all
check-all: all
	@tools/check-all $(O)
vm: all
	@POSTERN_BIN=$(O) tests/e2e/run

# --- gates and measures --------------------------------------------------------
.PHONY: lint format bench bench-neighbour bench-scale bench-kernel bench-plot fuzz fuzz-run
lint: $(GEN_H) $(O)/postern-worker $(O)/postern-helper
	@tools/lint $(O)
format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i
$(O)/bench/bench: $(call obj,$(call src,bench)) $(O)/lib/control.a $(O)/lib/ipc.a
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CONTROL_LIBS)
bench:
	@tools/setup bench
	@$(MAKE) --no-print-directory all $(O)/bench/bench
	@POSTERN_BIN=$(O) bench/run $(if $(PEER),--$(PEER)) $(BENCH)
bench-neighbour:
	@tools/setup
	@$(MAKE) --no-print-directory all $(O)/bench/bench
	@POSTERN_BIN=$(O) bench/neighbour $(BENCH)
# What grows with tenants, connections, files; BENCH="-n 100 ... -j FILE"
bench-scale:
	@tools/setup
	@$(MAKE) --no-print-directory all $(O)/bench/bench
	@POSTERN_BIN=$(O) bench/scale $(BENCH)
# Real programs in a guest: BENCH="-k 6.1 -r 5 -j FILE"
bench-kernel:
	@tools/setup bench
	@$(MAKE) --no-print-directory all $(O)/bench/bench
	@POSTERN_BIN=$(O) bench/kernel $(BENCH)
# SVGs of what bench-scale wrote with -j: make bench-plot JSON=FILE [TO=DIR]
bench-plot:
	@bench/plot $(JSON) $(or $(TO),docs/img)

# --- fuzzing: make fuzz [T=nine] [S=60]; seconds are per target ---------------
S ?= 60
T ?= $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
$(O)/fuzz/helper: FUZZ_LD = -Wl,--wrap=violation # an input must not end the program
FUZZ_ARCHIVES = $(TEST_ARCHIVES)
STAGE_WRAPS = spawn_child waitid share_mount_clone getsockopt announce bug # tests/lib/stage.h
$(O)/fuzz/control: FUZZ_LD = $(STAGE_WRAPS:%=-Wl,--wrap=%)
$(O)/fuzz/control: FUZZ_ARCHIVES = $(filter-out %/worker.a,$(TEST_ARCHIVES)) # has other tenants
$(O)/fuzz/%: $(O)/obj/tests/fuzz/fuzz_%.o $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) -fsanitize=fuzzer $(FUZZ_LD) -o $@ $< -Wl,--start-group $(FUZZ_ARCHIVES) -Wl,--end-group \
	    $(TEST_LIBS)
fuzz:
	@$(MAKE) --no-print-directory O=$(O)-fuzz CC=clang SAN=fuzzer-no-link,address,undefined \
	    fuzz-run T="$(T)" S=$(S)
fuzz-run: $(T:%=$(O)/fuzz/%)
	@tools/fuzz $(S) $^
# Which lines the inputs in the tree reach.
fuzz-coverage:
	@tools/setup check
	@$(MAKE) --no-print-directory O=$(O)-coverage CC=clang SAN=fuzzer-no-link \
	    OPT="-O1 -g -fprofile-instr-generate -fcoverage-mapping" fuzz-coverage-run T="$(T)"
fuzz-coverage-run: $(T:%=$(O)/fuzz/%)
	@tools/fuzz-coverage $^

# --- proof: make prove; not part of check, whose machine lacks the tools --------
.PHONY: prove
prove:
	@tools/setup prove
	@tools/prove

# --- install: DESTDIR= and PREFIX= as usual -----------------------------------------
UNITDIR ?= $(PREFIX)/lib/systemd/system
to = $(DESTDIR)$(PREFIX)
.PHONY: install clean
install: all
	install -d $(to)/bin $(to)/libexec/postern $(DESTDIR)$(UNITDIR) \
	    $(to)/share/man/man1 $(to)/share/man/man5 $(to)/share/man/man8 \
	    $(to)/share/bash-completion/completions $(to)/share/zsh/site-functions
	install -m 755 $(O)/postern $(to)/bin/
	install -m 755 $(O)/posternd $(O)/postern-worker $(O)/postern-helper $(to)/libexec/postern/
	install -m 644 docs/man/*.1 $(to)/share/man/man1/
	install -m 644 docs/man/*.5 $(to)/share/man/man5/
	install -m 644 docs/man/*.8 $(to)/share/man/man8/
	install -m 644 packaging/completion/postern.bash \
	    $(to)/share/bash-completion/completions/postern
	install -m 644 packaging/completion/_postern $(to)/share/zsh/site-functions/
	install -m 644 packaging/*.service packaging/*.socket $(DESTDIR)$(UNITDIR)/
	sed -i 's|^ExecStart=/usr/local/|ExecStart=$(PREFIX)/|' $(DESTDIR)$(UNITDIR)/postern*.service
clean:
	rm -rf $(O) $(O)-asan $(O)-tsan $(O)-fuzz $(O)-coverage

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
.SECONDARY:
