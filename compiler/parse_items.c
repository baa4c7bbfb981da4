// Items (import, const, extern, fn, kernel), types, and the words that people bring from other languages.
#include <string.h>

#include "compiler/parser_state.h"

// ---- Types ----

static qn__node_id parse_dimension(qn__parser *p) {
    uint32_t first = p->at;
    if (!qn__parse_accept(p, QN__TOKEN_QUESTION)) return qn__parse_expression(p);
    qn__ast_node node = {.kind = QN__AST_UNKNOWN_SIZE};
    qn__parse_name(p, &node, "the size that the kernel finds");
    return qn__parse_make(p, node, first, NULL, 0);
}

static void report_no_type(qn__parser *p) {
    const qn__token *token = qn__parse_token(p);
    qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_TYPE, qn__parse_gap(p), QN__SAY(qn__parse_found(p)));
    qn__diagnostic_expected(d, "a type such as f32, i64, or f32[n] for an array");
    if (token->kind == QN__TOKEN_LEFT_SQUARE) qn__diagnostic_hint(d, "the element type comes first: 'f32[n]'");
    if (token->kind == QN__TOKEN_STAR || token->kind == QN__TOKEN_AMPERSAND)
        qn__diagnostic_hint(d, "there are no pointers: an array is written 'f32[n]'");
}

static void report_after_type(qn__parser *p, const char *type) {
    if (p->failed || qn__parse_newline(p)) return;
    qn__token_kind kind = qn__parse_kind(p);
    if (kind == QN__TOKEN_LEFT_SQUARE) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_UNEXPECTED_TOKEN, qn__parse_span(p), QN__SAY("'['"));
        qn__diagnostic_hint(d, "all sizes stand in one pair of brackets: '%s[n, m]'", type);
    } else if (kind == QN__TOKEN_STAR) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_UNEXPECTED_TOKEN, qn__parse_span(p), QN__SAY("'*'"));
        qn__diagnostic_hint(d, "there are no pointers: an array is written '%s[n]'", type);
    }
}

qn__node_id qn__parse_type(qn__parser *p) {
    if (p->failed) return QN__NO_NODE;
    uint32_t first = p->at;
    qn__ast_node node = {.kind = QN__AST_TYPE};
    if (qn__parse_kind(p) != QN__TOKEN_NAME) {
        report_no_type(p);
        return QN__NO_NODE;
    }
    qn__parse_name(p, &node, "a type");
    size_t base = p->stack_count;
    if (qn__parse_kind(p) == QN__TOKEN_LEFT_SQUARE && !qn__parse_newline(p)) {
        qn__parse_advance(p);
        p->parens++;
        do qn__parse_push(p, parse_dimension(p));
        while (qn__parse_accept(p, QN__TOKEN_COMMA));
        qn__parse_expect(p, QN__TOKEN_RIGHT_SQUARE, "after the sizes");
        p->parens--;
    }
    size_t count = p->stack_count - base;
    qn__node_id id = qn__parse_make(p, node, first, p->stack ? p->stack + base : NULL, count);
    p->stack_count = base;
    report_after_type(p, qn__name_text(p->names, node.name));
    return id;
}

