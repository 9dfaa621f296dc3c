# SPDX-License-Identifier: Apache-2.0
# ab_version.h: what the binary says about its own making, and ab_sources.h: what results depend on
# that are kept from build to build. The git revision and the sources are looked up at every build;
# the headers change only when these do.
set(AB_VERSION_DIR "${PROJECT_BINARY_DIR}/version")

string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
set(AB_BUILD_FLAGS "${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${type}}")
string(STRIP "${AB_BUILD_FLAGS}" AB_BUILD_FLAGS)
if(AB_SANITIZE)
    string(APPEND AB_BUILD_FLAGS " -fsanitize=${AB_SANITIZE}")
endif()

add_custom_target(ab_version
    COMMAND ${CMAKE_COMMAND}
        "-DIN=${PROJECT_SOURCE_DIR}/cmake/ab_version.h.in"
        "-DOUT=${AB_VERSION_DIR}/ab_version.h"
        "-DAB_VERSION=${PROJECT_VERSION}"
        "-DAB_COMPILER=${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}"
        "-DAB_BUILD_FLAGS=${AB_BUILD_FLAGS}"
        "-DAB_DATA_DIR_SOURCE=${PROJECT_SOURCE_DIR}/data"
        "-DAB_DATA_DIR_INSTALL=${CMAKE_INSTALL_FULL_DATADIR}/attrbench"
        -P "${PROJECT_SOURCE_DIR}/cmake/write_version.cmake"
    COMMAND ${CMAKE_COMMAND}
        "-DIN=${PROJECT_SOURCE_DIR}/cmake/ab_sources.h.in"
        "-DOUT=${AB_VERSION_DIR}/ab_sources.h"
        "-DAB_COMPILER=${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}"
        "-DAB_PROCESSOR=${CMAKE_SYSTEM_PROCESSOR}"
        "-DAB_BUILD_FLAGS=${AB_BUILD_FLAGS}"
        -P "${PROJECT_SOURCE_DIR}/cmake/write_sources.cmake"
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    BYPRODUCTS "${AB_VERSION_DIR}/ab_version.h" "${AB_VERSION_DIR}/ab_sources.h"
    COMMENT "Looking up the git revision and the sources" VERBATIM)
