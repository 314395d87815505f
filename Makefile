# Tributary. `make` builds, `make deps demo` shows the whole way, `make deps check` proves it.
# BUILD=dir, CC=clang, SAN=1 (address and undefined-behaviour sanitizers), V=1 (show commands).
.DEFAULT_GOAL := all
CC ?= cc
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build
PREFIX ?= /usr/local
PYTHON ?= python3
Q := $(if $(V),,@)

PKGS := sqlite3 libgit2 libssl libcrypto zlib jansson smartcols
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lhttp_parser -lseccomp -lm -lpthread -ldl
VERSION := 0.1.0

WARN := -Wall -Wextra -Werror -Wconversion -Wno-sign-conversion -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wformat=2 -Wundef -Wpointer-arith -Wwrite-strings
# Messages are cut on purpose when they do not fit; gcc alone has this warning.
WARN += $(shell $(CC) -Werror -Wno-format-truncation -x c -c /dev/null -o /dev/null 2>/dev/null && echo -Wno-format-truncation)
OPT ?= -O2 -g
ifdef SAN
OPT := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
CFLAGS_ALL := -std=gnu17 -D_GNU_SOURCE -DTRIB_VERSION='"$(VERSION)"' -DTRIB_LOCALEDIR='"$(PREFIX)/share/locale"' -I. -I$(BUILD) $(PKG_CFLAGS) $(WARN) $(OPT) -fstack-protector-strong -fPIC $(CFLAGS)
LDFLAGS_ALL := $(OPT) $(LDFLAGS)

CORE_SRC := $(wildcard core/*/*.c)
AGENT_SRC := $(filter-out agent/main.c,$(wildcard agent/*.c agent/*/*.c))
HUB_SRC := $(filter-out hub/main.c,$(wildcard hub/*.c hub/*/*.c))
obj = $(patsubst %.c,$(BUILD)/%.o,$(1))

.PHONY: all clean
all: $(BUILD)/tributary-agent $(BUILD)/tributary-hub

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC $<")
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

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

# Tests: every tests/unit/test_*.c and tests/property/test_*.c is one TAP program. test_hub_*.c links the hub, the others the agent.
TEST_SRC := $(wildcard tests/unit/test_*.c tests/property/test_*.c)
TEST_BIN := $(patsubst %.c,$(BUILD)/%,$(TEST_SRC))
TESTLIB := $(call obj,$(wildcard tests/lib/*.c))
$(BUILD)/tests/unit/test_hub_%: $(BUILD)/tests/unit/test_hub_%.o $(TESTLIB) $(BUILD)/libhub.a $(BUILD)/libcore.a
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) -lcmocka
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(TESTLIB) $(BUILD)/libagent.a $(BUILD)/libcore.a
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) -lcmocka

# Fuzz targets: LLVMFuzzerTestOneInput in tests/fuzz/fuzz_*.c; the replay driver runs the corpus under any compiler.
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_REPLAY := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/replay/%,$(FUZZ_SRC))
$(BUILD)/replay/%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(BUILD)/libagent.a $(BUILD)/libhub.a $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)

.PHONY: tests
tests: all $(TEST_BIN) $(FUZZ_REPLAY)

.PHONY: objs
objs: $(call obj,$(CORE_SRC) $(AGENT_SRC) $(HUB_SRC)) $(EMBED_OBJ)

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
