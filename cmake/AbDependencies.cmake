# SPDX-License-Identifier: Apache-2.0
# Foreign libraries, in groups that can be left out. AB_HAVE_<GROUP> tells the build whether a group
# is in, -DAB_WITH_<GROUP>=0 or 1 tells the sources.

# ab_group(NAME what VARIABLES...): decides whether a group is used. The variables are those of the
# find_ calls made before; a group that is ON and incomplete is an error.
function(ab_group name packages)
    set(missing)
    foreach(variable IN LISTS ARGN)
        if(NOT ${variable})
            list(APPEND missing ${variable})
        endif()
    endforeach()
    set(have 1)
    if(AB_WITH_${name} STREQUAL AUTO AND missing)
        message(STATUS "AB_WITH_${name}: off, not found or off: ${missing}")
        set(have 0)
    elseif(NOT AB_WITH_${name})
        set(have 0)
    elseif(missing)
        message(FATAL_ERROR "Not found: ${missing}. Install ${packages} "
                            "or configure with -DAB_WITH_${name}=OFF.")
    endif()
    set(AB_HAVE_${name} ${have} PARENT_SCOPE)
    target_compile_definitions(ab_flags INTERFACE AB_WITH_${name}=${have})
endfunction()

find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)

find_package(OneDNN QUIET)
ab_group(ONEDNN libdnnl-dev OneDNN_FOUND)
if(AB_HAVE_ONEDNN)
    message(STATUS "oneDNN ${OneDNN_VERSION}: ${OneDNN_LIBRARY}")
endif()

find_package(ProtobufC QUIET)
find_program(AB_PROTOC_C protoc-c)
find_file(AB_ONNX_PROTO onnx/onnx.proto)
mark_as_advanced(AB_PROTOC_C AB_ONNX_PROTO)
ab_group(ONNX "libprotobuf-c-dev, protobuf-c-compiler and libonnx-dev"
         ProtobufC_FOUND AB_PROTOC_C AB_ONNX_PROTO)
if(AB_HAVE_ONNX)
    include(AbOnnx)
endif()

find_package(PNG QUIET)
find_package(JPEG QUIET)
find_path(AB_STB_INCLUDE_DIR stb_image_resize.h PATH_SUFFIXES stb)
mark_as_advanced(AB_STB_INCLUDE_DIR)
ab_group(IMAGES "libpng-dev, libjpeg-dev and libstb-dev" PNG_FOUND JPEG_FOUND AB_STB_INCLUDE_DIR)

find_package(Jansson QUIET)
ab_group(CONFIG libjansson-dev Jansson_FOUND)

find_package(Hwloc QUIET)
find_package(SQLite3 3.37 QUIET) # STRICT tables
find_package(benchmark QUIET)
if(AB_WITH_BENCH AND NOT AB_WITH_BENCH STREQUAL AUTO AND NOT AB_WITH_CONFIG)
    message(FATAL_ERROR "The command needs configurations: configure with -DAB_WITH_CONFIG=ON "
                        "or with -DAB_WITH_BENCH=OFF.")
endif()
ab_group(BENCH "libbenchmark-dev, libhwloc-dev, libjansson-dev and libsqlite3-dev (3.37 or later)"
         AB_WITH_CONFIG benchmark_FOUND Hwloc_FOUND Jansson_FOUND SQLite3_FOUND)

# Charts of `attrbench report`, copied into the program and from there into every page.
find_file(AB_CHART_JS chart.min.js PATHS /usr/share /usr/local/share
    PATH_SUFFIXES javascript/chart.js nodejs/chart.js/dist)
mark_as_advanced(AB_CHART_JS)
if(AB_HAVE_BENCH)
    ab_group(CHARTS libjs-chart.js AB_CHART_JS)
endif()
