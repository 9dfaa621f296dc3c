# SPDX-License-Identifier: Apache-2.0
# What is not there is left out where nobody insists on it, else refused: the command without the
# configurations that it needs, and the tests without cmocka, as in `make run` of a new machine.
# cmake -DSOURCE_DIR= -DBUILD_DIR= -DCC= -DCXX= -P check_groups.cmake
set(work "${BUILD_DIR}/check_groups")
file(REMOVE_RECURSE "${work}")

# configure(OPTION CODE WORDS ARGS...): with one option, -DNAME=VALUE, and what leaves things out.
function(configure option code words)
    string(REGEX REPLACE "[^A-Z_]" "_" name "${option}")
    execute_process(COMMAND ${CMAKE_COMMAND} -S "${SOURCE_DIR}" -B "${work}/${name}"
            "-DCMAKE_C_COMPILER=${CC}" "-DCMAKE_CXX_COMPILER=${CXX}"
            -DAB_WITH_ONEDNN=OFF -DAB_WITH_ONNX=OFF -DAB_WITH_IMAGES=OFF -DAB_WITH_CONFIG=OFF
            ${ARGN} "${option}"
        RESULT_VARIABLE got OUTPUT_VARIABLE said ERROR_VARIABLE said)
    string(REGEX REPLACE "[ \n]+" " " said "${said}")
    if(NOT got EQUAL code OR NOT said MATCHES "${words}")
        message(FATAL_ERROR "${option}: ${got}, without '${words}': ${said}")
    endif()
endfunction()

configure(-DAB_WITH_BENCH=AUTO 0 "AB_WITH_BENCH: off, .*AB_WITH_CONFIG" -DAB_TESTS=OFF)
configure(-DAB_WITH_BENCH=OFF 0 "Configuring done" -DAB_TESTS=OFF)
configure(-DAB_WITH_BENCH=ON 1 "needs configurations: configure with -DAB_WITH_CONFIG=ON"
          -DAB_TESTS=OFF)
set(no_cmocka -DAB_WITH_BENCH=OFF -DAB_CMOCKA_INCLUDE_DIR= -DAB_CMOCKA_LIBRARY=)
configure(-DAB_TESTS=AUTO 0 "AB_TESTS: off, not found: cmocka" ${no_cmocka})
configure(-DAB_TESTS=ON 1 "Not found: cmocka. Install libcmocka-dev" ${no_cmocka})
