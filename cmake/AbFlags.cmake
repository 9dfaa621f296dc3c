# SPDX-License-Identifier: Apache-2.0
# Language, optimisation, warnings, sanitizers: the target ab_flags, which everything of ours links.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
foreach(lang C CXX)
    set(CMAKE_${lang}_FLAGS_RELEASE "-O3 -g -DNDEBUG")
    set(CMAKE_${lang}_FLAGS_DEBUG "-O0 -g")
endforeach()
if(AB_SANITIZE)
    # Unoptimised instrumented kernels would take hours.
    set(CMAKE_C_FLAGS_DEBUG "-O1 -g")
    set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g")
endif()

add_library(ab_flags INTERFACE)
target_compile_options(ab_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    # Members that an initialiser does not name are zero, and meant to be.
    -Wno-missing-field-initializers
    $<$<BOOL:${AB_WERROR}>:-Werror>
    # A product and a sum round twice unless the source says fma: results must not depend on what
    # the compiler fuses. gcc and clang differ in their defaults.
    -ffp-contract=off
    # Nothing here reads errno or floating-point exception flags; without these two the compiler
    # cannot vectorise plain loops with conditions in them.
    -fno-math-errno -fno-trapping-math
    # __FILE__ in messages names the file, not the machine it was built on.
    -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)
target_compile_definitions(ab_flags INTERFACE _GNU_SOURCE)

if(AB_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
        message(FATAL_ERROR "AB_FUZZ needs libFuzzer: configure with -DCMAKE_C_COMPILER=clang")
    endif()
    # Tells libFuzzer which branches an input took.
    list(APPEND AB_SANITIZE fuzzer-no-link)
    list(JOIN AB_SANITIZE , AB_SANITIZE)
    # It also keeps loops from being vectorised, which no result depends on.
    target_compile_options(ab_flags INTERFACE -Wno-pass-failed)
endif()
if(AB_SANITIZE)
    foreach(option -fsanitize=${AB_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
        target_compile_options(ab_flags INTERFACE
            "$<$<NOT:$<BOOL:$<TARGET_PROPERTY:AB_UNCHECKED>>>:${option}>")
    endforeach()
    target_link_options(ab_flags INTERFACE -fsanitize=${AB_SANITIZE})
    # clang lacks gcc's macros that say so.
    foreach(sanitizer ADDRESS THREAD)
        string(TOLOWER "${sanitizer}" lower)
        if(CMAKE_C_COMPILER_ID MATCHES Clang AND AB_SANITIZE MATCHES "${lower}")
            target_compile_definitions(ab_flags INTERFACE __SANITIZE_${sanitizer}__=1)
        endif()
    endforeach()
endif()
