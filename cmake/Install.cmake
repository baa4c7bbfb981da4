# What 'make install' puts where. Filled from the targets that exist.
if(TARGET quern AND EXISTS ${PROJECT_SOURCE_DIR}/include/quern/quern.h)
    install(FILES include/quern/quern.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/quern)
endif()
