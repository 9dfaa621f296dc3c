# SPDX-License-Identifier: Apache-2.0
# The hash by which builds tell their cached results apart: of another library another, of the same
# the same. cmake -DSOURCE_DIR= -DBUILD_DIR= -P check_sources.cmake
cmake_minimum_required(VERSION 3.25)
set(work "${BUILD_DIR}/check_sources")
file(REMOVE_RECURSE "${work}")

set(processor x86_64)

# hash_of(VARIABLE [FLAGS]): of the tree as it is.
function(hash_of result)
    execute_process(COMMAND ${CMAKE_COMMAND} "-DIN=${SOURCE_DIR}/cmake/ab_sources.h.in"
            "-DOUT=${work}/ab_sources.h" "-DAB_COMPILER=C 1" "-DAB_PROCESSOR=${processor}"
            "-DAB_BUILD_FLAGS=${ARGN}"
            -P "${SOURCE_DIR}/cmake/write_sources.cmake"
        WORKING_DIRECTORY "${work}" RESULT_VARIABLE failed)
    file(STRINGS "${work}/ab_sources.h" line REGEX "define AB_SOURCES ")
    if(failed OR NOT line MATCHES "\"([0-9a-f]+)\"$")
        message(FATAL_ERROR "no hash: ${line}")
    endif()
    set(${result} "${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

# differs(WHAT): from all hashes before.
function(differs what)
    hash_of(hash)
    if(hash IN_LIST known)
        message(FATAL_ERROR "not seen: ${what}")
    endif()
    set(known ${known} ${hash} PARENT_SCOPE)
endfunction()

file(WRITE "${work}/src/agree/a.c" "1")
file(WRITE "${work}/simd/b.c" "2")
file(WRITE "${work}/bench/c.c" "3")
file(WRITE "${work}/bench/CMakeLists.txt" "3")
file(WRITE "${work}/CMakeLists.txt" "project(p)")
file(WRITE "${work}/cmake/AbFlags.cmake" "add_compile_options(-ffp-contract=off)")
hash_of(known -O2)
differs("other flags")
file(WRITE "${work}/src/agree/a.c" "4")
differs("another source")
file(WRITE "${work}/simd/b.h" "5")
differs("one more header")
file(RENAME "${work}/simd/b.c" "${work}/simd/d.c")
differs("another name")
file(WRITE "${work}/src/kinds.def" "6")
differs("a list")
file(WRITE "${work}/cmake/AbFlags.cmake" "add_compile_options(-ffp-contract=fast)")
differs("a flag of the build")
file(WRITE "${work}/cmake/AbKernels.cmake" "add_compile_options(-O1)")
differs("a flag of kernels")
file(WRITE "${work}/CMakeLists.txt" "project(p)\nadd_compile_options(-O2)")
differs("a flag of all")
set(processor aarch64)
differs("another architecture")
file(WRITE "${work}/bench/c.c" "7")
file(WRITE "${work}/bench/CMakeLists.txt" "7")
file(TOUCH "${work}/src/agree/a.c")
hash_of(hash)
list(GET known -1 last)
if(NOT hash STREQUAL last)
    message(FATAL_ERROR "changed without the library")
endif()
