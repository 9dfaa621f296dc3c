# SPDX-License-Identifier: Apache-2.0
# The attrbench command: bench/*.c and bench/gbench.cc, the one C++ file. All but main.c is the
# archive ab_bench, so that tests can reach it.
file(GLOB bench_sources CONFIGURE_DEPENDS
    "${PROJECT_SOURCE_DIR}/bench/*.c" "${PROJECT_SOURCE_DIR}/bench/*.cc")
set(bench_main "${PROJECT_SOURCE_DIR}/bench/main.c")
list(REMOVE_ITEM bench_sources "${bench_main}")

# The page of `attrbench report`: its files become arrays of the program.
set(report_page "${PROJECT_BINARY_DIR}/generated/report_page.c")
if(AB_HAVE_BENCH)
    file(GLOB page_files CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/bench/report/*")
    set(page_parts)
    foreach(file IN LISTS page_files)
        cmake_path(GET file FILENAME name)
        list(APPEND page_parts "${name}=${file}")
    endforeach()
    set(chart_file)
    if(AB_HAVE_CHARTS)
        set(chart_file "${AB_CHART_JS}")
    endif()
    list(APPEND page_parts "chart.js=${chart_file}")
    list(JOIN page_parts "|" page_parts)
    add_custom_command(OUTPUT "${report_page}"
        COMMAND ${CMAKE_COMMAND} "-DOUTPUT=${report_page}" "-DPARTS=${page_parts}"
                -P "${PROJECT_SOURCE_DIR}/cmake/embed.cmake"
        DEPENDS ${page_files} ${chart_file} "${PROJECT_SOURCE_DIR}/cmake/embed.cmake"
        COMMENT "Embedding the page of attrbench report" VERBATIM)
    list(APPEND bench_sources "${report_page}")
endif()

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

# What serves with a configuration, as a program of somebody else's: the public header alone.
if(TARGET attrbench_command)
    add_executable(example_deploy "${PROJECT_SOURCE_DIR}/examples/deploy.c")
    target_link_libraries(example_deploy PRIVATE attrbench ab_flags Threads::Threads m)
    set_target_properties(example_deploy PROPERTIES
        OUTPUT_NAME deploy RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/examples")
endif()

# Built on demand only: what fully connected kernels make of the machine's read bandwidth.
if(TARGET ab_bench)
    add_executable(bench_dense EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/tools/bench_dense.c")
    target_link_libraries(bench_dense PRIVATE ab_bench ab_flags)
endif()
