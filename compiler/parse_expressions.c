// Expressions: precedence climbing over the operator table of ast.def, calls, reductions, conditional values.
//
// A newline outside ( ) and [ ] ends an expression unless the next token cannot begin a statement (token.def's line
// column), so a '-', '(' or '[' at the start of a line belongs to the next statement.
#include <string.h>

#include "compiler/parser_state.h"

enum { NOT_PRECEDENCE = 3, COMPARISON_PRECEDENCE = 4 };

static qn__node_id error_node(qn__parser *p, uint32_t first) {
    return qn__parse_make(p, (qn__ast_node){.kind = QN__AST_ERROR}, first, NULL, 0);
}

// Words and signs of other languages where an operator was expected, and what to write.
static const struct { const char *word, *hint; } operator_words[] = {
    {"[", "all subscripts stand in one pair of brackets, as in 'a[i, j]'"},
    {"?", "a choice is written 'if condition { a } else { b }'"},
    {"if", "a choice is written 'if condition { a } else { b }'"},
    {".", "values have no members; the sizes of arrays are the names in the kernel's signature"},
    {"=", "compare with '=='"},
    {"mod", "the remainder is written '%'"},
    {"div", "'/' on integers truncates"},
    {"xor", "exclusive or is written '^'"},
    {"where", "'where' belongs to a reduction or keep with an index, as in 'sum(i: x[i] where x[i] > 0.0)'"},
    {"in", "an index and its range are followed by ':', as in 'sum(i in 0..n: x[i])'"},
};

static bool begins_statement(qn__token_kind kind) {
    return kind == QN__TOKEN_LET || kind == QN__TOKEN_VAR || kind == QN__TOKEN_LOOP || kind == QN__TOKEN_WHILE ||
           kind == QN__TOKEN_BREAK || kind == QN__TOKEN_CONTINUE || kind == QN__TOKEN_FOR;
}

void qn__parse_hint_after(qn__parser *p, qn__diagnostic *d, qn__token_kind expected) {
    const qn__token *token = qn__parse_token(p);
    if ((token->flags & QN__TOKEN_NEWLINE) && !p->parens) return;
    const char *text = qn__parse_spelling(p, token);
    bool value = token->kind == QN__TOKEN_NAME || token->kind == QN__TOKEN_INTEGER || token->kind == QN__TOKEN_FLOAT;
    if (expected == QN__TOKEN_LEFT_BRACE && token->kind != QN__TOKEN_ASSIGN && token->kind != QN__TOKEN_DOT) {
        qn__diagnostic_hint(d, "a block stands in '{ }'");
        return;
    }
    for (size_t i = 0; i < sizeof operator_words / sizeof *operator_words; i++) {
        if (strcmp(operator_words[i].word, text)) continue;
        qn__diagnostic_hint(d, "%s", operator_words[i].hint);
        return;
    }
    if (begins_statement((qn__token_kind)token->kind))
        qn__diagnostic_hint(d, "begin a new line, or write ';', before '%s'", text);
    else if (value) qn__diagnostic_hint(d, "an operator or a comma may be missing before '%s'", text);
}

// ---- Ranges ----

// NAME [in begin .. end]
qn__node_id qn__parse_range(qn__parser *p) {
    uint32_t first = p->at;
    qn__ast_node node = {.kind = QN__AST_RANGE};
    if (!qn__parse_name(p, &node, "an index")) return QN__NO_NODE;
    qn__node_id bounds[2] = {QN__NO_NODE, QN__NO_NODE};
    if (qn__parse_kind(p) == QN__TOKEN_ASSIGN) {
        qn__diagnostic *d =
            qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_span(p), QN__SAY("'in' and a range"), QN__SAY("'='"));
        qn__diagnostic_hint(d, "write '%s in 0..n'", qn__name_text(p->names, node.name));
    }
    if (qn__parse_accept(p, QN__TOKEN_IN)) {
        bool call = qn__parse_at_word(p, "range") && qn__parse_kind_after(p, 1) == QN__TOKEN_LEFT_PAREN;
        bounds[0] = qn__parse_expression(p);
        if (qn__parse_kind(p) != QN__TOKEN_RANGE && !p->failed) {
            qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_gap(p),
                                                QN__SAY("'..' and the end of the range"), QN__SAY(qn__parse_found(p)));
            if (call) qn__diagnostic_hint(d, "a range is written with '..', as in 'for i in 0..n'");
            else qn__diagnostic_hint(d, "a range is written 'a..b' and leaves b out, as in 'i in 0..n'");
        }
        qn__parse_accept(p, QN__TOKEN_RANGE);
        bounds[1] = qn__parse_expression(p);
    }
    return qn__parse_make(p, node, first, bounds, 2);
}

