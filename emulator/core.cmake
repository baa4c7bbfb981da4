# The core of the emulator: PTX text to execution. em_core is a static library that needs an implementation of memory.h beside it.
set(em_core_sources ptx_lex.c ptx_table.c ptx_parse.c ptx_symbol.c ptx_constant.c ptx_declare.c ptx_body.c ptx_match.c ptx_check.c ptx_meaning.c
    module.c flow.c translate.c translate_instruction.c translate_control.c translate_memory.c execute.c execute_flow.c execute_block.c
    execute_data.c execute_float.c execute_memory.c execute_atomic.c execute_warp.c execute_shadow.c execute_matrix.c number.c)
add_library(em_core STATIC ${em_core_sources})
target_link_libraries(em_core PUBLIC pthread m)
# Registers are bytes that steps read as the type they need.
target_compile_options(em_core PRIVATE -fno-strict-aliasing)

# The handlers of plain arithmetic, for each instruction set that pays; the best is chosen when a launch begins.
function(em_lanes_variant name)
    add_library(em_lanes_${name} OBJECT lanes.c)
    target_compile_options(em_lanes_${name} PRIVATE -fno-strict-aliasing -O3 ${ARGN})
    target_compile_definitions(em_lanes_${name} PRIVATE EM_LANES_NAME=em_lanes_${name})
    target_sources(em_core PRIVATE $<TARGET_OBJECTS:em_lanes_${name}>)
endfunction()
em_lanes_variant(base)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT QN_SANITIZE)
    em_lanes_variant(v3 -march=x86-64-v3)
    em_lanes_variant(v4 -march=x86-64-v4 -mprefer-vector-width=512)
    target_compile_definitions(em_core PRIVATE EM_LANES_VARIANTS=1)
endif()
