# SPDX-License-Identifier: Apache-2.0
# Installs into the build tree and builds examples/explain.c and examples/deploy.c against that, once
# by find_package and once by pkg-config, and runs them; the latter without a configuration to serve.
# cmake -DSOURCE_DIR= -DBUILD_DIR= -DLIBDIR= -DCC= -Ddnnl_DIR= -P check_install.cmake
set(work "${BUILD_DIR}/check_install")
set(prefix "${work}/prefix")
file(REMOVE_RECURSE "${work}")
file(MAKE_DIRECTORY "${work}/consumer")

function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed COMMAND_ECHO STDOUT
        WORKING_DIRECTORY "${work}")
    if(failed)
        message(FATAL_ERROR "failed: ${ARGN}")
    endif()
endfunction()

function(run_example program)
    run(${CMAKE_COMMAND} -E env "LD_LIBRARY_PATH=${prefix}/${LIBDIR}:$ENV{LD_LIBRARY_PATH}"
        "${program}" "${SOURCE_DIR}/data/digits/digits.onnx"
        "${SOURCE_DIR}/data/digits/sample-3.png" "${work}/map.npy")
endfunction()

# It says what it misses: the library that it is linked with is there and answers.
function(run_deploy program)
    execute_process(COMMAND ${CMAKE_COMMAND} -E env
            "LD_LIBRARY_PATH=${prefix}/${LIBDIR}:$ENV{LD_LIBRARY_PATH}"
            "${program}" missing.json image.png
        RESULT_VARIABLE code ERROR_VARIABLE said WORKING_DIRECTORY "${work}")
    if(NOT code EQUAL 1 OR NOT said MATCHES "missing.json: cannot be opened")
        message(FATAL_ERROR "${program}: exit code ${code}: ${said}")
    endif()
endfunction()

run(${CMAKE_COMMAND} --install "${BUILD_DIR}" --prefix "${prefix}")

file(WRITE "${work}/consumer/CMakeLists.txt" "
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(attrbench 0.1 REQUIRED)
find_package(Threads REQUIRED)
add_executable(explain \"${SOURCE_DIR}/examples/explain.c\")
target_link_libraries(explain PRIVATE attrbench::attrbench m)
add_executable(deploy \"${SOURCE_DIR}/examples/deploy.c\")
target_link_libraries(deploy PRIVATE attrbench::attrbench Threads::Threads m)
")
run(${CMAKE_COMMAND} -G Ninja -S consumer -B by_cmake "-DCMAKE_C_COMPILER=${CC}"
    "-DCMAKE_PREFIX_PATH=${prefix}" "-Ddnnl_DIR=${dnnl_DIR}")
run(${CMAKE_COMMAND} --build by_cmake)
run_example("${work}/by_cmake/explain")
run_deploy("${work}/by_cmake/deploy")

find_program(pkg_config pkg-config REQUIRED)
set(ENV{PKG_CONFIG_PATH} "${prefix}/${LIBDIR}/pkgconfig")
execute_process(COMMAND "${pkg_config}" --cflags --libs attrbench
    OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
run("${CC}" "${SOURCE_DIR}/examples/explain.c" -o explain_by_pkg_config ${flags} -lm)
run_example("${work}/explain_by_pkg_config")
run("${CC}" "${SOURCE_DIR}/examples/deploy.c" -o deploy_by_pkg_config ${flags} -pthread -lm)
run_deploy("${work}/deploy_by_pkg_config")

if(EXISTS "${prefix}/bin/attrbench")
    run("${prefix}/bin/attrbench" --version)
endif()

# A plugin needs the header alone.
execute_process(COMMAND "${pkg_config}" --cflags attrbench
    OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
run("${CC}" -shared -fPIC "${SOURCE_DIR}/examples/verify_wrong.c" ${flags} -o verify_wrong.so)