qn__node_id qn__parse_ranges(qn__parser *p) {
    uint32_t first = p->at;
    size_t base = p->stack_count;
    do qn__parse_push(p, qn__parse_range(p));
    while (qn__parse_accept(p, QN__TOKEN_COMMA));
    return qn__parse_list(p, base, first);
}

qn__node_id qn__parse_bounded_range(qn__parser *p, const char *statement) {
    qn__node_id range = qn__parse_range(p);
    if (p->failed || p->ast->children[p->ast->nodes[range].child_begin + QN__RANGE_BEGIN]) return range;
    const qn__ast_node *node = &p->ast->nodes[range];
    const char *name = qn__name_text(p->names, node->name);
    qn__diagnostic *d = qn__parse_error(p, QN__DIAG_RANGE_NEEDS_BOUNDS, node->span, QN__SAY(name));
    qn__diagnostic_hint(d, "write '%s %s in 0..n'", statement, name);
    return range;
}

// ---- Reductions ----

// A ':' stands directly inside the parentheses that open at token `open`.
static bool has_colon(const qn__parser *p, uint32_t open) {
    uint32_t close = open + p->tokens[open].value;
    for (uint32_t i = open + 1; i < close; i++) {
        uint8_t kind = p->tokens[i].kind;
        if (kind == QN__TOKEN_COLON) return true;
        bool opens = kind == QN__TOKEN_LEFT_PAREN || kind == QN__TOKEN_LEFT_SQUARE || kind == QN__TOKEN_LEFT_BRACE;
        if (opens) i += p->tokens[i].value;
    }
    return false;
}

static qn__node_id parse_where(qn__parser *p) {
    return qn__parse_accept(p, QN__TOKEN_WHERE) ? qn__parse_expression(p) : QN__NO_NODE;
}

static void close_reduction(qn__parser *p, const char *name) {
    qn__text where = QN__TEXT_EMPTY;
    qn__text_format(&where, "at the end of '%s'", name);
    qn__parse_expect(p, QN__TOKEN_RIGHT_PAREN, qn__text_bytes(&where));
    qn__text_free(&where);
}

// ranges : value [where condition]
static qn__node_id parse_reduction(qn__parser *p, qn__ast_node node, uint32_t first, const char *name) {
    qn__node_id children[3];
    children[QN__REDUCTION_RANGES] = qn__parse_ranges(p);
    qn__parse_expect(p, QN__TOKEN_COLON, "after the indices");
    children[QN__REDUCTION_VALUE] = qn__parse_expression(p);
    children[QN__REDUCTION_WHERE] = parse_where(p);
    close_reduction(p, name);
    return qn__parse_make(p, node, first, children, 3);
}

// ranges : values [where condition]
static qn__node_id parse_keep(qn__parser *p, uint32_t first) {
    qn__node_id children[3];
    children[QN__KEEP_RANGES] = qn__parse_ranges(p);
    qn__parse_expect(p, QN__TOKEN_COLON, "after the indices");
    size_t base = p->stack_count;
    uint32_t values = p->at;
    do qn__parse_push(p, qn__parse_expression(p));
    while (qn__parse_accept(p, QN__TOKEN_COMMA));
    children[QN__KEEP_VALUES] = qn__parse_list(p, base, values);
    children[QN__KEEP_WHERE] = parse_where(p);
    close_reduction(p, "keep");
    return qn__parse_make(p, (qn__ast_node){.kind = QN__AST_KEEP}, first, children, 3);
}

