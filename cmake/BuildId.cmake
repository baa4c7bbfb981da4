# cmake -DLIST=FILE -DOUTPUT=HEADER -P BuildId.cmake: a header with a hash over all files named in LIST, one a line. It names the compiler's
# build in cache keys: code made by another build is never run.
file(STRINGS ${LIST} files)
set(hashes "")
foreach(name IN LISTS files)
    file(SHA256 ${name} hash)
    string(APPEND hashes "${hash}")
endforeach()
string(SHA256 id "${hashes}")
string(SUBSTRING ${id} 0 32 id)
file(WRITE ${OUTPUT} "#define QN__BUILD_ID \"${id}\"\n")
