# SPDX-License-Identifier: Apache-2.0
# The command without the configurations that it needs: left out where nobody insists on it, else
# refused. cmake -DSOURCE_DIR= -DBUILD_DIR= -DCC= -DCXX= -P check_groups.cmake
set(work "${BUILD_DIR}/check_groups")
file(REMOVE_RECURSE "${work}")

# configure(BENCH CODE WORDS): with AB_WITH_BENCH=BENCH and no configurations.
function(configure bench code words)
    execute_process(COMMAND ${CMAKE_COMMAND} -S "${SOURCE_DIR}" -B "${work}/${bench}"
            "-DCMAKE_C_COMPILER=${CC}" "-DCMAKE_CXX_COMPILER=${CXX}" -DAB_TESTS=OFF
            -DAB_WITH_ONEDNN=OFF -DAB_WITH_ONNX=OFF -DAB_WITH_IMAGES=OFF -DAB_WITH_CONFIG=OFF
            "-DAB_WITH_BENCH=${bench}"
        RESULT_VARIABLE got OUTPUT_VARIABLE said ERROR_VARIABLE said)
    string(REGEX REPLACE "[ \n]+" " " said "${said}")
    if(NOT got EQUAL code OR NOT said MATCHES "${words}")
        message(FATAL_ERROR "AB_WITH_BENCH=${bench}: ${got}, without '${words}': ${said}")
    endif()
endfunction()

configure(AUTO 0 "AB_WITH_BENCH: off, .*AB_WITH_CONFIG")
configure(OFF 0 "Configuring done")
configure(ON 1 "needs configurations: configure with -DAB_WITH_CONFIG=ON")