// function, init, ranges : value [where condition]
static qn__node_id parse_reduce(qn__parser *p, uint32_t first) {
    qn__ast_node node = {.kind = QN__AST_REDUCE};
    qn__node_id children[4] = {0};
    qn__parse_name(p, &node, "the combining function");
    qn__parse_expect(p, QN__TOKEN_COMMA, "after the combining function");
    bool no_init = qn__parse_kind(p) == QN__TOKEN_NAME && (qn__parse_kind_after(p, 1) == QN__TOKEN_COLON ||
                                                           qn__parse_kind_after(p, 1) == QN__TOKEN_IN);
    if (no_init) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_span(p),
                                            QN__SAY("the neutral element of the function"), QN__SAY(qn__parse_found(p)));
        qn__diagnostic_hint(d, "write 'reduce(%s, neutral, i: value)'", qn__name_text(p->names, node.name));
    }
    children[QN__REDUCE_INIT] = qn__parse_expression(p);
    qn__parse_expect(p, QN__TOKEN_COMMA, "after the neutral element");
    children[QN__REDUCE_RANGES] = qn__parse_ranges(p);
    qn__parse_expect(p, QN__TOKEN_COLON, "after the indices");
    children[QN__REDUCE_VALUE] = qn__parse_expression(p);
    children[QN__REDUCE_WHERE] = parse_where(p);
    close_reduction(p, "reduce");
    return qn__parse_make(p, node, first, children, 4);
}

// function [, init], range : value
static qn__node_id parse_scan(qn__parser *p, uint32_t first, bool exclusive) {
    qn__ast_node node = {.kind = QN__AST_SCAN, .flags = exclusive ? QN__AST_EXCLUSIVE : 0};
    qn__node_id children[3] = {0};
    qn__parse_name(p, &node, "the combining function");
    if (qn__parse_kind(p) == QN__TOKEN_COLON || qn__parse_kind(p) == QN__TOKEN_IN) {
        const char *index = qn__name_text(p->names, node.name);
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_span_from(p, first + 2),
                                            QN__SAY("the combining function"), QN__SAY("an index"));
        qn__diagnostic_hint(d, "write '%s(sum, %s: ...)'", exclusive ? "exscan" : "scan", index);
    }
    qn__parse_expect(p, QN__TOKEN_COMMA, "after the combining function");
    bool range = qn__parse_kind(p) == QN__TOKEN_NAME && (qn__parse_kind_after(p, 1) == QN__TOKEN_COLON ||
                                                         qn__parse_kind_after(p, 1) == QN__TOKEN_IN);
    if (!range) {
        children[QN__SCAN_INIT] = qn__parse_expression(p);
        qn__parse_expect(p, QN__TOKEN_COMMA, "after the neutral element");
    }
    children[QN__SCAN_RANGE] = qn__parse_range(p);
    qn__parse_expect(p, QN__TOKEN_COLON, "after the index");
    children[QN__SCAN_VALUE] = qn__parse_expression(p);
    close_reduction(p, exclusive ? "exscan" : "scan");
    return qn__parse_make(p, node, first, children, 3);
}

// NAME ( ... : ... ), when the name is one of the reductions; else QN__AST_KINDS.
static qn__ast_kind reduction_kind(const char *name, uint8_t *op) {
    for (int i = 0; i < QN__REDUCTION_OPS; i++) {
        if (strcmp(qn__ast_reduction_text((qn__ast_reduction)i), name)) continue;
        *op = (uint8_t)i;
        return QN__AST_REDUCTION;
    }
    if (!strcmp(name, "reduce")) return QN__AST_REDUCE;
    if (!strcmp(name, "keep")) return QN__AST_KEEP;
    if (!strcmp(name, "scan") || !strcmp(name, "exscan")) return QN__AST_SCAN;
    return QN__AST_KINDS;
}

// ---- Primaries ----

