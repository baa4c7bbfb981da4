# What 'make install' puts where:
#   bin/quern, include/quern/quern.h, lib/pkgconfig/quern.pc, lib/cmake/Quern/,
#   lib/libquern.a     all layers in one archive (LLVM's archives are named in quern.pc),
#   lib/libquern.so    the same with LLVM inside: a host that links it needs no LLVM.
include(CMakePackageConfigHelpers)

# The static libraries of this project that a target links, itself included: what belongs into the one archive.
function(qn_collect_layers target found)
    set(layers ${${found}})
    list(APPEND layers ${target})
    get_target_property(linked ${target} LINK_LIBRARIES)
    foreach(library IN LISTS linked)
        if(TARGET ${library} AND NOT library IN_LIST layers)
            get_target_property(type ${library} TYPE)
            if(type STREQUAL "STATIC_LIBRARY")
                qn_collect_layers(${library} layers)
            endif()
        endif()
    endforeach()
    set(${found} ${layers} PARENT_SCOPE)
endfunction()

if(TARGET quern)
    set(QN_LAYERS "")
    qn_collect_layers(quern QN_LAYERS)
    list(REMOVE_DUPLICATES QN_LAYERS)
    # One archive from the layers' objects: an MRI script for ar.
    set(qn_bundle ${PROJECT_BINARY_DIR}/install/libquern.a)
    set(qn_script "CREATE ${qn_bundle}\n")
    foreach(layer IN LISTS QN_LAYERS)
        string(APPEND qn_script "ADDLIB $<TARGET_FILE:${layer}>\n")
    endforeach()
    string(APPEND qn_script "SAVE\nEND\n")
    file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/install/libquern.mri CONTENT "${qn_script}")
    add_custom_command(OUTPUT ${qn_bundle} COMMAND ${CMAKE_AR} -M < ${PROJECT_BINARY_DIR}/install/libquern.mri
        DEPENDS ${QN_LAYERS} ${PROJECT_BINARY_DIR}/install/libquern.mri VERBATIM COMMENT "Joining libquern.a")
    add_custom_target(quern_archive ALL DEPENDS ${qn_bundle})

    # libffi, TBB and whatever else the layers' own CMakeLists name, then LLVM.
    set(QN_PRIVATE_LIBRARIES_LIST -lffi -ltbb ${QN_LLVM_LIBRARIES} -pthread)
    string(REPLACE ";" " " QN_PRIVATE_LIBRARIES "${QN_PRIVATE_LIBRARIES_LIST}")

    install(FILES include/quern/quern.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/quern)
    install(FILES ${qn_bundle} DESTINATION ${CMAKE_INSTALL_LIBDIR})
    install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

    if(NOT QN_SANITIZE)
        file(WRITE ${PROJECT_BINARY_DIR}/install/empty.c "typedef int qn_empty;\n")
        add_library(quern_shared SHARED ${PROJECT_BINARY_DIR}/install/empty.c)
        set_target_properties(quern_shared PROPERTIES OUTPUT_NAME quern
            VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
            LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/quern.map)
        target_link_libraries(quern_shared PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,quern>)
        # RELR keeps the relocations of LLVM's tables small and fast (glibc 2.36); names bind inside the library.
        target_link_options(quern_shared PRIVATE -Wl,-Bsymbolic -Wl,-z,pack-relative-relocs
            -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/quern.map)
        install(TARGETS quern_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
    endif()

    # Both files find the prefix from where they lie, so that an installed tree may be moved.
    set(QN_PREFIX_FROM_PC "../..")
    set(QN_PREFIX_FROM_CONFIG "../../..")
    if(CMAKE_INSTALL_LIBDIR MATCHES "/") # such as lib/x86_64-linux-gnu
        string(PREPEND QN_PREFIX_FROM_PC "../")
        string(PREPEND QN_PREFIX_FROM_CONFIG "../")
    endif()
    configure_file(cmake/quern.pc.in ${PROJECT_BINARY_DIR}/install/quern.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/install/quern.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

    configure_file(cmake/QuernConfig.cmake.in ${PROJECT_BINARY_DIR}/install/QuernConfig.cmake @ONLY)
    write_basic_package_version_file(${PROJECT_BINARY_DIR}/install/QuernConfigVersion.cmake
        COMPATIBILITY SameMinorVersion)
    install(FILES ${PROJECT_BINARY_DIR}/install/QuernConfig.cmake ${PROJECT_BINARY_DIR}/install/QuernConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Quern)
endif()

foreach(target IN ITEMS quern_command quern_cli quern_program)
    if(TARGET ${target})
        install(TARGETS ${target} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    endif()
endforeach()
