# LLVM 22 through its C API.
#
#   qn_llvm_link(target)   gives target the include path of LLVM's headers (as system headers) and links what
#                          Quern uses of LLVM. Everything that links target gets the libraries too.
#
# After including this file QN_LLVM_FOUND says whether LLVM is there.
# QN_LLVM_LIBRARIES holds the link line, for quern.pc and QuernConfig.cmake.
find_program(QN_LLVM_CONFIG NAMES llvm-config-22 llvm-config HINTS /usr/lib/llvm-22/bin)
set(QN_LLVM_FOUND FALSE)
if(QN_LLVM_CONFIG)
    execute_process(COMMAND ${QN_LLVM_CONFIG} --version OUTPUT_VARIABLE QN_LLVM_VERSION OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(QN_LLVM_VERSION VERSION_GREATER_EQUAL 22 AND QN_LLVM_VERSION VERSION_LESS 23)
        set(QN_LLVM_FOUND TRUE)
    endif()
endif()
if(NOT QN_LLVM_FOUND)
    message(FATAL_ERROR "Quern needs LLVM 22 (llvm-config-22). On Debian: apt-get install llvm-22-dev, or 'make setup'.")
endif()

# What Quern uses: the JIT linker, code generation for x86, AArch64 and NVPTX, the pass pipelines, the verifier.
set(QN_LLVM_COMPONENTS orcjit orcdebugging passes analysis target native
    x86codegen x86desc x86info aarch64codegen aarch64desc aarch64info nvptxcodegen nvptxdesc nvptxinfo)

execute_process(COMMAND ${QN_LLVM_CONFIG} --includedir OUTPUT_VARIABLE QN_LLVM_INCLUDE OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND ${QN_LLVM_CONFIG} --libdir OUTPUT_VARIABLE QN_LLVM_LIBDIR OUTPUT_STRIP_TRAILING_WHITESPACE)

if(QN_LLVM_SHARED)
    set(QN_LLVM_LIBRARIES -L${QN_LLVM_LIBDIR} -lLLVM-22)
else()
    execute_process(COMMAND ${QN_LLVM_CONFIG} --link-static --libs ${QN_LLVM_COMPONENTS}
        OUTPUT_VARIABLE qn_llvm_libs OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE qn_llvm_rc)
    if(NOT qn_llvm_rc EQUAL 0)
        message(FATAL_ERROR "${QN_LLVM_CONFIG} has no static libraries; configure with -DQN_LLVM_SHARED=ON")
    endif()
    separate_arguments(qn_llvm_libs UNIX_COMMAND "${qn_llvm_libs}")
    # llvm-config also names z3 and libxml2; nothing that Quern links calls them. zlib and zstd compress
    # debug sections. These two are linked statically. libstdc++ is the shared one, because TBB brings that: a second copy in the program would share
    # some symbols with it and not others.
    set(QN_LLVM_LIBRARIES -L${QN_LLVM_LIBDIR} ${qn_llvm_libs}
        -Wl,-Bstatic -lzstd -lz -Wl,-Bdynamic -lstdc++ -lm -ldl -lpthread)
endif()

function(qn_llvm_link target)
    target_include_directories(${target} SYSTEM PRIVATE ${QN_LLVM_INCLUDE})
    target_link_libraries(${target} PUBLIC ${QN_LLVM_LIBRARIES})
endfunction()
