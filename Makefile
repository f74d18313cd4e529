# The two commands: `make run` and `make test`. Everything else wraps a CMake preset.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
JOBS ?= $(shell nproc)
PRESET ?= dev

.PHONY: run test test-long bench fuzz bootstrap build asan tsan tidy format format-check clean

run:
	@tools/bootstrap run
	@$(MAKE) --no-print-directory build PRESET=release
	@# At a terminal the program gets the foreground to itself, so that Ctrl-C ends it and not make:
	@# it closes cleanly, and make's exit status is its own.
	@if [ -t 0 ]; then set -m; fi; ./build/release/quantum up && exit 0 || exit $$?

test: bootstrap
	@tools/test

test-long: bootstrap
	@tools/test --long

bench: bootstrap
	@$(MAKE) --no-print-directory build PRESET=release
	@./build/release/quantum bench all

fuzz: bootstrap
	@tools/fuzz

bootstrap:
	@tools/bootstrap

build:
	@test -f build/$(PRESET)/build.ninja || cmake --preset $(PRESET) >/dev/null
	@cmake --build --preset $(PRESET) -j $(JOBS)

asan tsan: bootstrap
	@$(MAKE) --no-print-directory build PRESET=$@
	@ctest --preset $@ -j $(JOBS)

format:
	@git ls-files -co --exclude-standard 'src/*.[ch]' 'tools/*.[ch]' 'test/*.[ch]' | xargs clang-format -i

format-check:
	@git ls-files 'src/*.[ch]' 'tools/*.[ch]' 'test/*.[ch]' | xargs clang-format --dry-run --Werror

tidy: bootstrap
	@tools/tidy

clean:
	@rm -rf build
