// Fuzzes the reader of the IR's text form. What it accepts must verify or be reported, and must print back to text
// that reads to the same text again; the passes must leave a module that verifies.
#include "ir/passes.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *message = NULL;
    qn__arena *arena = qn__arena_create((size_t)64 << 20);
    if (!arena) return 0;
    qn__ir *ir = qn__ir_read(arena, (const char *)data, size, &message);
    if (!ir) {
        if (!message) __builtin_trap();
    } else {
        qn__text report = QN__TEXT_EMPTY, first = QN__TEXT_EMPTY, second = QN__TEXT_EMPTY;
        if (qn__verify(ir, &report)) {
            qn__ir_print(ir, &first);
            qn__ir *again = qn__ir_read(arena, qn__text_bytes(&first), first.length, &message);
            if (again) qn__ir_print(again, &second);
            if (!again || strcmp(qn__text_bytes(&first), qn__text_bytes(&second)) != 0) __builtin_trap();
            if (qn__passes_run(ir, NULL, &message) && !qn__verify(ir, &report)) __builtin_trap();
        }
        qn__text_free(&report);
        qn__text_free(&first);
        qn__text_free(&second);
    }
    qn__arena_destroy(arena);
    return 0;
}