const char *qn__parse_type_word(const char *word) {
    static const struct { const char *word, *type; } words[] = {
#define X(name, ENUM, bits, class) {#name, #name},
#include "ir/types.def"
#undef X
        {"size", "size"}, {"int", "i32"}, {"float", "f32"}, {"double", "f64"}, {"long", "i64"}, {"short", "i16"},
        {"char", "i8"}, {"unsigned", "u32"}, {"half", "f16"}, {"size_t", "size"}, {"int8_t", "i8"}, {"int16_t", "i16"},
        {"int32_t", "i32"}, {"int64_t", "i64"}, {"uint8_t", "u8"}, {"uint16_t", "u16"}, {"uint32_t", "u32"},
        {"uint64_t", "u64"}, {"auto", "f64"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(words[i].word, word)) return words[i].type;
    return NULL;
}

// ---- Parameters ----

static qn__node_id empty_list(qn__parser *p) { return qn__parse_list(p, p->stack_count, p->at); }

// The ':' between a name and its type, with hints for the other orders.
static void expect_colon(qn__parser *p, const char *name, const char *what) {
    if (p->failed || qn__parse_accept(p, QN__TOKEN_COLON)) return;
    qn__text where = QN__TEXT_EMPTY;
    qn__text_format(&where, "':' and the type of the %s", what);
    const qn__token *token = qn__parse_token(p);
    qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_gap(p), QN__SAY(qn__text_bytes(&where)),
                                        QN__SAY(qn__parse_found(p)));
    qn__text_free(&where);
    const char *next = qn__parse_spelling(p, token), *type = qn__parse_type_word(name);
    if (token->kind == QN__TOKEN_NAME && type && !qn__parse_type_word(next))
        qn__diagnostic_hint(d, "the name comes before the type: write '%s: %s'", next, type);
    else if (token->kind == QN__TOKEN_NAME)
        qn__diagnostic_hint(d, "write '%s: %s'", name, next);
    else if (token->kind == QN__TOKEN_LEFT_SQUARE && !strcmp(what, "output"))
        qn__diagnostic_hint(d, "an output has a name: write '-> z: %s[...]'", name);
    else if (token->kind == QN__TOKEN_LEFT_SQUARE)
        qn__diagnostic_hint(d, "the sizes follow the type: write '%s: f32[n]'", name);
    else qn__diagnostic_hint(d, "write '%s: f32' for a number or '%s: f32[n]' for an array", name, name);
}

// edge clamp|wrap|mirror|expr
static qn__node_id parse_edge(qn__parser *p, uint8_t *op) {
    qn__parse_advance(p);
    for (int edge = QN__EDGE_CLAMP; edge <= QN__EDGE_MIRROR; edge++) {
        if (!qn__parse_at_word(p, qn__ast_edge_text((qn__ast_edge)edge))) continue;
        qn__parse_advance(p);
        *op = (uint8_t)edge;
        return QN__NO_NODE;
    }
    *op = QN__EDGE_VALUE;
    if (qn__parse_kind(p) == QN__TOKEN_COMMA || qn__parse_kind(p) == QN__TOKEN_RIGHT_PAREN) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_span(p),
                                            QN__SAY("what is read outside the array"), QN__SAY(qn__parse_found(p)));
        qn__diagnostic_hint(d, "write 'edge clamp', 'edge wrap', 'edge mirror' or a constant, as in 'edge 0.0'");
    }
    return qn__parse_expression(p);
}

static qn__node_id parse_parameter(qn__parser *p, bool kernel) {
    uint32_t first = p->at;
    qn__ast_node node = {.kind = QN__AST_PARAM};
    if (qn__parse_kind(p) == QN__TOKEN_INOUT) {
        if (!kernel) {
            qn__diagnostic *d = qn__parse_complain(p, QN__DIAG_WRONG_PLACE, qn__parse_span(p), QN__SAY("inout"),
                                                   QN__SAY("before the parameter of a function"));
            qn__diagnostic_hint(d, "functions take numbers and give numbers: return the new value");
        }
        qn__parse_advance(p);
        node.flags = QN__AST_INOUT;
    }
    qn__node_id children[2] = {0};
    qn__parse_name(p, &node, "a parameter");
    expect_colon(p, qn__name_text(p->names, node.name), "parameter");
    children[QN__PARAM_TYPE] = qn__parse_type(p);
    if (!kernel && qn__parse_at_word(p, "edge")) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_WRONG_PLACE, qn__parse_span(p), QN__SAY("edge"),
                                            QN__SAY("at the parameter of a function"));
        qn__diagnostic_hint(d, "functions take numbers; arrays, and what surrounds them, belong to the kernel");
    }
    if (kernel && qn__parse_at_word(p, "edge")) children[QN__PARAM_EDGE] = parse_edge(p, &node.op);
    return qn__parse_make(p, node, first, children, 2);
}

// ( parameters )
static qn__node_id parse_parameters(qn__parser *p, bool kernel) {
    uint32_t first = p->at;
    size_t base = p->stack_count;
    qn__parse_expect(p, QN__TOKEN_LEFT_PAREN, "and the parameters");
    p->parens++;
    if (!p->failed && qn__parse_kind(p) != QN__TOKEN_RIGHT_PAREN) {
        do qn__parse_push(p, parse_parameter(p, kernel));
        while (qn__parse_accept(p, QN__TOKEN_COMMA));
    }
    if (qn__parse_kind(p) == QN__TOKEN_NAME || qn__parse_kind(p) == QN__TOKEN_INOUT) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_span(p),
                                            QN__SAY("',' or ')' after a parameter"), QN__SAY(qn__parse_found(p)));
        qn__diagnostic_hint(d, "write ',' before '%s'", qn__parse_spelling(p, qn__parse_token(p)));
    }
    qn__parse_expect(p, QN__TOKEN_RIGHT_PAREN, "after the parameters");
    p->parens--;
    return qn__parse_list(p, base, first);
}

