# Tributary. `make` builds, `make deps demo` shows the whole way, `make deps check` proves it.
#   check asan clang lint fuzz property attack debian bench demo    see docs/TESTING.md
#   install DESTDIR= PREFIX=    po (collects the texts)    clean
# BUILD=dir, CC=clang, SAN=1 (address and undefined-behaviour sanitizers), V=1 (show commands), JOBS=2 (tests at a time).
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
CC ?= cc
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build
PREFIX ?= /usr/local
PYTHON ?= python3
Q := $(if $(V),,@)

PKGS := sqlite3 libgit2 libssl libcrypto zlib jansson smartcols libqrencode
# Asked at the first use, not when make starts: `make deps check` installs what is asked here. The answer is kept.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := -Wl,--as-needed $(shell pkg-config --libs $(PKGS)) -lhttp_parser -lseccomp -lm -lpthread -ldl)$(PKG_LIBS)
VERSION := 0.1.0

WARN := -Wall -Wextra -Werror -Wconversion -Wno-sign-conversion -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wformat=2 -Wundef -Wpointer-arith -Wwrite-strings
# Messages are cut on purpose when they do not fit; gcc alone has this warning.
WARN_CC = $(eval WARN_CC := $(shell $(CC) -Werror -Wno-format-truncation -x c -c /dev/null -o /dev/null 2>/dev/null && echo -Wno-format-truncation))$(WARN_CC)
OPT ?= -O2 -g
ifdef SAN
OPT := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
ifdef FUZZ
OPT := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
CFLAGS_ALL = -std=gnu17 -D_GNU_SOURCE -DTRIB_VERSION='"$(VERSION)"' -I. -I$(BUILD) $(PKG_CFLAGS) $(WARN) $(WARN_CC) $(OPT) -fstack-protector-strong -fPIC $(CFLAGS)
LDFLAGS_ALL := $(OPT) $(LDFLAGS)

CORE_SRC := $(wildcard core/*/*.c)
AGENT_SRC := $(filter-out agent/main.c,$(wildcard agent/*.c agent/*/*.c))
HUB_SRC := $(filter-out hub/main.c,$(wildcard hub/*.c hub/*/*.c))
obj = $(patsubst %.c,$(BUILD)/%.o,$(1))

.PHONY: all clean
all: $(BUILD)/tributary-agent $(BUILD)/tributary-hub $(BUILD)/locale/zh_CN/LC_MESSAGES/tributary.mo

# What the machine lacks, and nothing else, with apt. Named before another goal it also runs before it under -j.
DEPS := gcc make pkg-config libsqlite3-dev libgit2-dev libssl-dev zlib1g-dev libjansson-dev libhttp-parser-dev libsmartcols-dev libqrencode-dev libseccomp-dev \
	libcmocka-dev gettext git gpgsm gpg-agent openssl sqlite3 libnss3-tools python3 curl procps \
	fossil subversion bogofilter-sqlite newsboat
DEPS_CI := clang libclang-rt-14-dev shellcheck strace
FIRST := $(filter deps deps-ci,$(MAKECMDGOALS))
.PHONY: deps deps-ci
deps: ; @sh tests/deps $(DEPS)
deps-ci: ; @sh tests/deps $(DEPS) $(DEPS_CI)

$(BUILD)/%.o: %.c | $(FIRST)
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC $<")
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# The one object that knows PREFIX is made anew when PREFIX changes.
$(BUILD)/core/base/i18n.o: CFLAGS_ALL += -DTRIB_LOCALEDIR='"$(PREFIX)/share/locale"'
$(BUILD)/core/base/i18n.o: $(BUILD)/prefix
$(BUILD)/prefix: always
	@mkdir -p $(@D)
	@echo '$(PREFIX)' | cmp -s - $@ || echo '$(PREFIX)' > $@
.PHONY: always
always:

# Files embedded into the programs: schema/embed.list names them (docs: schema/README.md).
EMBED := $(shell sed -e 's/\#.*//' -e '/^ *$$/d' schema/embed.list 2>/dev/null)
$(BUILD)/embed.c: schema/embed.list schema/embed.sh $(EMBED)
	@mkdir -p $(@D)
	$(Q)sh schema/embed.sh $(EMBED) > $@.tmp && mv $@.tmp $@
