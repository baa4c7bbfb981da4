// Statements and blocks, at the two levels: a kernel's stages, and the computation at one point.
//
// Each statement begins at the block's nesting level; after an error the block goes on at the next line of that level.
#include <string.h>

#include "compiler/parser_state.h"

typedef struct block_state {
    qn__level level;
    uint32_t close;         // token index of the '}'
    qn__node_id *results;   // where the value of the last line goes; NULL when the block has none
} block_state;

static qn__node_id make(qn__parser *p, qn__ast_kind kind, uint32_t first, const qn__node_id *children, size_t count) {
    return qn__parse_make(p, (qn__ast_node){.kind = (uint8_t)kind}, first, children, count);
}

static qn__node_id expression_list(qn__parser *p) {
    uint32_t first = p->at;
    size_t base = p->stack_count;
    do qn__parse_push(p, qn__parse_expression(p));
    while (qn__parse_accept(p, QN__TOKEN_COMMA));
    return qn__parse_list(p, base, first);
}

// ---- Assignments ----

// The assignment operator at the current token and how many tokens it takes; QN__ASSIGN_OPS when there is none.
static qn__ast_assign assign_operator(qn__parser *p, uint32_t *tokens) {
    *tokens = 1;
    qn__token_kind kind = qn__parse_kind(p);
    bool pair = qn__parse_kind_after(p, 1) == QN__TOKEN_ASSIGN;
    if (pair && (kind == QN__TOKEN_AND || kind == QN__TOKEN_OR)) {
        *tokens = 2;
        return kind == QN__TOKEN_AND ? QN__ASSIGN_OP_AND : QN__ASSIGN_OP_OR;
    }
    if (pair && !qn__parse_newline(p) && (qn__parse_at_word(p, "min") || qn__parse_at_word(p, "max"))) {
        *tokens = 2;
        return qn__parse_at_word(p, "min") ? QN__ASSIGN_OP_MIN : QN__ASSIGN_OP_MAX;
    }
    if (qn__token_sort_of(kind) != QN__SORT_OPERATOR) return QN__ASSIGN_OPS;
    const char *text = qn__token_text(kind);
    int op = 0;
    while (op < QN__ASSIGN_OPS && strcmp(qn__ast_assign_text((qn__ast_assign)op), text)) op++;
    return (qn__ast_assign)op;
}

static const char *describe(qn__ast_kind kind) {
    switch (qn__ast_class_of(kind)) {
    case QN__NODE_CLASS_ITEM:
    case QN__NODE_CLASS_PART:
    case QN__NODE_CLASS_STATEMENT: return "this";
    case QN__NODE_CLASS_EXPRESSION: break;
    }
    if (kind == QN__AST_CALL) return "a call";
    if (kind == QN__AST_INTEGER || kind == QN__AST_FLOAT || kind == QN__AST_BOOLEAN) return "a literal";
    return "an expression";
}

static void check_targets(qn__parser *p, qn__node_id targets) {
    if (p->dead) return;
    for (uint32_t i = 0; i < qn__ast_count(p->ast, targets); i++) {
        const qn__ast_node *target = &p->ast->nodes[qn__ast_child(p->ast, targets, i)];
        bool place = target->kind == QN__AST_NAME || target->kind == QN__AST_INDEX || target->kind == QN__AST_ERROR;
        if (place && !(target->flags & QN__AST_PARENTHESES)) continue;
        qn__diagnostic *d = qn__parse_complain(p, QN__DIAG_NOT_ASSIGNABLE, target->span,
                                               QN__SAY(place ? "a name in parentheses" : describe((qn__ast_kind)target->kind)));
        if (place) qn__diagnostic_hint(d, "delete the parentheses");
        else qn__diagnostic_expected(d, "a name or an array element, such as 'z' or 'z[i]'");
    }
}