static qn__node_id parse_arguments(qn__parser *p, qn__ast_node node, uint32_t first) {
    size_t base = p->stack_count;
    if (qn__parse_kind(p) != QN__TOKEN_RIGHT_PAREN) {
        do qn__parse_push(p, qn__parse_expression(p));
        while (qn__parse_accept(p, QN__TOKEN_COMMA));
    }
    qn__parse_expect(p, QN__TOKEN_RIGHT_PAREN, "after the arguments");
    size_t count = p->stack_count - base;
    qn__node_id id = qn__parse_make(p, node, first, p->stack ? p->stack + base : NULL, count);
    p->stack_count = base;
    return id;
}

static qn__node_id parse_call(qn__parser *p, qn__ast_node node, uint32_t first) {
    const char *name = qn__name_text(p->names, node.name);
    qn__ast_kind kind = reduction_kind(name, &node.op);
    bool reduction = kind != QN__AST_KINDS && has_colon(p, p->at);
    qn__parse_advance(p);
    p->parens++;
    qn__node_id id;
    if (reduction && kind == QN__AST_REDUCTION) {
        node.kind = QN__AST_REDUCTION;
        id = parse_reduction(p, node, first, name);
    } else if (reduction && kind == QN__AST_REDUCE) {
        id = parse_reduce(p, first);
    } else if (reduction && kind == QN__AST_KEEP) {
        id = parse_keep(p, first);
    } else if (reduction) {
        id = parse_scan(p, first, name[0] == 'e');
    } else {
        node.kind = QN__AST_CALL;
        node.op = 0;
        id = parse_arguments(p, node, first);
    }
    p->parens--;
    return id;
}

static qn__node_id parse_subscripts(qn__parser *p, qn__ast_node node, uint32_t first) {
    qn__parse_advance(p);
    p->parens++;
    node.kind = QN__AST_INDEX;
    size_t base = p->stack_count;
    do qn__parse_push(p, qn__parse_expression(p));
    while (qn__parse_accept(p, QN__TOKEN_COMMA));
    if (qn__parse_kind(p) == QN__TOKEN_COLON || qn__parse_kind(p) == QN__TOKEN_RANGE) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_UNEXPECTED_TOKEN, qn__parse_span(p), QN__SAY(qn__parse_found(p)));
        qn__diagnostic_hint(d, "there are no slices: name an index and give its range, as in 'z[i] = x[i] for i in a..b'");
    }
    qn__parse_expect(p, QN__TOKEN_RIGHT_SQUARE, "after the subscripts");
    size_t count = p->stack_count - base;
    qn__node_id id = qn__parse_make(p, node, first, p->stack ? p->stack + base : NULL, count);
    p->stack_count = base;
    p->parens--;
    return id;
}

static qn__node_id parse_name_or_call(qn__parser *p) {
    uint32_t first = p->at;
    qn__ast_node node = {.kind = QN__AST_NAME};
    qn__parse_name(p, &node, "a value");
    if (qn__parse_kind(p) == QN__TOKEN_LEFT_PAREN && !qn__parse_newline(p)) return parse_call(p, node, first);
    if (qn__parse_kind(p) == QN__TOKEN_LEFT_SQUARE && !qn__parse_newline(p)) return parse_subscripts(p, node, first);
    return qn__parse_make(p, node, first, NULL, 0);
}

static qn__node_id parse_number(qn__parser *p) {
    uint32_t first = p->at;
    const qn__token *token = qn__parse_token(p);
    qn__number number = qn__read_number(p->source->text + token->begin, token->end - token->begin);
    qn__ast_node node = {.kind = token->kind == QN__TOKEN_FLOAT ? QN__AST_FLOAT : QN__AST_INTEGER};
    if (number.overflow) node.flags |= QN__AST_OVERFLOW;
    if (node.kind == QN__AST_FLOAT) node.value.real = number.real;
    else node.value.integer = number.integer;
    qn__parse_advance(p);
    return qn__parse_make(p, node, first, NULL, 0);
}