$(BUILD)/embed.o: $(BUILD)/embed.c
	$(Q)$(CC) $(CFLAGS_ALL) -c -o $@ $<
EMBED_OBJ := $(if $(wildcard schema/embed.sh),$(BUILD)/embed.o)

$(BUILD)/libcore.a: $(call obj,$(CORE_SRC)) $(EMBED_OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^
$(BUILD)/libagent.a: $(call obj,$(AGENT_SRC))
	@rm -f $@
	$(Q)$(AR) rcs $@ $^
$(BUILD)/libhub.a: $(call obj,$(HUB_SRC))
	@rm -f $@
	$(Q)$(AR) rcs $@ $^
$(BUILD)/tributary-agent: $(BUILD)/agent/main.o $(BUILD)/libagent.a $(BUILD)/libcore.a
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)
$(BUILD)/tributary-hub: $(BUILD)/hub/main.o $(BUILD)/libhub.a $(BUILD)/libcore.a
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)

# The demonstration's plain application: SQLite alone, nothing of ours.
DEMO_BIN := $(BUILD)/demo/writer
$(DEMO_BIN): $(BUILD)/demo/writer.o
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lsqlite3

# Texts: `make po` collects them from the sources and merges them into the translations.
POT := po/tributary.pot
.PHONY: po
po: ; @sh po/update
$(BUILD)/locale/%/LC_MESSAGES/tributary.mo: po/%.po | $(FIRST)
	@mkdir -p $(@D)
	$(Q)msgfmt --check-format -o $@ $<