// True when the 'for' at the start of this line heads a block, false when it is the domain of the line before.
static bool for_has_block(const qn__parser *p) {
    for (uint32_t i = p->at + 1; i < p->count; i++) {
        const qn__token *token = &p->tokens[i];
        bool goes_on = (qn__token_line((qn__token_kind)token->kind) & QN__LINE_FOLLOWS) ||
                       (qn__token_line((qn__token_kind)p->tokens[i - 1].kind) & QN__LINE_LEADS);
        if (token->kind == QN__TOKEN_LEFT_BRACE) return true;
        if ((token->flags & QN__TOKEN_NEWLINE) && !goes_on) return false;
        bool ends = token->kind == QN__TOKEN_ELSE || token->kind == QN__TOKEN_SEMICOLON ||
                    token->kind == QN__TOKEN_RIGHT_BRACE || token->kind == QN__TOKEN_END;
        if (ends) return false;
        if (token->kind == QN__TOKEN_LEFT_PAREN || token->kind == QN__TOKEN_LEFT_SQUARE) i += token->value;
    }
    return false;
}

// [for ranges] [else expr] after an assignment at kernel level.
static void parse_domain(qn__parser *p, qn__node_id *domain, qn__node_id *otherwise) {
    *domain = *otherwise = QN__NO_NODE;
    bool here = qn__parse_kind(p) == QN__TOKEN_FOR && !(qn__parse_newline(p) && for_has_block(p));
    if (here) {
        qn__parse_advance(p);
        *domain = qn__parse_ranges(p);
        if (qn__parse_kind(p) == QN__TOKEN_LEFT_BRACE && !qn__parse_newline(p)) {
            qn__diagnostic *d =
                qn__parse_error(p, QN__DIAG_EXPECTED_END, qn__parse_span(p), QN__SAY("'{'"));
            qn__diagnostic_hint(d, "a domain after an assignment has no block; write the 'for' with its block on a line of its own");
        }
    }
    if (qn__parse_accept(p, QN__TOKEN_ELSE)) *otherwise = qn__parse_expression(p);
}

static qn__node_id parse_assignment(qn__parser *p, qn__level level, qn__node_id targets, uint32_t first,
                                    qn__ast_assign op, uint32_t op_tokens) {
    check_targets(p, targets);
    while (op_tokens-- > 0) qn__parse_advance(p);
    qn__node_id children[4] = {0};
    children[QN__ASSIGN_TARGETS] = targets;
    children[QN__ASSIGN_VALUES] = expression_list(p);
    if (level == QN__LEVEL_KERNEL) {
        parse_domain(p, &children[QN__ASSIGN_DOMAIN], &children[QN__ASSIGN_ELSE]);
    } else if (qn__parse_kind(p) == QN__TOKEN_FOR && !qn__parse_newline(p)) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_WRONG_PLACE, qn__parse_span(p), QN__SAY("for"),
                                            QN__SAY("after an assignment inside a block of a point"));
        qn__diagnostic_hint(d, "a loop is written 'for i in a..b { ... }', before the statements it repeats");
    }
    return qn__parse_make(p, (qn__ast_node){.kind = QN__AST_ASSIGN, .op = (uint8_t)op}, first, children, 4);
}

// A value that nobody takes.
static void report_unused(qn__parser *p, qn__node_id list, qn__level level) {
    if (p->failed) return;
    const qn__ast_node *node = &p->ast->nodes[qn__ast_child(p->ast, list, 0)];
    if (node->kind == QN__AST_ERROR) return;
    qn__diagnostic *d = qn__parse_complain(p, QN__DIAG_VALUE_UNUSED, p->ast->nodes[list].span);
    const char *name = qn__name_text(p->names, node->name);
    if (node->kind == QN__AST_BINARY && node->op == QN__BINARY_OP_EQUAL)
        qn__diagnostic_hint(d, "'==' compares; to assign write '='");
    else if (node->kind == QN__AST_CALL && !strcmp(name, "swap"))
        qn__diagnostic_hint(d, "swap exchanges arrays between stages; here write 'a, b = b, a'");
    else if (level == QN__LEVEL_KERNEL)
        qn__diagnostic_hint(d, "assign it to an output, as in 'z[i] = ...'");
    else if (node->kind == QN__AST_CALL)
        qn__diagnostic_hint(d, "functions have no effects beside their values: write 'let x = %s(...)'", name);
    else
        qn__diagnostic_hint(d, "only the last line of a block that is a value gives one; otherwise assign it");
}

