# SPDX-License-Identifier: Apache-2.0
# Run at build time by AbVersion.cmake, in the source directory.
set(AB_GIT_REVISION)
find_program(git git)
if(git)
    execute_process(COMMAND "${git}" describe --always --dirty --abbrev=12
        OUTPUT_VARIABLE AB_GIT_REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT AB_GIT_REVISION)
    set(AB_GIT_REVISION unknown)
endif()
configure_file("${IN}" "${OUT}" @ONLY)
