# SPDX-License-Identifier: Apache-2.0
# Builds for AArch64 in a build tree of its own and runs the kernel tests under qemu.
# cmake -DSOURCE_DIR=... -DBUILD_DIR=... -P check_arm64.cmake
find_program(compiler aarch64-linux-gnu-gcc)
find_program(emulator qemu-aarch64)
if(NOT compiler OR NOT emulator)
    message("skipped: needs aarch64-linux-gnu-gcc and qemu-aarch64 "
            "(Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)")
    return()
endif()

function(run)
    execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${SOURCE_DIR}"
        RESULT_VARIABLE failed COMMAND_ECHO STDOUT)
    if(failed)
        message(FATAL_ERROR "failed: ${ARGN}")
    endif()
endfunction()

run(${CMAKE_COMMAND} --preset arm64 -B "${BUILD_DIR}")
run(${CMAKE_COMMAND} --build "${BUILD_DIR}")
run(${CMAKE_CTEST_COMMAND} --test-dir "${BUILD_DIR}" -L kernel --no-tests=error
    --output-on-failure -j2)