// Targets and an operator, or values. `given`: a first expression that was parsed already, or 0.
static qn__node_id parse_simple(qn__parser *p, const block_state *block, qn__node_id given, uint32_t first) {
    size_t base = p->stack_count;
    qn__parse_push(p, given ? given : qn__parse_expression(p));
    while (qn__parse_accept(p, QN__TOKEN_COMMA)) qn__parse_push(p, qn__parse_expression(p));
    qn__node_id list = qn__parse_list(p, base, first);
    if (p->failed) return QN__NO_NODE;
    uint32_t op_tokens;
    qn__ast_assign op = assign_operator(p, &op_tokens);
    if (op != QN__ASSIGN_OPS) return parse_assignment(p, block->level, list, first, op, op_tokens);
    bool ends = p->at == block->close || (qn__parse_token(p)->flags & QN__TOKEN_NEWLINE) ||
                qn__parse_kind(p) == QN__TOKEN_SEMICOLON;
    if (!ends) return list;  // the caller reports what follows
    if (block->results && p->at == block->close) *block->results = list;
    else report_unused(p, list, block->level);
    return QN__NO_NODE;
}

// ---- let, var ----

static qn__node_id binding(qn__parser *p, const char *of) {
    uint32_t first = p->at;
    qn__ast_node node = {.kind = QN__AST_BINDING};
    if (!qn__parse_name(p, &node, of)) return QN__NO_NODE;
    return qn__parse_make(p, node, first, NULL, 0);
}

static qn__node_id bindings(qn__parser *p, const char *of) {
    uint32_t first = p->at;
    size_t base = p->stack_count;
    do qn__parse_push(p, binding(p, of));
    while (qn__parse_accept(p, QN__TOKEN_COMMA));
    return qn__parse_list(p, base, first);
}

static qn__node_id optional_type(qn__parser *p) {
    return qn__parse_accept(p, QN__TOKEN_COLON) ? qn__parse_type(p) : QN__NO_NODE;
}

// let NAME[i, j] [: type] = value [for ranges] [else expr], at the '['.
static qn__node_id parse_let_array(qn__parser *p, qn__level level, qn__node_id name, uint32_t first) {
    qn__ast_node node = {.kind = QN__AST_LET_ARRAY, .name = p->ast->nodes[name].name,
                         .name_begin = p->ast->nodes[name].name_begin};
    const char *text = qn__name_text(p->names, node.name);
    if (level == QN__LEVEL_POINT) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_UNEXPECTED_TOKEN, qn__parse_span(p), QN__SAY("'['"));
        qn__diagnostic_hint(d, "a local array has a constant size: write 'var %s: f32[9]'", text);
        return QN__NO_NODE;
    }
    qn__node_id children[5] = {0};
    qn__parse_advance(p);
    p->parens++;
    children[QN__LET_ARRAY_INDICES] = bindings(p, "an index");
    qn__parse_expect(p, QN__TOKEN_RIGHT_SQUARE, "after the indices");
    p->parens--;
    children[QN__LET_ARRAY_TYPE] = optional_type(p);
    qn__parse_expect(p, QN__TOKEN_ASSIGN, "and the elements of the array");
    children[QN__LET_ARRAY_VALUE] = qn__parse_expression(p);
    parse_domain(p, &children[QN__LET_ARRAY_DOMAIN], &children[QN__LET_ARRAY_ELSE]);
    return qn__parse_make(p, node, first, children, 5);
}

