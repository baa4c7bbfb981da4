// Fuzzes the reader of .npy files: whatever the bytes are, it answers with an array or a message.
#include "runtime/npy.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    qn__argument argument;
    char message[QN__NPY_MESSAGE] = "";
    if (qn__npy_decode(data, size, QN__TYPE_NONE, NULL, &argument, message)) qn__argument_free(&argument, NULL);
    else if (!message[0]) __builtin_trap();
    return 0;
}
