# SPDX-License-Identifier: Apache-2.0
# Run at build time by AbVersion.cmake, in the source directory. By contents, since a revision says
# nothing of what is not committed, and names a new build where the library is still the same.
file(GLOB_RECURSE files RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}"
    "include/*.h" "src/*.[ch]" "src/*.def" "simd/*.[ch]" "simd/*.def")
# Flags that are no variable: what may be fused, what a kernel is compiled with.
file(GLOB build RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" "CMakeLists.txt" "cmake/*.cmake" "cmake/*.in")
list(APPEND files ${build})
list(SORT files)
set(all "${AB_COMPILER}\n${AB_PROCESSOR}\n${AB_BUILD_FLAGS}\n")
foreach(file IN LISTS files)
    file(SHA256 "${file}" hash)
    string(APPEND all "${file} ${hash}\n")
endforeach()
string(SHA256 AB_SOURCES "${all}")
configure_file("${IN}" "${OUT}" @ONLY)