static void report_no_initial(qn__parser *p, qn__node_id name, qn__level level, const char *word) {
    const char *text = qn__name_text(p->names, p->ast->nodes[name].name);
    if (qn__parse_kind(p) == QN__TOKEN_NAME && !qn__parse_newline(p)) {
        const char *next = qn__parse_spelling(p, qn__parse_token(p));
        qn__diagnostic *d =
            qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_span(p), QN__SAY("'='"), QN__SAY(qn__parse_found(p)));
        if (!strcmp(text, "mut")) qn__diagnostic_hint(d, "a variable that changes is declared with 'var %s'", next);
        else if (qn__parse_type_word(text))
            qn__diagnostic_hint(d, "the name comes before the type: write '%s %s: %s'", word, next, qn__parse_type_word(text));
        else if (qn__parse_type_word(next)) qn__diagnostic_hint(d, "write '%s %s: %s'", word, text, next);
        return;
    }
    qn__diagnostic *d = qn__parse_error(p, QN__DIAG_MISSING_INITIAL, p->ast->nodes[name].span, QN__SAY(text));
    if (!strcmp(word, "var")) qn__diagnostic_hint(d, "write 'var %s = 0.0', or give it a type: 'var %s: f32'", text, text);
    else if (level == QN__LEVEL_KERNEL)
        qn__diagnostic_hint(d, "write 'let %s = ...', or 'let %s: f32[n]' for an array that is assigned later", text, text);
    else qn__diagnostic_hint(d, "write 'let %s = ...', or 'var %s: f32' when it is assigned later", text, text);
}

static qn__node_id parse_let(qn__parser *p, qn__level level) {
    uint32_t first = p->at;
    qn__parse_advance(p);
    qn__node_id children[3] = {0};
    children[QN__LET_NAMES] = bindings(p, "a value");
    if (p->failed) return QN__NO_NODE;
    qn__node_id name = qn__ast_child(p->ast, children[QN__LET_NAMES], 0);
    bool single = qn__ast_count(p->ast, children[QN__LET_NAMES]) == 1;
    if (single && qn__parse_kind(p) == QN__TOKEN_LEFT_SQUARE && !qn__parse_newline(p))
        return parse_let_array(p, level, name, first);
    children[QN__LET_TYPE] = optional_type(p);
    if (p->failed) return QN__NO_NODE;
    if (qn__parse_kind(p) == QN__TOKEN_ASSIGN) {
        qn__parse_advance(p);
        children[QN__LET_VALUES] = expression_list(p);
        return make(p, QN__AST_LET, first, children, 3);
    }
    if (single && children[QN__LET_TYPE] && level == QN__LEVEL_KERNEL) {
        qn__ast_node node = {.kind = QN__AST_LET_DECLARE, .name = p->ast->nodes[name].name,
                             .name_begin = p->ast->nodes[name].name_begin};
        return qn__parse_make(p, node, first, &children[QN__LET_TYPE], 1);
    }
    report_no_initial(p, name, level, "let");
    return QN__NO_NODE;
}

