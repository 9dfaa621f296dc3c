# SPDX-License-Identifier: Apache-2.0
# libattrbench: src/**/*.c, the kernels, and what of simd/ is no kernel.
file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/*.c")
file(GLOB simd_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/simd/*.c")
# A file named after an instruction set is a kernel and comes from the list or not at all
# (tests/check_lists.sh looks for forgotten ones).
list(FILTER simd_sources EXCLUDE REGEX "_(ref|plain|neon|avx2|avx512)(_[a-z0-9_]+)?\\.c$")
if(NOT AB_HAVE_ONEDNN)
    list(FILTER sources EXCLUDE REGEX "/src/backend/onednn[^/]*\\.c$")
endif()

add_library(attrbench ${sources} ${simd_sources})
add_library(attrbench::attrbench ALIAS attrbench)
target_include_directories(attrbench
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
           $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/src" "${AB_VERSION_DIR}")
# $<BUILD_INTERFACE>: users of the installed library need the foreign libraries, not our flags.
target_link_libraries(attrbench
    PRIVATE $<BUILD_INTERFACE:ab_flags> OpenMP::OpenMP_C Threads::Threads m)
add_dependencies(attrbench ab_version)

foreach(kernel IN LISTS AB_KERNEL_TARGETS)
    target_sources(attrbench PRIVATE $<TARGET_OBJECTS:${kernel}>)
endforeach()
if(AB_HAVE_ONEDNN)
    target_link_libraries(attrbench PRIVATE OneDNN::dnnl)
endif()
if(AB_HAVE_ONNX)
    target_sources(attrbench PRIVATE $<TARGET_OBJECTS:ab_onnx_pb>)
    target_include_directories(attrbench SYSTEM PRIVATE "${AB_GENERATED_DIR}")
    target_link_libraries(attrbench PRIVATE ProtobufC::protobuf-c)
endif()
if(AB_HAVE_CONFIG)
    target_link_libraries(attrbench PRIVATE Jansson::jansson)
endif()
if(AB_HAVE_IMAGES)
    target_link_libraries(attrbench PRIVATE PNG::PNG JPEG::JPEG)
    target_include_directories(attrbench SYSTEM PRIVATE "${AB_STB_INCLUDE_DIR}")
endif()

set_target_properties(attrbench PROPERTIES
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR})
if(BUILD_SHARED_LIBS)
    target_link_options(attrbench PRIVATE
        "LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map" "LINKER:--no-undefined")
    set_property(TARGET attrbench APPEND PROPERTY LINK_DEPENDS
        "${PROJECT_SOURCE_DIR}/cmake/exports.map")
endif()