static qn__node_id parse_generic(qn__parser *p) {
    uint32_t first = p->at;
    qn__ast_node node = {.kind = QN__AST_GENERIC};
    qn__parse_name(p, &node, "a type parameter");
    if (!p->failed && qn__parse_kind(p) != QN__TOKEN_COLON) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_gap(p),
                                            QN__SAY("':' and a class of types"), QN__SAY(qn__parse_found(p)));
        qn__diagnostic_hint(d, "write '[%s: float]', '[%s: int]' or '[%s: number]'", qn__name_text(p->names, node.name),
                            qn__name_text(p->names, node.name), qn__name_text(p->names, node.name));
    }
    qn__parse_accept(p, QN__TOKEN_COLON);
    for (int c = 0; c < QN__CLASSES; c++) {
        if (!qn__parse_at_word(p, qn__ast_class_text((qn__ast_class)c))) continue;
        node.op = (uint8_t)c;
        qn__parse_advance(p);
        return qn__parse_make(p, node, first, NULL, 0);
    }
    if (p->failed) return QN__NO_NODE;
    qn__diagnostic *d = qn__parse_error(p, QN__DIAG_UNKNOWN_CLASS, qn__parse_span(p),
                                        QN__SAY(qn__parse_spelling(p, qn__parse_token(p))));
    qn__diagnostic_expected(d, "float, int or number");
    return QN__NO_NODE;
}

static qn__node_id parse_generics(qn__parser *p) {
    if (qn__parse_kind(p) != QN__TOKEN_LEFT_SQUARE) return empty_list(p);
    uint32_t first = p->at;
    size_t base = p->stack_count;
    qn__parse_advance(p);
    p->parens++;
    do qn__parse_push(p, parse_generic(p));
    while (qn__parse_accept(p, QN__TOKEN_COMMA));
    qn__parse_expect(p, QN__TOKEN_RIGHT_SQUARE, "after the type parameters");
    p->parens--;
    return qn__parse_list(p, base, first);
}

// ---- Items ----

static qn__node_id parse_import(qn__parser *p) {
    uint32_t first = p->at;
    qn__parse_advance(p);
    const qn__token *token = qn__parse_token(p);
    if (qn__parse_kind(p) != QN__TOKEN_STRING) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_gap(p),
                                            QN__SAY("the path of a file"), QN__SAY(qn__parse_found(p)));
        bool name = token->kind == QN__TOKEN_NAME;
        qn__diagnostic_hint(d, "write 'import \"%s.qn\"'", name ? qn__parse_spelling(p, token) : "file");
        return QN__NO_NODE;
    }
    char *path = qn__arena_alloc(p->arena, token->end - token->begin);
    size_t length = 0;
    uint32_t end = token->end;
    if (end > token->begin + 1 && p->source->text[end - 1] == '"') end--;
    for (uint32_t at = token->begin + 1; path && at < end; at++) {
        if (p->source->text[at] == '\\' && at + 1 < end) at++;
        path[length++] = p->source->text[at];
    }
    qn__parse_advance(p);
    return qn__parse_make(p, (qn__ast_node){.kind = QN__AST_IMPORT, .value.text = path ? path : ""}, first, NULL, 0);
}

static qn__node_id parse_const(qn__parser *p) {
    uint32_t first = p->at;
    qn__parse_advance(p);
    qn__ast_node node = {.kind = QN__AST_CONST};
    qn__node_id children[2] = {0};
    qn__parse_name(p, &node, "a constant");
    if (qn__parse_accept(p, QN__TOKEN_COLON)) children[QN__CONST_TYPE] = qn__parse_type(p);
    qn__parse_expect(p, QN__TOKEN_ASSIGN, "and the constant's value");
    children[QN__CONST_VALUE] = qn__parse_expression(p);
    return qn__parse_make(p, node, first, children, 2);
}