static qn__node_id parse_var(qn__parser *p, qn__level level) {
    uint32_t first = p->at;
    if (level == QN__LEVEL_KERNEL) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_WRONG_PLACE, qn__parse_span(p), QN__SAY("var"),
                                            QN__SAY("between the stages of a kernel"));
        qn__diagnostic_hint(d, "use 'let' here; 'var' is for the block of a point, as in 'z[i] = { var s = 0.0 ... }'");
        return QN__NO_NODE;
    }
    qn__parse_advance(p);
    qn__node_id name = binding(p, "a variable");
    if (p->failed) return QN__NO_NODE;
    qn__ast_node node = {.kind = QN__AST_VAR, .name = p->ast->nodes[name].name,
                         .name_begin = p->ast->nodes[name].name_begin};
    if (qn__parse_kind(p) == QN__TOKEN_COMMA) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_UNEXPECTED_TOKEN, qn__parse_span(p), QN__SAY("','"));
        qn__diagnostic_hint(d, "one 'var' declares one variable: write 'var x = 0.0; var y = 0.0'");
    }
    qn__node_id children[2] = {0};
    children[QN__VAR_TYPE] = optional_type(p);
    if (qn__parse_accept(p, QN__TOKEN_ASSIGN)) children[QN__VAR_VALUE] = qn__parse_expression(p);
    else if (!children[QN__VAR_TYPE] && !p->failed) report_no_initial(p, name, level, "var");
    return qn__parse_make(p, node, first, children, 2);
}

// ---- Loops, swap ----

static qn__node_id parse_for(qn__parser *p, qn__level level) {
    uint32_t first = p->at;
    qn__parse_advance(p);
    if (qn__parse_kind(p) == QN__TOKEN_LEFT_PAREN) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_NAME, qn__parse_span(p), QN__SAY("an index"), QN__SAY("'('"));
        qn__diagnostic_hint(d, "write 'for i in 0..n { ... }'");
        return QN__NO_NODE;
    }
    qn__node_id children[2];
    if (level == QN__LEVEL_KERNEL) {
        children[QN__FOR_BLOCK_RANGES] = qn__parse_ranges(p);
        children[QN__FOR_BLOCK_BODY] = qn__parse_block(p, QN__LEVEL_POINT, NULL);
        return make(p, QN__AST_FOR_BLOCK, first, children, 2);
    }
    children[QN__FOR_RANGE] = qn__parse_bounded_range(p, "for");
    if (qn__parse_kind(p) == QN__TOKEN_COMMA) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_UNEXPECTED_TOKEN, qn__parse_span(p), QN__SAY("','"));
        qn__diagnostic_hint(d, "a sequential 'for' has one index: put another 'for' inside it");
    }
    children[QN__FOR_BODY] = qn__parse_block(p, QN__LEVEL_POINT, NULL);
    return make(p, QN__AST_FOR, first, children, 2);
}

static qn__node_id parse_loop(qn__parser *p, qn__level level) {
    uint32_t first = p->at;
    if (level == QN__LEVEL_POINT) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_WRONG_PLACE, qn__parse_span(p), QN__SAY("loop"),
                                            QN__SAY("inside the block of a point"));
        bool is_while = qn__parse_token(p)[1].kind == QN__TOKEN_WHILE;
        qn__diagnostic_hint(d, is_while ? "'loop' repeats whole stages; here write 'while c { ... }'"
                                        : "'loop' repeats whole stages; here write 'for i in a..b { ... }'");
        return QN__NO_NODE;
    }
    qn__parse_advance(p);
    qn__node_id children[2];
    bool is_while = qn__parse_accept(p, QN__TOKEN_WHILE);
    if (!is_while && qn__parse_kind(p) != QN__TOKEN_NAME) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_gap(p),
                                            QN__SAY("an index or 'while' after 'loop'"), QN__SAY(qn__parse_found(p)));
        qn__diagnostic_hint(d, "write 'loop t in 0..steps { ... }' or 'loop while c { ... }'");
    }
    children[0] = is_while ? qn__parse_expression(p) : qn__parse_bounded_range(p, "loop");
    children[1] = qn__parse_block(p, QN__LEVEL_KERNEL, NULL);
    return make(p, is_while ? QN__AST_LOOP_WHILE : QN__AST_LOOP_RANGE, first, children, 2);
}

