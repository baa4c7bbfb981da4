/* Faults in words: one line, without the place. */
#include "runtime/call_private.h"

#include <inttypes.h>
#include <stdio.h>

static const char *kind_text(int32_t kind) {
    switch ((qn__fault_kind)kind) {
#define X(ENUM, text) case QN__FAULT_##ENUM: return text;
#include "ir/faults.def"
#undef X
    case QN__FAULT_NONE:
    case QN__FAULT_COUNT: break;
    }
    return "unknown fault";
}

void qn__fault_text(int32_t kind, const qn__fault *fault, char *out, size_t size) {
    const char *text = kind_text(kind);
    const int64_t index = fault->index, extent = fault->extent;
    if (kind == QN__FAULT_INDEX)
        snprintf(out, size, "%s: index %" PRId64 ", extent %" PRId64, text, index, extent);
    else if (kind == QN__FAULT_MEMORY && extent)
        snprintf(out, size, "%s: %" PRId64 " bytes for an array", text, extent);
    else if ((kind == QN__FAULT_SHAPE || kind == QN__FAULT_DOMAIN || kind == QN__FAULT_SIZE) && (index || extent))
        snprintf(out, size, "%s: %" PRId64 " and %" PRId64, text, index, extent);
    else
        snprintf(out, size, "%s", text);
}