static void expect_arrow(qn__parser *p, const char *name) {
    if (p->failed || qn__parse_accept(p, QN__TOKEN_ARROW)) return;
    qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_gap(p),
                                        QN__SAY("'->' and the type of the result"), QN__SAY(qn__parse_found(p)));
    qn__diagnostic_hint(d, "write 'fn %s(...) -> f64 = ...' with the type that it gives", name);
}

static qn__node_id parse_extern(qn__parser *p) {
    uint32_t first = p->at;
    qn__parse_advance(p);
    qn__parse_expect(p, QN__TOKEN_FN, "after 'extern'");
    qn__ast_node node = {.kind = QN__AST_EXTERN};
    qn__node_id children[2];
    qn__parse_name(p, &node, "an extern function");
    children[QN__EXTERN_PARAMS] = parse_parameters(p, false);
    expect_arrow(p, qn__name_text(p->names, node.name));
    children[QN__EXTERN_RESULT] = qn__parse_type(p);
    return qn__parse_make(p, node, first, children, 2);
}

static qn__node_id parse_function_body(qn__parser *p, const char *name) {
    uint32_t first = p->at;
    size_t base = p->stack_count;
    if (qn__parse_kind(p) == QN__TOKEN_LEFT_BRACE) {
        qn__parse_push(p, qn__parse_block_value(p, "the function"));
        return qn__parse_list(p, base, first);
    }
    if (!qn__parse_accept(p, QN__TOKEN_ASSIGN)) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_gap(p),
                                            QN__SAY("'=' and a value, or a block"), QN__SAY(qn__parse_found(p)));
        qn__diagnostic_hint(d, "write 'fn %s(...) -> ... = value' or 'fn %s(...) -> ... { ... }'", name, name);
    }
    do qn__parse_push(p, qn__parse_expression(p));
    while (qn__parse_accept(p, QN__TOKEN_COMMA));
    return qn__parse_list(p, base, first);
}

static qn__node_id parse_function(qn__parser *p) {
    uint32_t first = p->at;
    qn__parse_advance(p);
    qn__ast_node node = {.kind = QN__AST_FUNCTION};
    qn__node_id children[4];
    qn__parse_name(p, &node, "a function");
    const char *name = qn__name_text(p->names, node.name);
    children[QN__FUNCTION_GENERICS] = parse_generics(p);
    children[QN__FUNCTION_PARAMS] = parse_parameters(p, false);
    expect_arrow(p, name);
    uint32_t results = p->at;
    size_t base = p->stack_count;
    do qn__parse_push(p, qn__parse_type(p));
    while (qn__parse_accept(p, QN__TOKEN_COMMA));
    children[QN__FUNCTION_RESULTS] = qn__parse_list(p, base, results);
    children[QN__FUNCTION_VALUES] = parse_function_body(p, name);
    return qn__parse_make(p, node, first, children, 4);
}

static qn__node_id parse_output(qn__parser *p) {
    uint32_t first = p->at;
    qn__ast_node node = {.kind = QN__AST_OUTPUT};
    qn__parse_name(p, &node, "an output");
    expect_colon(p, qn__name_text(p->names, node.name), "output");
    qn__node_id type = qn__parse_type(p);
    return qn__parse_make(p, node, first, &type, 1);
}

static qn__node_id parse_outputs(qn__parser *p) {
    if (qn__parse_kind(p) == QN__TOKEN_NAME || qn__parse_kind(p) == QN__TOKEN_COLON) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_gap(p),
                                            QN__SAY("'->' and the outputs, or '{'"), QN__SAY(qn__parse_found(p)));
        qn__diagnostic_hint(d, "write '-> z: f32[n]'");
    }
    if (!qn__parse_accept(p, QN__TOKEN_ARROW)) return empty_list(p);
    uint32_t first = p->at;
    size_t base = p->stack_count;
    if (qn__parse_kind(p) == QN__TOKEN_LEFT_PAREN) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_NAME, qn__parse_span(p), QN__SAY("an output"), QN__SAY("'('"));
        qn__diagnostic_hint(d, "outputs stand without parentheses: '-> y: f32[n], z: f32[n]'");
    }
    do qn__parse_push(p, parse_output(p));
    while (qn__parse_accept(p, QN__TOKEN_COMMA));
    return qn__parse_list(p, base, first);
}