static qn__node_id parse_while(qn__parser *p, qn__level level) {
    uint32_t first = p->at;
    if (level == QN__LEVEL_KERNEL) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_WRONG_PLACE, qn__parse_span(p), QN__SAY("while"),
                                            QN__SAY("between the stages of a kernel"));
        qn__diagnostic_hint(d, "to repeat stages write 'loop while c { ... }'");
        return QN__NO_NODE;
    }
    qn__parse_advance(p);
    qn__node_id children[2];
    children[QN__WHILE_CONDITION] = qn__parse_expression(p);
    children[QN__WHILE_BODY] = qn__parse_block(p, QN__LEVEL_POINT, NULL);
    return make(p, QN__AST_WHILE, first, children, 2);
}

static qn__node_id parse_swap(qn__parser *p) {
    uint32_t first = p->at;
    qn__parse_advance(p);
    qn__parse_advance(p);
    p->parens++;
    qn__node_id children[2];
    children[QN__SWAP_FIRST] = binding(p, "an array");
    qn__parse_expect(p, QN__TOKEN_COMMA, "between the two arrays of 'swap'");
    children[QN__SWAP_SECOND] = binding(p, "an array");
    qn__parse_expect(p, QN__TOKEN_RIGHT_PAREN, "after the two arrays of 'swap'");
    p->parens--;
    return make(p, QN__AST_SWAP, first, children, 2);
}

static qn__node_id parse_jump(qn__parser *p, qn__level level) {
    uint32_t first = p->at;
    bool is_break = qn__parse_kind(p) == QN__TOKEN_BREAK;
    if (level == QN__LEVEL_KERNEL) {
        qn__diagnostic *d =
            qn__parse_error(p, QN__DIAG_WRONG_PLACE, qn__parse_span(p), QN__SAY(is_break ? "break" : "continue"),
                            QN__SAY("between the stages of a kernel"));
        qn__diagnostic_hint(d, "put the condition into 'loop while c { ... }', or the stages into 'if c { ... }'");
        return QN__NO_NODE;
    }
    qn__parse_advance(p);
    return make(p, is_break ? QN__AST_BREAK : QN__AST_CONTINUE, first, NULL, 0);
}

// ---- Blocks ----

static qn__node_id misplaced(qn__parser *p) {
    const char *word = qn__parse_spelling(p, qn__parse_token(p));
    if (qn__parse_kind(p) == QN__TOKEN_ELSE) {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_UNEXPECTED_TOKEN, qn__parse_span(p), QN__SAY("'else'"));
        qn__diagnostic_hint(d, "no 'if' and no assignment stands before it");
    } else {
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_WRONG_PLACE, qn__parse_span(p), QN__SAY(word), QN__SAY("inside a block"));
        qn__diagnostic_hint(d, "move it out, beside the kernels and functions of the file");
    }
    return QN__NO_NODE;
}

// if at the start of a statement: a statement, or the block's value.
static qn__node_id parse_if_statement(qn__parser *p, const block_state *block) {
    uint32_t first = p->at;
    qn__node_id node = qn__parse_if(p, block->level, false);
    if (p->failed || p->ast->nodes[node].kind != QN__AST_IF_VALUE) return node;
    return parse_simple(p, block, node, first);
}

// The statement's node, or 0 when there is none to add (an error, or the value of the block).
static qn__node_id parse_statement(qn__parser *p, const block_state *block) {
    switch (qn__parse_kind(p)) {
    case QN__TOKEN_LET: return parse_let(p, block->level);
    case QN__TOKEN_VAR: return parse_var(p, block->level);
    case QN__TOKEN_FOR: return parse_for(p, block->level);
    case QN__TOKEN_LOOP: return parse_loop(p, block->level);
    case QN__TOKEN_WHILE: return parse_while(p, block->level);
    case QN__TOKEN_IF: return parse_if_statement(p, block);
    case QN__TOKEN_BREAK:
    case QN__TOKEN_CONTINUE: return parse_jump(p, block->level);
    case QN__TOKEN_IMPORT:
    case QN__TOKEN_CONST:
    case QN__TOKEN_EXTERN:
    case QN__TOKEN_FN:
    case QN__TOKEN_KERNEL:
    case QN__TOKEN_ELSE: return misplaced(p);
    default: break;
    }
    bool swap = qn__parse_at_word(p, "swap") && qn__parse_kind_after(p, 1) == QN__TOKEN_LEFT_PAREN;
    if (swap && block->level == QN__LEVEL_KERNEL) return parse_swap(p);
    if (qn__parse_foreign_word(p, false)) return QN__NO_NODE;
    return parse_simple(p, block, QN__NO_NODE, p->at);
}

