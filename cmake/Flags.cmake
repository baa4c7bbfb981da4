# Compile and link flags that every target gets.
include_directories(${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
add_compile_definitions(_GNU_SOURCE)

add_compile_options(-Wall -Wextra -Wconversion -Wshadow)
if(QN_WERROR)
    add_compile_options(-Werror)
endif()
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
    add_compile_options(-Wno-pass-failed) # a loop that sanitizers keep from being vectorised is no error
endif()

# The numeric contract: the C compiler must not contract a*b+c on its own, and sqrt may be one instruction.
add_compile_options(-ffp-contract=off -fno-math-errno)

# One section per function, so that the linker drops what nobody calls (most of LLVM).
add_compile_options(-ffunction-sections -fdata-sections)
add_link_options(-Wl,--gc-sections)

# Objects are position independent: hosts link libquern.a into PIE programs and shared libraries.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# Our own programs are not: without relocations a 50 MB program starts in 4 ms.
# ThreadSanitizer needs PIE.
if(NOT QN_SANITIZE MATCHES "thread")
    add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-no-pie>)
endif()

if(QN_SANITIZE)
    add_compile_options(-fsanitize=${QN_SANITIZE} -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${QN_SANITIZE})
    if(QN_SANITIZE MATCHES "undefined")
        add_compile_options(-fno-sanitize-recover=undefined)
        if(CMAKE_C_COMPILER_ID MATCHES "Clang")
            # It reads a hash in front of what a pointer calls; code made while the program runs has none, and may begin a page.
            add_compile_options(-fno-sanitize=function)
        endif()
    endif()
    add_compile_definitions(QN_SANITIZED=1)
endif()

# Fuzzing instruments everything; only the fuzzers themselves get libFuzzer's main.
if(QN_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
    add_link_options(-fsanitize=fuzzer-no-link)
endif()

# lld links LLVM's archives in one second where GNU ld takes many.
find_program(QN_LLD NAMES ld.lld-22 ld.lld lld HINTS /usr/lib/llvm-22/bin)
if(QN_LLD)
    get_filename_component(qn_lld_dir ${QN_LLD} REALPATH)
    get_filename_component(qn_lld_dir ${qn_lld_dir} DIRECTORY)
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        add_link_options(-B${qn_lld_dir} -fuse-ld=lld)
    else()
        add_link_options(-fuse-ld=${qn_lld_dir}/ld.lld)
    endif()
endif()