static qn__node_id parse_parentheses(qn__parser *p) {
    qn__parse_advance(p);
    p->parens++;
    qn__node_id inner = qn__parse_expression(p);
    if (qn__parse_kind(p) == QN__TOKEN_COMMA) {
        qn__diagnostic *d =
            qn__parse_error(p, QN__DIAG_UNEXPECTED_TOKEN, qn__parse_span(p), QN__SAY("',' in parentheses"));
        qn__diagnostic_hint(d, "several values are written without parentheses: 'x, y = y, x'");
    }
    qn__parse_expect(p, QN__TOKEN_RIGHT_PAREN, "after the expression");
    p->parens--;
    if (inner && !p->dead) p->ast->nodes[inner].flags |= QN__AST_PARENTHESES;
    return inner;
}

static qn__node_id parse_no_expression(qn__parser *p, uint32_t first) {
    qn__token_kind kind = (qn__token_kind)qn__parse_token(p)->kind;
    qn__diagnostic *d =
        qn__parse_error(p, QN__DIAG_EXPECTED_EXPRESSION, qn__parse_gap(p), QN__SAY(qn__parse_found(p)));
    if (kind == QN__TOKEN_PLUS) qn__diagnostic_hint(d, "there is no unary '+': delete it");
    else if (kind == QN__TOKEN_LEFT_SQUARE)
        qn__diagnostic_hint(d, "there are no array literals: declare 'var w: f32[3]' and assign its elements");
    else if (kind == QN__TOKEN_STRING) qn__diagnostic_hint(d, "strings are only for the path of an import");
    else if (kind == QN__TOKEN_ASSIGN) qn__diagnostic_hint(d, "compare with '=='");
    return error_node(p, first);
}

static qn__node_id parse_primary(qn__parser *p) {
    uint32_t first = p->at;
    switch (qn__parse_kind(p)) {
    case QN__TOKEN_NAME: return parse_name_or_call(p);
    case QN__TOKEN_INTEGER:
    case QN__TOKEN_FLOAT: return parse_number(p);
    case QN__TOKEN_TRUE:
    case QN__TOKEN_FALSE: {
        qn__ast_node node = {.kind = QN__AST_BOOLEAN, .value.integer = qn__parse_kind(p) == QN__TOKEN_TRUE};
        qn__parse_advance(p);
        return qn__parse_make(p, node, first, NULL, 0);
    }
    case QN__TOKEN_LEFT_PAREN: return parse_parentheses(p);
    case QN__TOKEN_LEFT_BRACE: return qn__parse_block_value(p, "the block");
    case QN__TOKEN_IF: return qn__parse_if(p, QN__LEVEL_POINT, true);
    default: return parse_no_expression(p, first);
    }
}

// ---- Operators ----

static qn__node_id parse_operand(qn__parser *p);

static qn__node_id parse_prefix(qn__parser *p, qn__ast_unary op) {
    uint32_t first = p->at;
    if (!qn__parse_deeper(p)) return error_node(p, first);
    qn__parse_advance(p);
    qn__node_id operand = parse_operand(p);
    p->depth--;
    qn__ast_node node = {.kind = QN__AST_UNARY, .op = (uint8_t)op};
    return qn__parse_make(p, node, first, &operand, 1);
}

static qn__node_id parse_operand(qn__parser *p) {
    if (qn__parse_kind(p) == QN__TOKEN_MINUS) return parse_prefix(p, QN__UNARY_OP_NEGATE);
    if (qn__parse_kind(p) == QN__TOKEN_TILDE) return parse_prefix(p, QN__UNARY_OP_COMPLEMENT);
    if (qn__parse_kind(p) == QN__TOKEN_NOT) {
        qn__diagnostic *d =
            qn__parse_error(p, QN__DIAG_EXPECTED_EXPRESSION, qn__parse_span(p), QN__SAY("'not'"));
        qn__diagnostic_hint(d, "'not' binds weaker than this operator: write '(not ...)'");
        return error_node(p, p->at);
    }
    return parse_primary(p);
}

