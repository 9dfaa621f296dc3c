# SPDX-License-Identifier: Apache-2.0
# The attrbench command: bench/*.c and bench/gbench.cc, the one C++ file. All but main.c is the
# archive ab_bench, so that tests can reach it.
file(GLOB bench_sources CONFIGURE_DEPENDS
    "${PROJECT_SOURCE_DIR}/bench/*.c" "${PROJECT_SOURCE_DIR}/bench/*.cc")
set(bench_main "${PROJECT_SOURCE_DIR}/bench/main.c")
list(REMOVE_ITEM bench_sources "${bench_main}")

if(AB_HAVE_BENCH AND bench_sources)
    add_library(ab_bench STATIC ${bench_sources})
    target_include_directories(ab_bench
        PUBLIC "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/bench"
               "${AB_VERSION_DIR}")
    target_link_libraries(ab_bench
        PUBLIC ab_verify attrbench benchmark::benchmark Hwloc::hwloc Jansson::jansson
               SQLite::SQLite3 OpenMP::OpenMP_C Threads::Threads m
        PRIVATE ab_flags)
    add_dependencies(ab_bench ab_version)
endif()

if(TARGET ab_bench AND EXISTS "${bench_main}")
    add_executable(attrbench_command "${bench_main}")
    target_link_libraries(attrbench_command PRIVATE ab_bench ab_flags)
    set_target_properties(attrbench_command PROPERTIES
        OUTPUT_NAME attrbench
        INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}"
        INSTALL_RPATH_USE_LINK_PATH ON
        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
endif()

# Examples of foreign kernels for `attrbench verify --plugin`.
if(TARGET attrbench_command)
    foreach(example verify_wrong verify_onednn)
        if(example STREQUAL verify_onednn AND NOT AB_HAVE_ONEDNN)
            continue()
        endif()
        add_library(${example} MODULE "${PROJECT_SOURCE_DIR}/examples/${example}.c")
        target_include_directories(${example} PRIVATE "${PROJECT_SOURCE_DIR}/include")
        target_link_libraries(${example} PRIVATE ab_flags)
        set_target_properties(${example} PROPERTIES
            PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/examples")
    endforeach()
    if(AB_HAVE_ONEDNN)
        target_link_libraries(verify_onednn PRIVATE OneDNN::dnnl)
    endif()
endif()

# Built on demand only: what fully connected kernels make of the machine's read bandwidth.
if(TARGET ab_bench)
    add_executable(bench_dense EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/tools/bench_dense.c")
    target_link_libraries(bench_dense PRIVATE ab_bench ab_flags)
endif()
