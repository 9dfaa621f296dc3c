# SPDX-License-Identifier: Apache-2.0
# Reads simd/isa.def and simd/kernels.def, the two lists, and makes one object library per kernel:
# AB_KERNEL_TARGETS. Only the instruction sets of the target architecture are built.
set(AB_SIMD_DIR "${PROJECT_SOURCE_DIR}/simd")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
    "${AB_SIMD_DIR}/isa.def" "${AB_SIMD_DIR}/kernels.def")

# Sets AB_ISAS and, for each, AB_ISA_FLAGS_<isa>.
function(ab_read_isas)
    set(isas)
    file(STRINGS "${AB_SIMD_DIR}/isa.def" lines REGEX "^AB_ISA\\(")
    foreach(line IN LISTS lines)
        if(NOT line MATCHES "^AB_ISA\\(([a-z0-9]+), ([a-z0-9_]+), \"([^\"]*)\"\\)")
            message(FATAL_ERROR "simd/isa.def: cannot read: ${line}")
        endif()
        if(CMAKE_MATCH_2 STREQUAL any OR CMAKE_MATCH_2 STREQUAL CMAKE_SYSTEM_PROCESSOR)
            list(APPEND isas ${CMAKE_MATCH_1})
            separate_arguments(flags UNIX_COMMAND "${CMAKE_MATCH_3}")
            set(AB_ISA_FLAGS_${CMAKE_MATCH_1} "${flags}" PARENT_SCOPE)
        endif()
    endforeach()
    set(AB_ISAS "${isas}" PARENT_SCOPE)
endfunction()

# ab_add_kernel(isa symbol file): one kernel, one object. Plain texts serve several symbols; what
# they lack in instructions the compiler may make up for, so it may fuse there.
function(ab_add_kernel isa symbol file)
    if(NOT EXISTS "${AB_SIMD_DIR}/${file}")
        message(FATAL_ERROR "simd/kernels.def lists ${symbol}, but simd/${file} does not exist")
    endif()
    add_library(${symbol} OBJECT "${AB_SIMD_DIR}/${file}")
    target_link_libraries(${symbol} PRIVATE ab_flags)
    # Below -O2 gcc ends a function with vzeroupper only if told so.
    target_compile_options(${symbol} PRIVATE ${AB_ISA_FLAGS_${isa}}
        $<$<C_COMPILER_ID:GNU>:-fexpensive-optimizations>)
    if(AB_FUZZ)
        # Branches of arithmetic tell a fuzzer nothing about a reader, and clang takes minutes to
        # instrument them; the build with sanitizers does.
        set_target_properties(${symbol} PROPERTIES AB_UNCHECKED ON)
    endif()
    if(file MATCHES "_plain\\.c$")
        target_compile_options(${symbol} PRIVATE -ffp-contract=fast)
        target_compile_definitions(${symbol} PRIVATE AB_SYMBOL=${symbol})
    endif()
    set_property(GLOBAL APPEND PROPERTY AB_KERNEL_TARGETS ${symbol})
    set_property(GLOBAL APPEND PROPERTY AB_KERNEL_FILES "${AB_SIMD_DIR}/${file}")
endfunction()

function(ab_read_kernels)
    file(STRINGS "${AB_SIMD_DIR}/kernels.def" lines REGEX "^AB_(KERNEL|VARIANT|PLAIN)\\(")
    foreach(line IN LISTS lines)
        if(line MATCHES "^AB_KERNEL\\(([a-z0-9_]+), ([a-z0-9]+), [a-z0-9_]+\\)")
            set(symbol ab_${CMAKE_MATCH_1}_${CMAKE_MATCH_2})
            set(file ${CMAKE_MATCH_1}_${CMAKE_MATCH_2}.c)
        elseif(line MATCHES "^AB_VARIANT\\(([a-z0-9_]+), ([a-z0-9]+), ([a-z0-9_]+), [a-z0-9_]+\\)")
            set(symbol ab_${CMAKE_MATCH_1}_${CMAKE_MATCH_2}_${CMAKE_MATCH_3})
            set(file ${CMAKE_MATCH_1}_${CMAKE_MATCH_2}_${CMAKE_MATCH_3}.c)
        elseif(line MATCHES "^AB_PLAIN\\(([a-z0-9_]+), ([a-z0-9]+)\\)")
            set(symbol ab_${CMAKE_MATCH_1}_${CMAKE_MATCH_2}_plain)
            set(file ${CMAKE_MATCH_1}_plain.c)
        else()
            message(FATAL_ERROR "simd/kernels.def: cannot read: ${line}")
        endif()
        set(isa ${CMAKE_MATCH_2})
        if(isa IN_LIST AB_ISAS)
            ab_add_kernel(${isa} ${symbol} ${file})
        elseif(NOT EXISTS "${AB_SIMD_DIR}/${file}")
            message(FATAL_ERROR "simd/kernels.def lists ${symbol}, but simd/${file} does not exist")
        else()
            set_property(GLOBAL APPEND PROPERTY AB_KERNEL_FILES "${AB_SIMD_DIR}/${file}")
        endif()
    endforeach()
endfunction()

ab_read_isas()
ab_read_kernels()
get_property(AB_KERNEL_TARGETS GLOBAL PROPERTY AB_KERNEL_TARGETS)
get_property(AB_KERNEL_FILES GLOBAL PROPERTY AB_KERNEL_FILES)
message(STATUS "Instruction sets: ${AB_ISAS}")