// The binary operator at the current token; QN__BINARY_OPS when there is none that continues the expression.
static qn__ast_binary binary_operator(qn__parser *p) {
    qn__token_kind kind = qn__parse_kind(p);
    if (qn__parse_newline(p) && !(qn__token_line(kind) & QN__LINE_FOLLOWS)) return QN__BINARY_OPS;
    bool word = kind == QN__TOKEN_AND || kind == QN__TOKEN_OR;
    if (word && qn__parse_kind_after(p, 1) == QN__TOKEN_ASSIGN) return QN__BINARY_OPS;  // and=, or=
    if (!word && qn__token_sort_of(kind) != QN__SORT_OPERATOR) return QN__BINARY_OPS;
    const char *text = qn__token_text(kind);
    int op = 0;
    for (; op < QN__BINARY_OPS; op++) {
        const char *candidate = qn__ast_binary_text((qn__ast_binary)op);
        if (candidate[0] == text[0] && !strcmp(candidate, text)) break;
    }
    return (qn__ast_binary)op;
}

static const char *source_text(qn__parser *p, qn__node_id id) {
    qn__span span = p->ast->nodes[id].span;
    size_t length = span.end - span.begin;
    if (!id || length > 40 || memchr(p->source->text + span.begin, '\n', length)) return "...";
    const char *copy = qn__arena_copy_string(p->arena, p->source->text + span.begin, length);
    return copy ? copy : "...";
}

static qn__node_id parse_binary(qn__parser *p, int least);

// a < b < c, with the operator of the second comparison at the current token.
static void report_chain(qn__parser *p, qn__ast_binary first_op, qn__node_id left, qn__node_id right) {
    const char *second = qn__parse_spelling(p, qn__parse_token(p)), *middle = source_text(p, right);
    qn__span span = qn__parse_span(p);
    qn__parse_advance(p);
    qn__node_id last = parse_binary(p, COMPARISON_PRECEDENCE + 1);
    if (p->failed) return;
    qn__diagnostic *d = qn__parse_error(p, QN__DIAG_CHAINED_COMPARISON, span);
    qn__diagnostic_hint(d, "write '%s %s %s and %s %s %s'", source_text(p, left), qn__ast_binary_text(first_op), middle,
                        middle, second, source_text(p, last));
}

static qn__node_id parse_left(qn__parser *p, int least) {
    if (qn__parse_kind(p) != QN__TOKEN_NOT || least > NOT_PRECEDENCE) return parse_operand(p);
    uint32_t first = p->at;
    if (!qn__parse_deeper(p)) return error_node(p, first);
    qn__parse_advance(p);
    qn__node_id operand = parse_binary(p, NOT_PRECEDENCE);
    p->depth--;
    qn__ast_node node = {.kind = QN__AST_UNARY, .op = QN__UNARY_OP_NOT};
    return qn__parse_make(p, node, first, &operand, 1);
}

static qn__node_id parse_binary(qn__parser *p, int least) {
    uint32_t first = p->at;
    qn__node_id left = parse_left(p, least);
    for (;;) {
        qn__ast_binary op = binary_operator(p);
        if (op == QN__BINARY_OPS) return left;
        int precedence = qn__ast_binary_precedence(op);
        if (precedence < least) return left;
        qn__parse_advance(p);
        qn__node_id right = parse_binary(p, precedence + 1);
        if (precedence == COMPARISON_PRECEDENCE) {
            qn__ast_binary next = binary_operator(p);
            if (next != QN__BINARY_OPS && qn__ast_binary_precedence(next) == COMPARISON_PRECEDENCE)
                report_chain(p, op, left, right);
        }
        if (op == QN__BINARY_OP_REMAINDER) qn__names_intern_text(p->names, "fmod");  // loads the prelude's, for floats
        qn__ast_node node = {.kind = QN__AST_BINARY, .op = (uint8_t)op};
        left = qn__parse_make(p, node, first, (qn__node_id[]){left, right}, 2);
    }
}

qn__node_id qn__parse_expression(qn__parser *p) {
    if (p->failed) return QN__NO_NODE;
    return parse_binary(p, 0);
}

// ---- if ----

