/* Types, statuses and error records of the public API: table look-ups only, no state. */
#include "api/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* qn_type and qn__type are the same numbers: both follow ir/types.def. */
#define X(name, ENUM, bits, class) _Static_assert((int)QN_##ENUM == (int)QN__TYPE_##ENUM, "types.def and quern.h differ");
#include "ir/types.def"
#undef X

const char *qn_version(void) { return QN_VERSION; }

const char *qn_status_text(qn_status status) {
    switch (status) {
    case QN_OK: return "ok";
    case QN_FAULT: return "run-time error";
    case QN_USAGE: return "wrong argument";
    case QN_SOURCE: return "errors in the source";
    case QN_IO: return "file error";
    case QN_RESOURCE: return "out of memory or over a limit";
    case QN_STOPPED: return "stopped";
    case QN_DEVICE: return "device error";
    case QN_INTERNAL: return "internal error";
    }
    return "unknown status";
}

static bool known(qn_type type) { return type >= QN_BOOL && (int)type < (int)QN__TYPE_COUNT; }

const char *qn_type_name(qn_type type) { return known(type) ? qn__type_table[type].name : NULL; }
size_t qn_type_bytes(qn_type type) { return known(type) ? qn__type_table[type].bytes : 0; }

qn_type qn_type_from_name(const char *name) {
    for (int t = QN_BOOL; name && t < (int)QN__TYPE_COUNT; t++)
        if (strcmp(qn__type_table[t].name, name) == 0) return (qn_type)t;
    return (qn_type)0;
}

DLDataType qn_type_to_dlpack(qn_type type) {
    /* every call of a kernel looks here for each of its arguments: a table */
#define X(name, ENUM, bits, class) [QN_##ENUM] = {CODE_##class(ENUM), bits, 1},
#define CODE_BOOL(ENUM) QN_DL_BOOL
#define CODE_SINT(ENUM) kDLInt
#define CODE_UINT(ENUM) kDLUInt
#define CODE_FLOAT(ENUM) (QN_##ENUM == QN_BF16 ? kDLBfloat : kDLFloat)
    static const DLDataType types[] = {
        {kDLOpaqueHandle, 0, 0},
#include "ir/types.def"
    };
#undef X
    return types[known(type) ? type : 0];
}

qn_type qn_type_from_dlpack(DLDataType type) {
    for (int t = QN_BOOL; t < (int)QN__TYPE_COUNT; t++) {
        const DLDataType own = qn_type_to_dlpack((qn_type)t);
        if (own.code == type.code && own.bits == type.bits && type.lanes == 1) return (qn_type)t;
    }
    return (qn_type)0;
}

qn_status qn__error(qn_error *error, qn_status status, const char *format, ...) {
    if (error) {
        memset(error, 0, sizeof *error);
        error->status = status;
        va_list list;
        va_start(list, format);
        vsnprintf(error->message, sizeof error->message, format, list);
        va_end(list);
    }
    return status;
}

qn_status qn__no_error(qn_error *error) {
    if (!error) return QN_OK;
    error->status = QN_OK; /* field by field: to clear the texts would take longer than a small call */
    error->message[0] = error->path[0] = 0;
    error->line = error->column = error->length = 0;
    error->index = error->extent = error->iteration = 0;
    return QN_OK;
}
