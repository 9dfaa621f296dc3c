# SPDX-License-Identifier: Apache-2.0
# Run by the build: writes a C file with the bytes of the page's files, as bench/report.h declares
# them. cmake -DOUTPUT=F.c "-DPARTS=name=path|name=path" -P embed.cmake; an empty path: no bytes.
string(REPLACE "|" ";" PARTS "${PARTS}")
set(arrays)
set(table)
set(count 0)
foreach(part IN LISTS PARTS)
    string(FIND "${part}" "=" at)
    string(SUBSTRING "${part}" 0 ${at} name)
    math(EXPR at "${at} + 1")
    string(SUBSTRING "${part}" ${at} -1 path)
    set(hex)
    if(path)
        file(READ "${path}" hex HEX)
        file(READ "${path}" text)
        # It would end the element that it is put into.
        if(name MATCHES "\\.js$" AND text MATCHES "</script|<!--")
            message(FATAL_ERROR "${path}: cannot be put into a page: has </script or <!--")
        endif()
    endif()
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "(................................................................................)"
                         "\\1\n" bytes "${bytes}")
    string(LENGTH "${hex}" size)
    math(EXPR size "${size} / 2")
    string(APPEND arrays "static const unsigned char part${count}[] = {\n${bytes}0};\n")
    string(APPEND table "    {\"${name}\", part${count}, ${size}},\n")
    math(EXPR count "${count} + 1")
endforeach()
file(WRITE "${OUTPUT}"
    "// Made by cmake/embed.cmake.\n#include \"report.h\"\n\n${arrays}\n"
    "const struct ab_report_part ab_report_parts[] = {\n${table}};\n"
    "const int ab_report_part_count = ${count};\n")
