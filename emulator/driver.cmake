# The driver's half: objects that the library and its tests share, and the library once there is something that executes PTX.
set(QN_EMULATOR_HIDE "" CACHE STRING "Entry points that libquern_cuda_emulator.so does not export, to test programs that look for them with dlsym")

add_library(quern_emulator_driver OBJECT
    driver.c driver_capture.c driver_context.c driver_copy.c driver_device.c driver_event.c driver_graph.c driver_launch.c driver_memory.c
    driver_module.c driver_pointer.c driver_stream.c handle.c memory.c settings.c work.c)
set_target_properties(quern_emulator_driver PROPERTIES C_VISIBILITY_PRESET hidden)

# Makes a library of the driver and of what executes kernels.
function(qn_emulator_library name)
    add_library(${name} SHARED $<TARGET_OBJECTS:quern_emulator_driver> ${ARGN})
    set_target_properties(${name} PROPERTIES C_VISIBILITY_PRESET hidden)
    target_link_libraries(${name} PRIVATE pthread m)
    # Threads that serve streams run its code until the process ends.
    target_link_options(${name} PRIVATE -Wl,-z,nodelete)
    if(NOT QN_SANITIZE) # what a sanitizer calls is in the program
        target_link_options(${name} PRIVATE -Wl,-z,defs)
    endif()
    string(REGEX REPLACE "([^;]+);?" "\\1; " hidden "${QN_EMULATOR_HIDE}")
    file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${name}.map
        CONTENT "{ global: cu*; em_statistics; em_fail_*; local: ${hidden}*; };\n")
    target_link_options(${name} PRIVATE -Wl,--version-script=${CMAKE_CURRENT_BINARY_DIR}/${name}.map)
endfunction()

if(TARGET quern_emulator_core)
    qn_emulator_library(quern_cuda_emulator $<TARGET_OBJECTS:quern_emulator_core>)
endif()
