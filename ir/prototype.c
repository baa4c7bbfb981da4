/* Signatures as text. The order of C parameters is that of ir/raw.h: inputs, outputs, sizes, error. */
#include "ir/prototype.h"

#include <string.h>

/* ---- as Quern writes them ---- */

static const char *scalar_name(const qn__signature *s, int64_t index) {
    for (uint32_t i = 0; i < s->input_count; i++)
        if (s->parameters[i].kind == QN__PARAMETER_SCALAR && s->parameters[i].index == (uint32_t)index) return s->parameters[i].name;
    return "";
}

/* How tightly an expression binds: 0 for sums, 1 for products, 2 for names, numbers and calls. */
static int binding(uint8_t op) {
    if (op == QN__DIM_ADD || op == QN__DIM_SUB) return 0;
    return op == QN__DIM_MUL || op == QN__DIM_DIV || op == QN__DIM_REM ? 1 : 2;
}

static void print_operand(const qn__signature *s, uint32_t dim, int least, qn__text *out) {
    const bool group = binding(s->dims[dim].op) < least;
    if (group) qn__text_add_char(out, '(');
    qn__dim_print(s, dim, out);
    if (group) qn__text_add_char(out, ')');
}

void qn__dim_print(const qn__signature *s, uint32_t dim, qn__text *out) {
    static const char *const operators[] = {[QN__DIM_ADD] = " + ", [QN__DIM_SUB] = " - ", [QN__DIM_MUL] = " * ",
                                            [QN__DIM_DIV] = " / ", [QN__DIM_REM] = " % "};
    const qn__dim *d = &s->dims[dim];
    switch ((qn__dim_op)d->op) {
    case QN__DIM_CONST: qn__text_format(out, "%lld", (long long)d->value); return;
    case QN__DIM_SYMBOL:
        qn__text_format(out, "%s%s", s->symbols[d->value].existential ? "?" : "", s->symbols[d->value].name);
        return;
    case QN__DIM_SCALAR: qn__text_add_string(out, scalar_name(s, d->value)); return;
    case QN__DIM_MIN:
    case QN__DIM_MAX:
        qn__text_add_string(out, d->op == QN__DIM_MIN ? "min(" : "max(");
        qn__dim_print(s, d->left, out);
        qn__text_add_string(out, ", ");
        qn__dim_print(s, d->right, out);
        qn__text_add_char(out, ')');
        return;
    case QN__DIM_ADD:
    case QN__DIM_SUB:
    case QN__DIM_MUL:
    case QN__DIM_DIV:
    case QN__DIM_REM: break;
    }
    print_operand(s, d->left, binding(d->op), out);
    qn__text_add_string(out, operators[d->op]);
    print_operand(s, d->right, binding(d->op) + 1, out);
}

static void print_parameter(const qn__signature *s, const qn__parameter *p, qn__text *out) {
    const char *type = p->is_size ? "size" : qn__type_table[p->type].name;
    qn__text_format(out, "%s%s: %s", p->kind == QN__PARAMETER_INOUT ? "inout " : "", p->name, type);
    for (uint32_t d = 0; d < p->rank; d++) {
        qn__text_add_string(out, d ? ", " : "[");
        qn__dim_print(s, p->dim[d], out);
    }
    if (p->rank) qn__text_add_char(out, ']');
}

void qn__signature_print(const qn__signature *s, qn__text *out) {
    qn__text_format(out, "kernel %s(", s->name);
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        if (i == s->input_count) qn__text_add_string(out, ") -> ");
        else if (i) qn__text_add_string(out, ", ");
        print_parameter(s, &s->parameters[i], out);
    }
    if (s->input_count == s->parameter_count) qn__text_add_char(out, ')');
}

/* ---- as C ---- */

static const char *c_type(uint8_t type) {
    switch ((qn__type)type) {
    case QN__TYPE_BOOL:
    case QN__TYPE_U8: return "uint8_t";
    case QN__TYPE_I8: return "int8_t";
    case QN__TYPE_I16: return "int16_t";
    case QN__TYPE_I32: return "int32_t";
    case QN__TYPE_I64: return "int64_t";
    case QN__TYPE_F16:
    case QN__TYPE_BF16:
    case QN__TYPE_U16: return "uint16_t";
    case QN__TYPE_U32: return "uint32_t";
    case QN__TYPE_U64: return "uint64_t";
    case QN__TYPE_F32: return "float";
    case QN__TYPE_F64: return "double";
    case QN__TYPE_NONE:
    case QN__TYPE_COUNT: break;
    }
    return "void";
}

