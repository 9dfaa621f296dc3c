# SPDX-License-Identifier: Apache-2.0
# Finds oneDNN: OneDNN_FOUND, OneDNN_VERSION and the target OneDNN::dnnl. Installed with attrbench,
# whose users need it too.
#
# oneDNN's own dnnl-config.cmake is passed by: Debian's demands the OpenCL headers, which neither
# oneDNN's C API nor this project uses. dnnl_DIR (the directory of such a file) is honoured as its
# place: -Ddnnl_DIR=PREFIX/lib/cmake/dnnl takes PREFIX/include and PREFIX/lib.
set(_ab_dnnl_hints)
if(dnnl_DIR)
    set(_ab_dnnl_hints HINTS "${dnnl_DIR}/../../.." NO_CMAKE_FIND_ROOT_PATH)
endif()
find_path(OneDNN_INCLUDE_DIR oneapi/dnnl/dnnl.h PATH_SUFFIXES include ${_ab_dnnl_hints})
find_library(OneDNN_LIBRARY dnnl PATH_SUFFIXES lib ${_ab_dnnl_hints})
unset(_ab_dnnl_hints)
mark_as_advanced(OneDNN_INCLUDE_DIR OneDNN_LIBRARY)

set(OneDNN_VERSION)
if(OneDNN_INCLUDE_DIR)
    set(_ab_dnnl_header "${OneDNN_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h")
    foreach(part MAJOR MINOR PATCH)
        file(STRINGS "${_ab_dnnl_header}" line REGEX "define DNNL_VERSION_${part} ")
        if(line MATCHES "([0-9]+)$")
            list(APPEND OneDNN_VERSION ${CMAKE_MATCH_1})
        endif()
    endforeach()
    list(JOIN OneDNN_VERSION . OneDNN_VERSION)
    unset(_ab_dnnl_header)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OneDNN
    REQUIRED_VARS OneDNN_LIBRARY OneDNN_INCLUDE_DIR
    VERSION_VAR OneDNN_VERSION)

if(OneDNN_FOUND AND NOT TARGET OneDNN::dnnl)
    add_library(OneDNN::dnnl UNKNOWN IMPORTED)
    set_target_properties(OneDNN::dnnl PROPERTIES
        IMPORTED_LOCATION "${OneDNN_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${OneDNN_INCLUDE_DIR}")
endif()
