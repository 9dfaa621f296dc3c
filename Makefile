# SPDX-License-Identifier: Apache-2.0
# The everyday commands. `make run` and `make test` are complete on a fresh Debian 12: they install
# what is missing (tools/setup.sh), configure, build and go. The build itself is CMake's; see
# CMakePresets.json for the other builds.
PRESET ?= release
ARGS ?=
CMAKE_ARGS ?=

.PHONY: help build run test test-all format clean

help:
	@echo "make run        build and run the default benchmark (ARGS='--threads 2' are passed on)"
	@echo "make test       build and run all tests, the NEON kernels under qemu too"
	@echo "make build      build only; PRESET=debug|asan-ubsan|tsan|fuzz|arm64 for other builds"
	@echo "make test-all   what continuous integration runs: every compiler, sanitizer and check"
	@echo "make format     apply clang-format"

build:
	@tools/setup.sh build
	cmake --preset $(PRESET) -DAB_TESTS=AUTO $(CMAKE_ARGS)
	cmake --build --preset $(PRESET)

run: build
	build/$(PRESET)/attrbench run $(ARGS)

test:
	@tools/setup.sh build test
	cmake --preset $(PRESET) -DAB_TESTS=ON $(CMAKE_ARGS)
	cmake --build --preset $(PRESET)
	ctest --preset $(PRESET)

test-all:
	bash .ci/run

format:
	git ls-files '*.c' '*.h' '*.cc' | xargs clang-format -i

clean:
	rm -rf build
