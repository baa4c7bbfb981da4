# A thin front for CMake. `make` builds build/bin/quern; see CONTRIBUTING.md.
BUILD ?= build
PREFIX ?= /usr/local
CMAKE_FLAGS ?=

.PHONY: all setup demo test check-asan fuzz install format clean help

all: setup
	@cmake -S . -B $(BUILD) -G Ninja $(CMAKE_FLAGS) > /dev/null || cmake -S . -B $(BUILD) -G Ninja $(CMAKE_FLAGS)
	@cmake --build $(BUILD)

setup:
	@sh scripts/setup.sh

demo: all
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
