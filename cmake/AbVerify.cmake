# SPDX-License-Identifier: Apache-2.0
# The kernel validator: verify/*.c, the archive ab_verify. It needs the library alone, so that it
# also builds where the command's own libraries are missing (for an emulated architecture).
file(GLOB verify_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/verify/*.c")
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