static qn__node_id parse_attribute(qn__parser *p) {
    uint32_t first = p->at;
    qn__parse_advance(p);
    qn__ast_node node = {.kind = QN__AST_ATTRIBUTE};
    qn__parse_name(p, &node, "an attribute");
    return qn__parse_make(p, node, first, NULL, 0);
}

static qn__node_id parse_kernel(qn__parser *p) {
    uint32_t first = p->at;
    size_t base = p->stack_count;
    qn__ast_node node = {.kind = QN__AST_KERNEL};
    qn__node_id children[5];
    while (qn__parse_kind(p) == QN__TOKEN_AT) qn__parse_push(p, parse_attribute(p));
    children[QN__KERNEL_ATTRIBUTES] = qn__parse_list(p, base, first);
    if (!p->failed && !qn__parse_accept(p, QN__TOKEN_KERNEL)) {
        qn__text found = QN__TEXT_EMPTY;
        qn__text_format(&found, "'%s'", qn__parse_spelling(p, qn__parse_token(p)));
        bool end = qn__parse_kind(p) == QN__TOKEN_END;
        qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_span(p), QN__SAY("'kernel' after the attributes"),
                        QN__SAY(end ? "the end of the file" : qn__text_bytes(&found)));
        qn__text_free(&found);
    }
    qn__parse_name(p, &node, "a kernel");
    children[QN__KERNEL_GENERICS] = parse_generics(p);
    children[QN__KERNEL_PARAMS] = parse_parameters(p, true);
    children[QN__KERNEL_OUTPUTS] = parse_outputs(p);
    children[QN__KERNEL_BODY] = qn__parse_block(p, QN__LEVEL_KERNEL, NULL);
    return qn__parse_make(p, node, first, children, 5);
}

// ---- Words of other languages ----

static const struct { const char *word; bool item; const char *hint; } foreign_words[] = {
    {"def", true, "a function is written 'fn f(x: f64) -> f64 = ...'"},
    {"func", true, "a function is written 'fn f(x: f64) -> f64 = ...'"},
    {"function", true, "a function is written 'fn f(x: f64) -> f64 = ...'"},
    {"void", true, "write 'kernel name(...) -> z: f32[n] { ... }'"},
    {"struct", true, "there are no structures: pass their fields as arrays of their own"},
    {"class", true, "there are no classes: pass their fields as arrays of their own"},
    {"include", true, "write 'import \"file.qn\"'"},
    {"from", true, "write 'import \"file.qn\"'"},
    {"use", true, "write 'import \"file.qn\"'"},
    {"let", true, "a value for the whole file is written 'const x = ...'"},
    {"var", true, "a value for the whole file is written 'const x = ...'"},
    {"return", false, "the value of a block is its last line: write the value alone"},
    {"elif", false, "write 'else if' after the '}'"},
    {"elsif", false, "write 'else if' after the '}'"},
    {"foreach", false, "write 'for i in a..b { ... }'"},
    {"do", false, "write 'while c { ... }'"},
    {"repeat", false, "write 'while c { ... }'"},
    {"pass", false, "an empty block is '{ }'"},
    {"print", false, "kernels print nothing: write the value to an output"},
    {"printf", false, "kernels print nothing: write the value to an output"},
    {"assert", false, "reads through index arrays are checked already; write other conditions to an output"},
};

bool qn__parse_foreign_word(qn__parser *p, bool item) {
    const qn__token *token = qn__parse_token(p);
    qn__token_kind kind = qn__parse_kind(p), next = qn__parse_kind_after(p, 1);
    if (kind != QN__TOKEN_NAME && !(item && qn__token_sort_of(kind) == QN__SORT_WORD)) return false;
    const char *word = qn__parse_spelling(p, token);
    for (size_t i = 0; i < sizeof foreign_words / sizeof *foreign_words; i++) {
        if (foreign_words[i].item != item || strcmp(foreign_words[i].word, word)) continue;
        bool print = !strncmp(word, "print", 5) || !strcmp(word, "assert");
        bool ordinary = qn__token_sort_of(next) == QN__SORT_OPERATOR || next == QN__TOKEN_LEFT_SQUARE ||
                        next == QN__TOKEN_COMMA || (next == QN__TOKEN_LEFT_PAREN && !print && strcmp(word, "return") != 0);
        if (!item && ordinary && next != QN__TOKEN_MINUS && next != QN__TOKEN_TILDE) return false;
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_FOREIGN_WORD, qn__parse_span(p), QN__SAY(word));
        qn__diagnostic_hint(d, "%s", foreign_words[i].hint);
        return true;
    }
    return false;
}