static void expect_end(qn__parser *p, uint32_t start, uint32_t close) {
    const qn__token *token = qn__parse_token(p);
    if (p->failed || p->at == close || (token->flags & QN__TOKEN_NEWLINE) || token->kind == QN__TOKEN_SEMICOLON) return;
    qn__diagnostic *d =
        qn__parse_error(p, QN__DIAG_EXPECTED_END, qn__parse_span(p), QN__SAY(qn__parse_found(p)));
    bool declares = p->at == start + 1 && p->tokens[start].kind == QN__TOKEN_NAME && token->kind == QN__TOKEN_NAME;
    const char *type = declares ? qn__parse_type_word(qn__parse_spelling(p, &p->tokens[start])) : NULL;
    if (type) {
        const char *name = qn__parse_spelling(p, token);
        qn__diagnostic_hint(d, "to declare a variable write 'var %s: %s = ...', or 'let' when it stays the same", name, type);
    } else {
        qn__parse_hint_after(p, d, QN__TOKEN_END);
    }
}

static void parse_statements(qn__parser *p, const block_state *block) {
    while (p->at < block->close && !p->dead) {
        if (qn__parse_accept(p, QN__TOKEN_SEMICOLON)) continue;
        uint32_t start = p->at;
        size_t base = p->stack_count;
        qn__node_id node = parse_statement(p, block);
        expect_end(p, start, block->close);
        p->stack_count = base;  // an error may have left children behind
        if (p->failed) qn__parse_recover(p, start, block->close);
        else if (node) qn__parse_push(p, node);
    }
}

qn__node_id qn__parse_block(qn__parser *p, qn__level level, qn__node_id *results) {
    if (p->failed) return QN__NO_NODE;
    uint32_t first = p->at;
    if (!qn__parse_expect(p, QN__TOKEN_LEFT_BRACE, "and a block")) return QN__NO_NODE;
    block_state block = {level, first + p->tokens[first].value, results};
    uint32_t parens = p->parens;
    size_t base = p->stack_count;
    p->parens = 0;
    parse_statements(p, &block);
    p->parens = parens;
    if (p->dead) return QN__NO_NODE;
    p->at = block.close + 1;
    size_t count = p->stack_count - base;
    qn__node_id id = make(p, QN__AST_BLOCK, first, p->stack ? p->stack + base : NULL, count);
    p->stack_count = base;
    return id;
}

qn__node_id qn__parse_block_value(qn__parser *p, const char *of) {
    uint32_t first = p->at;
    size_t errors = p->sink->errors;
    qn__node_id children[2] = {0};
    children[QN__BLOCK_VALUE_BODY] = qn__parse_block(p, QN__LEVEL_POINT, &children[QN__BLOCK_VALUE_RESULTS]);
    if (p->failed) return QN__NO_NODE;
    if (!children[QN__BLOCK_VALUE_RESULTS]) {
        qn__span end = qn__parse_span_from(p, p->at - 1);
        if (p->sink->errors == errors) {  // otherwise the value may be what was not understood
            qn__diagnostic *d = qn__parse_complain(p, QN__DIAG_MISSING_VALUE, end);
            qn__diagnostic_expected(d, "a value as the last line of %s", of);
        }
        return make(p, QN__AST_ERROR, first, NULL, 0);
    }
    return make(p, QN__AST_BLOCK_VALUE, first, children, 2);
}
