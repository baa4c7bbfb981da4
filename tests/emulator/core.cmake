# The core by itself: tests/emulator/test_core*.c, linked with its objects and the address space.
if(QN_CRITERION AND QN_CRITERION_INCLUDE AND TARGET quern_emulator_core)
    add_library(emulator_core_support STATIC core.c ${PROJECT_SOURCE_DIR}/emulator/memory.c $<TARGET_OBJECTS:quern_emulator_core>)
    target_link_libraries(emulator_core_support PUBLIC pthread m)
    add_custom_target(emulator_core_tests)
    file(GLOB em_core_tests CONFIGURE_DEPENDS test_core*.c)
    foreach(source IN LISTS em_core_tests)
        get_filename_component(name ${source} NAME_WE)
        add_executable(emulator_${name} ${source})
        add_dependencies(emulator_core_tests emulator_${name})
        target_link_libraries(emulator_${name} PRIVATE emulator_core_support ${QN_CRITERION})
        target_compile_definitions(emulator_${name} PRIVATE QN_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
        # Rounding modes are changed and sums are compared: nothing may be folded or contracted.
        target_compile_options(emulator_${name} PRIVATE -frounding-math -fno-strict-aliasing)
        target_link_options(emulator_${name} PRIVATE -Wl,--no-gc-sections) # Criterion finds its tests by their section
        add_test(NAME emulator.${name} COMMAND emulator_${name} --jobs 2 WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
        set_tests_properties(emulator.${name} PROPERTIES LABELS emulator TIMEOUT 300)
    endforeach()
endif()
