# SPDX-License-Identifier: Apache-2.0
# onnx.pb-c.{h,c} by protoc-c from the distribution's onnx.proto, and the object library ab_onnx_pb.
#
# The generated functions are named onnx__*. A static library must not claim such names for
# everybody, so the header, which both sides include, renames them to ab_onnx__* first.
set(AB_GENERATED_DIR "${PROJECT_BINARY_DIR}/generated")

function(ab_generate_onnx out)
    file(MAKE_DIRECTORY "${out}")
    cmake_path(GET AB_ONNX_PROTO PARENT_PATH dir)
    execute_process(
        COMMAND "${AB_PROTOC_C}" "--c_out=${out}" "--proto_path=${dir}" "${AB_ONNX_PROTO}"
        RESULT_VARIABLE failed ERROR_VARIABLE message)
    if(failed)
        message(FATAL_ERROR "${AB_PROTOC_C} could not read ${AB_ONNX_PROTO}: ${message}")
    endif()
    file(READ "${out}/onnx.pb-c.h" text)
    string(REGEX MATCHALL "onnx__[a-z0-9_]+" names "${text}")
    list(REMOVE_DUPLICATES names)
    set(renames)
    foreach(name IN LISTS names)
        string(APPEND renames "#define ${name} ab_${name}\n")
    endforeach()
    string(REPLACE "PROTOBUF_C__BEGIN_DECLS\n" "${renames}\nPROTOBUF_C__BEGIN_DECLS\n"
           text "${text}")
    file(WRITE "${out}/onnx.pb-c.h" "${text}")
endfunction()

if(NOT EXISTS "${AB_GENERATED_DIR}/onnx.pb-c.c"
   OR "${AB_ONNX_PROTO}" IS_NEWER_THAN "${AB_GENERATED_DIR}/onnx.pb-c.c")
    ab_generate_onnx("${AB_GENERATED_DIR}")
endif()

add_library(ab_onnx_pb OBJECT "${AB_GENERATED_DIR}/onnx.pb-c.c")
target_link_libraries(ab_onnx_pb PRIVATE ProtobufC::protobuf-c)
target_include_directories(ab_onnx_pb SYSTEM INTERFACE $<BUILD_INTERFACE:${AB_GENERATED_DIR}>)
