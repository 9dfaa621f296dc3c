# SPDX-License-Identifier: Apache-2.0
# The kernel validator: verify/*.c, the archive ab_verify. It needs the library alone, so that it
# also builds where the command's own libraries are missing (for an emulated architecture).
file(GLOB verify_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/verify/*.c")
set(verify_tool "${PROJECT_SOURCE_DIR}/verify/tool.c")
list(REMOVE_ITEM verify_sources "${verify_tool}")
add_library(ab_verify STATIC ${verify_sources})
target_include_directories(ab_verify
    PUBLIC "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/include")
target_link_libraries(ab_verify
    PUBLIC attrbench Threads::Threads ${CMAKE_DL_LIBS} m
    PRIVATE ab_flags)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    # gcc 12.2 stops with an internal error where it vectorises the largest of converted floats.
    target_compile_options(ab_verify PRIVATE -fno-tree-vectorize)
endif()

# The validator alone, for an architecture that is emulated: `attrbench verify --isa all` starts it.
if(CMAKE_CROSSCOMPILING)
    add_executable(attrbench-verify "${verify_tool}")
    target_link_libraries(attrbench-verify PRIVATE ab_verify ab_flags)
    set_target_properties(attrbench-verify PROPERTIES
        LINKER_LANGUAGE C RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
elseif(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    # On demand: a second build tree, the one that tests/check_arm64.cmake uses too.
    set(arm64 "${PROJECT_BINARY_DIR}/arm64")
    add_custom_target(verify_arm64
        COMMAND ${CMAKE_COMMAND} --preset arm64 -B "${arm64}"
        COMMAND ${CMAKE_COMMAND} --build "${arm64}" --target attrbench-verify
        WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
        COMMENT "Building attrbench-verify for AArch64 (needs gcc-aarch64-linux-gnu)"
        USES_TERMINAL VERBATIM)
endif()