static void report_no_value(qn__parser *p, qn__span block, qn__span other) {
    block.begin = block.end - 1;
    qn__diagnostic *d = qn__parse_complain(p, QN__DIAG_MISSING_VALUE, block);
    if (other.file) qn__diagnostic_note(d, other, "the other branch has this value");
    qn__diagnostic_hint(d, "write the value as the last line of the block");
}

typedef struct branch {
    qn__node_id block, results;  // results: LIST or 0
    bool broken;                 // errors were reported inside, or in the other branch
} branch;

static qn__node_id branch_value(qn__parser *p, branch b) {
    if (p->dead) return QN__NO_NODE;
    qn__ast_node node = {.kind = QN__AST_BLOCK_VALUE, .span = p->ast->nodes[b.block].span};
    qn__node_id id = qn__ast_add(p->ast, node, (qn__node_id[]){b.block, b.results}, 2);
    if (!id) p->dead = p->failed = true;
    return id;
}

static void report_no_else(qn__parser *p, uint32_t first, const branch *then_branch) {
    qn__span place = qn__parse_span_from(p, first);
    place.end = p->tokens[first].end;
    qn__diagnostic *d = qn__parse_complain(p, QN__DIAG_MISSING_ELSE, place);
    if (then_branch->results)
        qn__diagnostic_note(d, p->ast->nodes[then_branch->results].span, "the value when it is true");
    qn__diagnostic_hint(d, "write 'else { ... }' with the value when it is false");
}

// Both branches are known: makes the value or the statement, or complains that only one has a value.
static qn__node_id finish_if(qn__parser *p, uint32_t first, qn__node_id condition, branch then_branch, branch else_branch,
                             qn__node_id else_node, bool value_needed) {
    bool else_value = else_branch.results || (else_node && p->ast->nodes[else_node].kind == QN__AST_IF_VALUE);
    bool any = then_branch.results || else_value || value_needed;
    qn__node_id else_id = else_node ? else_node : else_branch.block;
    qn__node_id children[3] = {condition, then_branch.block, else_id};
    if (!any || p->failed || then_branch.broken)
        return qn__parse_make(p, (qn__ast_node){.kind = value_needed ? QN__AST_ERROR : QN__AST_IF}, first, children,
                              value_needed ? 0 : 3);
    qn__span none = QN__NO_SPAN;
    qn__span else_span = else_branch.results ? p->ast->nodes[else_branch.results].span : none;
    if (!then_branch.results) {
        report_no_value(p, p->ast->nodes[then_branch.block].span, else_span);
    } else if (!else_id) {
        report_no_else(p, first, &then_branch);
    } else if (!else_value) {
        report_no_value(p, p->ast->nodes[else_id].span, p->ast->nodes[then_branch.results].span);
    } else {
        children[1] = branch_value(p, then_branch);
        if (!else_node) children[2] = branch_value(p, else_branch);
        return qn__parse_make(p, (qn__ast_node){.kind = QN__AST_IF_VALUE}, first, children, 3);
    }
    if (value_needed) return error_node(p, first);
    return qn__parse_make(p, (qn__ast_node){.kind = QN__AST_IF}, first, children, 3);
}

qn__node_id qn__parse_if(qn__parser *p, qn__level level, bool value_needed) {
    uint32_t first = p->at;
    if (!qn__parse_deeper(p)) return error_node(p, first);
    qn__parse_advance(p);
    branch then_branch = {0}, else_branch = {0};
    size_t errors = p->sink->errors;
    qn__node_id else_node = QN__NO_NODE;
    bool values = level == QN__LEVEL_POINT;
    qn__node_id condition = qn__parse_expression(p);
    then_branch.block = qn__parse_block(p, level, values ? &then_branch.results : NULL);
    if (qn__parse_accept(p, QN__TOKEN_ELSE)) {
        if (qn__parse_kind(p) == QN__TOKEN_IF) else_node = qn__parse_if(p, level, value_needed);
        else else_branch.block = qn__parse_block(p, level, values ? &else_branch.results : NULL);
    }
    p->depth--;
    then_branch.broken = p->sink->errors != errors;
    return finish_if(p, first, condition, then_branch, else_branch, else_node, value_needed);
}