/* Words that no C or C++ parameter can be called, and the last parameter's name. */
static const char *const reserved[] = {
    "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "char16_t",
    "char32_t", "char8_t", "class", "co_await", "co_return", "co_yield", "compl", "concept", "const", "const_cast", "consteval",
    "constexpr", "constinit", "continue", "decltype", "default", "delete", "do", "double", "dynamic_cast", "else", "enum", "error",
    "explicit", "export", "extern", "false", "float", "for", "friend", "goto", "if", "inline", "int", "int16_t", "int32_t", "int64_t",
    "int8_t", "linux", "long", "mutable", "namespace", "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or", "or_eq", "private",
    "protected", "public", "qn_error", "register", "reinterpret_cast", "requires", "restrict", "return", "short", "signed", "sizeof",
    "static", "static_assert", "static_cast", "struct", "switch", "template", "this", "thread_local", "throw", "true", "try",
    "typedef", "typeid", "typename", "typeof", "typeof_unqual", "uint16_t", "uint32_t", "uint64_t", "uint8_t", "union", "unix",
    "unsigned", "using", "virtual", "void", "volatile", "wchar_t", "while", "xor", "xor_eq",
};

/* `name` with `underscores` behind it is some parameter's or size's name. */
static bool is_taken(const qn__signature *s, const char *name, uint32_t underscores) {
    const size_t length = strlen(name);
    for (uint32_t i = 0; i < s->parameter_count + s->symbol_count; i++) {
        const char *other = i < s->parameter_count ? s->parameters[i].name : s->symbols[i - s->parameter_count].name;
        if (strncmp(other, name, length) == 0 && strspn(other + length, "_") == underscores && !other[length + underscores]) return true;
    }
    return false;
}

static void print_name(const qn__signature *s, const char *name, qn__text *out) {
    uint32_t underscores = 0;
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcmp(name, reserved[i]) == 0) underscores = 1;
    while (underscores && is_taken(s, name, underscores)) underscores++;
    qn__text_add_string(out, name);
    while (underscores-- > 0) qn__text_add_char(out, '_');
}

static void print_list(const qn__signature *s, qn__text *out) {
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        const qn__parameter *p = &s->parameters[i];
        const char *pointer = p->kind == QN__PARAMETER_SCALAR ? "" : "*";
        qn__text_format(out, "%s%s %s", p->kind == QN__PARAMETER_IN ? "const " : "", c_type(p->type), pointer);
        print_name(s, p->name, out);
        qn__text_add_string(out, ", ");
    }
    for (uint32_t i = 0; i < s->symbol_count; i++) {
        qn__text_format(out, "int64_t %s", s->symbols[i].existential ? "*" : "");
        print_name(s, s->symbols[i].name, out);
        qn__text_add_string(out, ", ");
    }
    qn__text_add_string(out, "qn_error *error)");
}

static void explain_size(const qn__signature *s, const qn__symbol *symbol, qn__text *out) {
    if (symbol->existential) {
        qn__text_format(out, "\n *   *%s: in: how many elements there is room for; out: how many there are", symbol->name);
        return;
    }
    const qn__parameter *p = &s->parameters[symbol->parameter];
    qn__text_format(out, "\n *   %s: dimension %u of %s", symbol->name, symbol->dimension, p->name);
    if (symbol->addend == 0) return;
    qn__text_add_string(out, " is ");
    qn__dim_print(s, p->dim[symbol->dimension], out);
}

void qn__prototype_print(const qn__signature *s, const char *symbol, qn__text *out) {
    qn__text_add_string(out, "/* ");
    qn__signature_print(s, out);
    for (uint32_t i = 0; i < s->symbol_count; i++) explain_size(s, &s->symbols[i], out);
    qn__text_format(out, " */\nint32_t %s(", symbol);
    print_list(s, out);
    qn__text_format(out, ";\ntypedef int32_t (*%s_function)(", symbol);
    print_list(s, out);
    qn__text_add_string(out, ";\n");
}
