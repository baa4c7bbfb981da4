# A thin front for CMake. `make` builds build/bin/quern; see CONTRIBUTING.md.
BUILD ?= build
PREFIX ?= /usr/local
CMAKE_FLAGS ?=

.PHONY: all configure setup demo test install format clean help

all: configure
	@cmake --build $(BUILD)

configure: setup
	@cmake -S . -B $(BUILD) -G Ninja $(CMAKE_FLAGS) > /dev/null || cmake -S . -B $(BUILD) -G Ninja $(CMAKE_FLAGS)

setup:
	@sh scripts/setup.sh

demo: configure
	@cmake --build $(BUILD) --target quern_command
	@sh scripts/demo.sh $(BUILD)

test: setup
	@sh scripts/test.sh

install: all
	@cmake --install $(BUILD) --prefix $(PREFIX) --strip

format:
	@clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	@rm -rf build build-asan build-tsan build-fuzz

help:
	@sed -n 's/^\([a-z-]*\):.*/make \1/p' Makefile