static qn__node_id parse_no_item(qn__parser *p) {
    if (qn__parse_foreign_word(p, true)) return QN__NO_NODE;
    static const char *const words[] = {"import", "const", "extern", "fn", "kernel"};
    const char *word = qn__parse_spelling(p, qn__parse_token(p));
    qn__text found = QN__TEXT_EMPTY;
    qn__text_format(&found, "'%s'", word);
    qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_ITEM, qn__parse_span(p), QN__SAY(qn__text_bytes(&found)));
    qn__text_free(&found);
    const char *near_word = qn__parse_token(p)->kind == QN__TOKEN_NAME ? qn__suggest(word, words, 5) : NULL;
    if (near_word) qn__diagnostic_hint(d, "write '%s'", near_word);
    else if (qn__parse_type_word(word)) qn__diagnostic_hint(d, "a function is written 'fn f(x: f64) -> f64 = ...'");
    else qn__diagnostic_hint(d, "statements stand in a kernel: 'kernel name(x: f32[n]) -> z: f32[n] { ... }'");
    return QN__NO_NODE;
}

static qn__node_id parse_item(qn__parser *p) {
    switch (qn__parse_kind(p)) {
    case QN__TOKEN_IMPORT: return parse_import(p);
    case QN__TOKEN_CONST: return parse_const(p);
    case QN__TOKEN_EXTERN: return parse_extern(p);
    case QN__TOKEN_FN: return parse_function(p);
    case QN__TOKEN_KERNEL:
    case QN__TOKEN_AT: return parse_kernel(p);
    default: return parse_no_item(p);
    }
}

// To the next line that begins an item.
static void recover_item(qn__parser *p, uint32_t start) {
    uint32_t i = start;
    while (i < p->count - 1) {
        const qn__token *token = &p->tokens[i];
        bool word = token->kind == QN__TOKEN_KERNEL || token->kind == QN__TOKEN_FN || token->kind == QN__TOKEN_CONST ||
                    token->kind == QN__TOKEN_EXTERN || token->kind == QN__TOKEN_IMPORT || token->kind == QN__TOKEN_AT;
        if (i > start && i >= p->at && word && (token->flags & QN__TOKEN_NEWLINE)) break;
        bool opens = token->kind == QN__TOKEN_LEFT_PAREN || token->kind == QN__TOKEN_LEFT_SQUARE ||
                     token->kind == QN__TOKEN_LEFT_BRACE;
        i += opens ? token->value + 1 : 1;
    }
    p->at = i < p->count - 1 ? i : p->count - 1;
    p->failed = p->dead;
    p->parens = 0;
    p->depth = 0;
}

static void add_item(qn__parser *p, qn__node_id node, qn__node_id first) {
    qn__ast *ast = p->ast;
    qn__ast_item *items =
        qn__arena_grow(p->arena, ast->items, &ast->item_capacity, ast->item_count + 1, sizeof *items);
    if (!items) {
        p->dead = true;
        return;
    }
    ast->items = items;
    items[ast->item_count++] = (qn__ast_item){node, first};
}

void qn__parse_items(qn__parser *p) {
    while (!p->dead && qn__parse_kind(p) != QN__TOKEN_END) {
        if (qn__parse_accept(p, QN__TOKEN_SEMICOLON)) continue;
        uint32_t start = p->at;
        qn__node_id first = (qn__node_id)p->ast->node_count;
        qn__node_id node = parse_item(p);
        const qn__token *token = qn__parse_token(p);
        bool ends = (token->flags & QN__TOKEN_NEWLINE) || token->kind == QN__TOKEN_END || token->kind == QN__TOKEN_SEMICOLON;
        if (!p->failed && !ends) {
            qn__diagnostic *d =
                qn__parse_error(p, QN__DIAG_EXPECTED_END, qn__parse_span(p), QN__SAY(qn__parse_found(p)));
            qn__parse_hint_after(p, d, QN__TOKEN_END);
        }
        p->stack_count = 0;
        if (p->failed) recover_item(p, start);
        else if (node) add_item(p, node, first);
    }
}
