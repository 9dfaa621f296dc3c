# SPDX-License-Identifier: Apache-2.0
# ab_version.h: what the binary says about its own making. The git revision is looked up at every
# build; the header changes only when the revision does.
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
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    BYPRODUCTS "${AB_VERSION_DIR}/ab_version.h"
    COMMENT "Looking up the git revision" VERBATIM)