# Tests: every test_*.c under these folders is one TAP program, every *.t one TAP script. test_hub_*.c links the hub, the others the agent;
# tests/tool/*.c are programs that scripts call, with everything.
TEST_DIRS := unit property fault crash attack
TEST_SRC := $(wildcard $(TEST_DIRS:%=tests/%/test_*.c))
TEST_BIN := $(patsubst %.c,$(BUILD)/%,$(TEST_SRC))
TEST_BIN_HUB := $(filter $(BUILD)/tests/%,$(foreach b,$(TEST_BIN),$(if $(filter test_hub_%,$(notdir $(b))),$(b))))
TEST_BIN_AGENT := $(filter-out $(TEST_BIN_HUB),$(TEST_BIN))
TEST_SH := $(wildcard tests/e2e/*.t tests/crash/*.t tests/fault/*.t tests/attack/*.t tests/property/*.t)
TOOL_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/tool/*.c))
TESTLIB := $(call obj,$(wildcard tests/lib/*.c))
$(TEST_BIN_HUB): $(BUILD)/%: $(BUILD)/%.o $(TESTLIB) $(BUILD)/libhub.a $(BUILD)/libcore.a
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) -lcmocka
$(TEST_BIN_AGENT): $(BUILD)/%: $(BUILD)/%.o $(TESTLIB) $(BUILD)/libagent.a $(BUILD)/libcore.a
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) -lcmocka
$(TOOL_BIN): $(BUILD)/%: $(BUILD)/%.o $(TESTLIB) $(BUILD)/libagent.a $(BUILD)/libhub.a $(BUILD)/libcore.a
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) -lcmocka

# Fuzz targets: LLVMFuzzerTestOneInput in tests/fuzz/fuzz_*.c; the replay driver runs the corpus under any compiler. fuzz_hub_*.c links the hub.
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_REPLAY := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/replay/%,$(FUZZ_SRC))
FUZZ_BIN := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/fuzz/%,$(FUZZ_SRC))
$(FUZZ_REPLAY): $(BUILD)/replay/%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(BUILD)/libagent.a $(BUILD)/libhub.a $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)
$(FUZZ_BIN): $(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/libagent.a $(BUILD)/libhub.a $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS)

# What the benchmarks measure with.
BENCH_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard bench/*.c))
$(BENCH_BIN): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/libagent.a $(BUILD)/libhub.a $(BUILD)/libcore.a
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)

JOBS ?= 2
FUZZ_SECONDS ?= 30
PROPERTY_ROUNDS ?= 20000
ATTACK_STRIDE ?= 1
RUN := BUILD='$(abspath $(BUILD))' PYTHON='$(PYTHON)' JOBS='$(JOBS)' sh tests/run
.PHONY: tests check asan clang lint property attack debian fuzz fuzz-build demo bench
tests: all $(DEMO_BIN) $(TEST_BIN) $(TOOL_BIN) $(BENCH_BIN) $(FUZZ_REPLAY)
# Not for a sanitizer: what stock tools say of a doctored bundle, which none of our programs reads; and what does at length what other tests do.
NOT_SAN := $(filter tests/attack/auditor-% tests/e2e/stock-audit.t tests/e2e/large.t tests/e2e/lock-byte.t tests/e2e/demo.t tests/crash/every-call.t,$(TEST_SH))
check: tests
	@$(RUN) $(TEST_BIN) $(FUZZ_REPLAY) $(if $(SAN),$(filter-out $(NOT_SAN),$(TEST_SH)),$(TEST_SH))
asan:
	@$(MAKE) --no-print-directory SAN=1 BUILD=build/asan check
clang:
	@$(MAKE) --no-print-directory CC=clang BUILD=build/clang tests
lint:
	@$(RUN) $(sort $(wildcard tests/lint/*.t))
property: tests
	@PROPERTY_ROUNDS=$(PROPERTY_ROUNDS) TEST_TIMEOUT=7200 $(RUN) $(filter $(BUILD)/tests/property/%,$(TEST_BIN)) $(filter tests/property/%,$(TEST_SH))
attack: tests
	@ATTACK_STRIDE=$(ATTACK_STRIDE) ATTACK_EVERY=1 TEST_TIMEOUT=86400 $(RUN) $(filter $(BUILD)/tests/attack/%,$(TEST_BIN)) $(filter tests/attack/% tests/crash/every-call.t,$(TEST_SH))
debian: tests
	@TEST_TIMEOUT=3600 $(RUN) $(sort $(wildcard tests/debian/*.t))
fuzz-build: $(FUZZ_BIN)
fuzz:
	@$(MAKE) --no-print-directory CC=clang FUZZ=1 BUILD=build/libfuzzer fuzz-build
	@FUZZ_SECONDS=$(FUZZ_SECONDS) BUILD=build/libfuzzer sh tests/fuzz/run
demo: all $(DEMO_BIN)
	@BUILD='$(abspath $(BUILD))' KEEP='$(KEEP)' sh demo/run
bench: all $(BENCH_BIN)
	@BUILD='$(abspath $(BUILD))' sh bench/run
	@BUILD='$(abspath $(BUILD))' sh bench/capture
	@BUILD='$(abspath $(BUILD))' sh bench/audit
	@BUILD='$(abspath $(BUILD))' sh bench/screen

MAN1 := $(wildcard docs/man/*.1)
MAN8 := $(wildcard docs/man/*.8)
INSTALL_TO = $(DESTDIR)$(PREFIX)
.PHONY: install
install: all
	install -d $(INSTALL_TO)/bin $(INSTALL_TO)/share/man/man1 $(INSTALL_TO)/share/man/man8 $(INSTALL_TO)/share/locale/zh_CN/LC_MESSAGES $(INSTALL_TO)/share/tributary
	install -m 0755 $(BUILD)/tributary-agent $(BUILD)/tributary-hub certs/tributary-verify $(INSTALL_TO)/bin
	install -m 0755 certs/gpgsm-setup $(INSTALL_TO)/share/tributary
	install -m 0644 $(MAN1) $(INSTALL_TO)/share/man/man1
	install -m 0644 $(MAN8) $(INSTALL_TO)/share/man/man8
	install -m 0644 $(BUILD)/locale/zh_CN/LC_MESSAGES/tributary.mo $(INSTALL_TO)/share/locale/zh_CN/LC_MESSAGES

.PHONY: objs
objs: $(call obj,$(CORE_SRC) $(AGENT_SRC) $(HUB_SRC)) $(EMBED_OBJ)

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
