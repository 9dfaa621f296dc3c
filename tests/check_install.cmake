# SPDX-License-Identifier: Apache-2.0
# Installs into the build tree and builds examples/explain.c against that, once by find_package and
# once by pkg-config, and runs both.
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

run(${CMAKE_COMMAND} --install "${BUILD_DIR}" --prefix "${prefix}")

file(WRITE "${work}/consumer/CMakeLists.txt" "
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(attrbench 0.1 REQUIRED)
add_executable(explain \"${SOURCE_DIR}/examples/explain.c\")
target_link_libraries(explain PRIVATE attrbench::attrbench m)
")
run(${CMAKE_COMMAND} -G Ninja -S consumer -B by_cmake "-DCMAKE_C_COMPILER=${CC}"
    "-DCMAKE_PREFIX_PATH=${prefix}" "-Ddnnl_DIR=${dnnl_DIR}")
run(${CMAKE_COMMAND} --build by_cmake)
run_example("${work}/by_cmake/explain")

find_program(pkg_config pkg-config REQUIRED)
set(ENV{PKG_CONFIG_PATH} "${prefix}/${LIBDIR}/pkgconfig")
execute_process(COMMAND "${pkg_config}" --cflags --libs attrbench
    OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
run("${CC}" "${SOURCE_DIR}/examples/explain.c" -o explain_by_pkg_config ${flags} -lm)
run_example("${work}/explain_by_pkg_config")

if(EXISTS "${prefix}/bin/attrbench")
    run("${prefix}/bin/attrbench" --version)
endif()

# A plugin needs the header alone.
execute_process(COMMAND "${pkg_config}" --cflags attrbench
    OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
run("${CC}" -shared -fPIC "${SOURCE_DIR}/examples/verify_wrong.c" ${flags} -o verify_wrong.so)
