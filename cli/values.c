/* Values as text: elements, arrays with brackets, and the text to standard output. */
#include "cli/cli.h"
#include "ir/eval.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static uint64_t bits_of(qn_type type, const void *element) {
    uint64_t bits = 0;
    memcpy(&bits, element, qn_type_bytes(type)); /* little endian, as every target of Quern is */
    return bits;
}

static void print_float(qn__text *out, qn_type type, double value, bool json) {
    if (json && !isfinite(value)) {
        qn__text_add_string(out, isnan(value) ? "\"nan\"" : value > 0 ? "\"inf\"" : "\"-inf\"");
        return;
    }
    if (type == QN_F64)
        qn__text_add_f64(out, value);
    else
        qn__text_add_f32(out, (float)value);
}

void cli_print_value(qn__text *out, qn_type type, const void *element, bool json) {
    const uint64_t bits = bits_of(type, element);
    switch (type) {
    case QN_BOOL: qn__text_add_string(out, bits ? "true" : "false"); return;
    case QN_I8: qn__text_format(out, "%d", (int8_t)bits); return;
    case QN_I16: qn__text_format(out, "%d", (int16_t)bits); return;
    case QN_I32: qn__text_format(out, "%" PRId32, (int32_t)bits); return;
    case QN_I64: qn__text_format(out, "%" PRId64, (int64_t)bits); return;
    case QN_U8:
    case QN_U16:
    case QN_U32:
    case QN_U64: qn__text_format(out, "%" PRIu64, bits); return;
    case QN_F16:
    case QN_BF16:
    case QN_F32:
    case QN_F64: print_float(out, type, qn__eval_to_f64((qn__type)type, bits), json); return;
    }
}

typedef struct printer {
    qn__text *out;
    const DLTensor *tensor;
    qn_type type;
    size_t bytes;
    int64_t left; /* elements that may still be shown */
    bool json, cut;
} printer;

static void print_level(printer *p, int32_t dimension, const char *at) {
    const DLTensor *t = p->tensor;
    if (dimension == t->ndim) {
        if (p->left-- > 0) cli_print_value(p->out, p->type, at, p->json);
        return;
    }
    qn__text_add_char(p->out, '[');
    for (int64_t i = 0; i < t->shape[dimension]; i++) {
        if (i) qn__text_add_string(p->out, ", ");
        if (p->left <= 0) {
            qn__text_add_string(p->out, "...");
            break;
        }
        print_level(p, dimension + 1, at + i * t->strides[dimension] * (int64_t)p->bytes);
    }
    qn__text_add_char(p->out, ']');
}

void cli_print_array(qn__text *out, const DLTensor *tensor, uint32_t limit, bool json) {
    printer p = {.out = out, .tensor = tensor, .type = qn_type_from_dlpack(tensor->dtype), .left = limit, .json = json};
    p.bytes = qn_type_bytes(p.type);
    print_level(&p, 0, (const char *)tensor->data + tensor->byte_offset);
}

bool cli_write(const qn__text *text) {
    return fwrite(qn__text_bytes(text), 1, text->length, stdout) == text->length && !text->failed;
}
