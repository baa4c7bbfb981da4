# The core: PTX text to execution. What links it brings an implementation of memory.h.
set(em_lanes lanes_base.c)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT QN_SANITIZE)
    list(APPEND em_lanes lanes_v3.c lanes_v4.c)
endif()
add_library(quern_emulator_core OBJECT
    ptx_lex.c ptx_table.c ptx_parse.c ptx_symbol.c ptx_constant.c ptx_declare.c ptx_body.c ptx_match.c ptx_check.c ptx_meaning.c
    module.c flow.c registers.c translate.c translate_instruction.c translate_control.c translate_memory.c execute.c execute_flow.c execute_block.c
    execute_data.c execute_float.c execute_memory.c execute_atomic.c execute_warp.c execute_shadow.c execute_matrix.c execute_print.c number.c ${em_lanes})
set_target_properties(quern_emulator_core PROPERTIES C_VISIBILITY_PRESET hidden)
# Registers are bytes that steps read as the type they need.
target_compile_options(quern_emulator_core PRIVATE -fno-strict-aliasing)

# The handlers of plain arithmetic, for each instruction set that pays; the best is chosen when a launch begins.
set_source_files_properties(lanes_base.c PROPERTIES COMPILE_OPTIONS "-O3")
if("lanes_v3.c" IN_LIST em_lanes)
    target_compile_definitions(quern_emulator_core PRIVATE EM_LANES_VARIANTS=1)
    set_source_files_properties(lanes_v3.c PROPERTIES COMPILE_OPTIONS "-O3;-march=x86-64-v3")
    set_source_files_properties(lanes_v4.c PROPERTIES COMPILE_OPTIONS "-O3;-march=x86-64-v4;-mprefer-vector-width=512")
endif()
