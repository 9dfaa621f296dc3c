# SPDX-License-Identifier: Apache-2.0
# AArch64 on Debian: the gcc-aarch64-linux-gnu cross compiler, and qemu-user to run what it makes.
# -DAB_ARM64_ROOT=DIR: where cmake/arm64_root.sh has put libraries of that architecture.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
# A CPU without SVE: what the kernels ask of a machine is plain NEON. (oneDNN 2.6's SVE code for
# depthwise convolutions backwards gives wrong sums under qemu.)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -cpu cortex-a72 -L /usr/aarch64-linux-gnu)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES AB_ARM64_ROOT)

# Only this architecture's libraries, never those of the machine that compiles.
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
if(AB_ARM64_ROOT)
    list(PREPEND CMAKE_FIND_ROOT_PATH "${AB_ARM64_ROOT}")
    set(path "${AB_ARM64_ROOT}/usr/lib/aarch64-linux-gnu:${AB_ARM64_ROOT}/lib/aarch64-linux-gnu")
    set(CMAKE_C_FLAGS_INIT "-isystem ${AB_ARM64_ROOT}/usr/include/aarch64-linux-gnu")
    set(CMAKE_SKIP_BUILD_RPATH ON) # the emulator is told where they are
    set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-rpath-link,${path}")
    list(APPEND CMAKE_CROSSCOMPILING_EMULATOR -E "LD_LIBRARY_PATH=${path}")
endif()
set(CMAKE_IGNORE_PATH /usr/lib /lib /usr/lib/x86_64-linux-gnu /lib/x86_64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY BOTH)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
