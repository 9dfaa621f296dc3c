# SPDX-License-Identifier: Apache-2.0
# cmake --install: header, library, command, data, and what find_package and pkg-config read.
include(CMakePackageConfigHelpers)
set(cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/attrbench")

install(TARGETS attrbench EXPORT attrbenchTargets)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/attrbench" TYPE INCLUDE)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/data/" DESTINATION "${CMAKE_INSTALL_DATADIR}/attrbench"
    PATTERN golden EXCLUDE)
if(TARGET attrbench_command)
    install(TARGETS attrbench_command)
endif()

install(EXPORT attrbenchTargets NAMESPACE attrbench:: DESTINATION "${cmake_dir}")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/attrbenchConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/attrbenchConfig.cmake" INSTALL_DESTINATION "${cmake_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/attrbenchConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/attrbenchConfig.cmake"
              "${PROJECT_BINARY_DIR}/attrbenchConfigVersion.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/FindOneDNN.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/FindProtobufC.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/FindJansson.cmake"
        DESTINATION "${cmake_dir}")

# A static library makes its users link what it uses; a shared one does not.
set(pc_requires)
set(pc_libs "${OpenMP_C_FLAGS} -lm")
if(AB_HAVE_ONEDNN)
    cmake_path(GET OneDNN_LIBRARY PARENT_PATH dir)
    string(PREPEND pc_libs "-L${dir} -ldnnl ")
endif()
if(AB_HAVE_ONNX)
    list(APPEND pc_requires libprotobuf-c)
endif()
if(AB_HAVE_CONFIG)
    list(APPEND pc_requires jansson)
endif()
if(AB_HAVE_IMAGES)
    list(APPEND pc_requires libpng libjpeg)
endif()
list(JOIN pc_requires " " pc_requires)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
           BASE_DIRECTORY "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" OUTPUT_VARIABLE pc_up)
set(pc_private)
if(BUILD_SHARED_LIBS)
    set(pc_private .private)
endif()
configure_file("${PROJECT_SOURCE_DIR}/cmake/attrbench.pc.in" "${PROJECT_BINARY_DIR}/attrbench.pc"
    @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/attrbench.pc"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
