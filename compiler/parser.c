// The parser's state: looking at tokens, making nodes, reporting, recovering; and the entry.
#include "compiler/parser.h"

#include <string.h>

#include "compiler/brackets.h"
#include "compiler/parser_state.h"

const qn__token *qn__parse_token(const qn__parser *p) { return &p->tokens[p->at]; }

qn__token_kind qn__parse_kind(const qn__parser *p) {
    return p->failed ? QN__TOKEN_END : (qn__token_kind)p->tokens[p->at].kind;
}

qn__token_kind qn__parse_kind_after(const qn__parser *p, uint32_t ahead) {
    if (p->failed || ahead >= p->count - p->at) return QN__TOKEN_END;
    return (qn__token_kind)p->tokens[p->at + ahead].kind;
}

bool qn__parse_newline(const qn__parser *p) {
    return !p->parens && (p->tokens[p->at].flags & QN__TOKEN_NEWLINE);
}

bool qn__parse_at_word(const qn__parser *p, const char *word) {
    return qn__parse_kind(p) == QN__TOKEN_NAME && !strcmp(qn__name_text(p->names, p->tokens[p->at].value), word);
}

void qn__parse_advance(qn__parser *p) {
    if (!p->failed && p->at + 1 < p->count) p->at++;
}

bool qn__parse_accept(qn__parser *p, qn__token_kind kind) {
    if (p->failed || qn__parse_kind(p) != kind) return false;
    qn__parse_advance(p);
    return true;
}

bool qn__parse_expect(qn__parser *p, qn__token_kind kind, const char *where) {
    if (qn__parse_accept(p, kind)) return true;
    qn__text what = QN__TEXT_EMPTY;
    qn__text_format(&what, "'%s' %s", qn__token_text(kind), where);
    qn__diagnostic *d = qn__parse_error(p, QN__DIAG_EXPECTED_TOKEN, qn__parse_gap(p), QN__SAY(qn__text_bytes(&what)),
                                        QN__SAY(qn__parse_found(p)));
    qn__text_free(&what);
    bool after_value = kind == QN__TOKEN_RIGHT_PAREN || kind == QN__TOKEN_RIGHT_SQUARE || kind == QN__TOKEN_LEFT_BRACE ||
                       kind == QN__TOKEN_COLON;
    if (after_value) qn__parse_hint_after(p, d, kind);
    return false;
}

qn__span qn__parse_span(const qn__parser *p) {
    const qn__token *token = qn__parse_token(p);
    return (qn__span){p->source->id, token->begin, token->end};
}

qn__span qn__parse_span_from(const qn__parser *p, uint32_t first) {
    uint32_t last = p->at > first ? p->at - 1 : first;
    return (qn__span){p->source->id, p->tokens[first].begin, p->tokens[last].end};
}

qn__span qn__parse_gap(const qn__parser *p) {
    const qn__token *token = qn__parse_token(p);
    bool elsewhere = (token->flags & QN__TOKEN_NEWLINE) || token->kind == QN__TOKEN_END;
    if (!elsewhere || !p->at) return qn__parse_span(p);
    uint32_t end = p->tokens[p->at - 1].end;
    return (qn__span){p->source->id, end, end};
}

const char *qn__parse_spelling(const qn__parser *p, const qn__token *token) {
    size_t length = token->end - token->begin;
    if (length > 60) return "...";
    const char *copy = qn__arena_copy_string(p->arena, p->source->text + token->begin, length);
    return copy ? copy : "";
}

const char *qn__parse_found(const qn__parser *p) {
    const qn__token *token = qn__parse_token(p);
    if (token->kind == QN__TOKEN_END) return "the end of the file";
    if ((token->flags & QN__TOKEN_NEWLINE) && !p->parens && p->at) return "the end of the line";
    qn__text text = QN__TEXT_EMPTY;
    bool plain = token->kind == QN__TOKEN_STRING;
    qn__text_format(&text, plain ? "%s" : "'%s'", qn__parse_spelling(p, token));
    const char *copy = qn__arena_copy_string(p->arena, qn__text_bytes(&text), text.length);
    qn__text_free(&text);
    return copy ? copy : "";
}

bool qn__parse_silent(qn__parser *p) {
    const qn__token *token = qn__parse_token(p);
    bool silent = p->failed || token->kind == QN__TOKEN_INVALID || (token->flags & QN__TOKEN_VIRTUAL);
    if (p->at && (p->tokens[p->at - 1].flags & QN__TOKEN_VIRTUAL)) silent = true;
    p->failed = true;
    return silent;
}

static qn__node_id give_up(qn__parser *p) {
    p->failed = p->dead = true;
    return QN__NO_NODE;
}

qn__node_id qn__parse_make(qn__parser *p, qn__ast_node node, uint32_t first, const qn__node_id *children,
                           size_t count) {
    if (p->dead) return QN__NO_NODE;
    node.span = qn__parse_span_from(p, first);
    qn__node_id id = qn__ast_add(p->ast, node, children, count);
    if (!id) return give_up(p);
    if (p->ast->nodes[id].height < QN__AST_HEIGHT) return id;
    qn__diagnostic *d =
        qn__parse_error(p, QN__DIAG_EXPRESSION_TOO_LARGE, node.span, QN__SAY_UINT(QN__AST_HEIGHT));
    qn__diagnostic_hint(d, "name parts of it with 'let'");
    id = qn__ast_add(p->ast, (qn__ast_node){.kind = QN__AST_ERROR, .span = node.span}, NULL, 0);
    return id ? id : give_up(p);
}

void qn__parse_push(qn__parser *p, qn__node_id node) {
    qn__node_id *stack =
        qn__arena_grow(p->arena, p->stack, &p->stack_capacity, p->stack_count + 1, sizeof *stack);
    if (!stack) {
        give_up(p);
        return;
    }
    p->stack = stack;
    stack[p->stack_count++] = node;
}

qn__node_id qn__parse_list(qn__parser *p, size_t base, uint32_t first) {
    size_t count = p->stack_count - base;
    qn__node_id list =
        qn__parse_make(p, (qn__ast_node){.kind = QN__AST_LIST}, first, count ? p->stack + base : NULL, count);
    p->stack_count = base;
    return list;
}

bool qn__parse_name(qn__parser *p, qn__ast_node *node, const char *of) {
    const qn__token *token = qn__parse_token(p);
    if (qn__parse_kind(p) == QN__TOKEN_NAME) {
        node->name = token->value;
        node->name_begin = token->begin;
        qn__parse_advance(p);
        return true;
    }
    bool attribute = p->at && p->tokens[p->at - 1].kind == QN__TOKEN_AT;
    if (qn__token_sort_of(qn__parse_kind(p)) == QN__SORT_WORD && !qn__parse_newline(p) && !attribute) {
        const char *word = qn__parse_spelling(p, token);
        qn__diagnostic *d = qn__parse_error(p, QN__DIAG_KEYWORD_AS_NAME, qn__parse_span(p), QN__SAY(word));
        qn__diagnostic_expected(d, "the name of %s", of);
        qn__diagnostic_hint(d, "choose another name, such as '%s_'", word);
        return false;
    }
    qn__parse_error(p, QN__DIAG_EXPECTED_NAME, qn__parse_gap(p), QN__SAY(of), QN__SAY(qn__parse_found(p)));
    return false;
}

static bool opens(const qn__token *token) {
    return token->kind == QN__TOKEN_LEFT_PAREN || token->kind == QN__TOKEN_LEFT_SQUARE ||
           token->kind == QN__TOKEN_LEFT_BRACE;
}

void qn__parse_recover(qn__parser *p, uint32_t start, uint32_t close) {
    if (p->dead) {
        p->at = close;
        return;
    }
    uint32_t failed_at = p->at, i = start;
    while (i < close) {
        const qn__token *token = &p->tokens[i];
        bool line = (token->flags & QN__TOKEN_NEWLINE) &&
                    !(qn__token_line((qn__token_kind)token->kind) & QN__LINE_FOLLOWS);
        if (i > start && i >= failed_at && (line || token->kind == QN__TOKEN_SEMICOLON)) break;
        i += opens(token) ? token->value + 1 : 1;
    }
    p->at = i < close ? i : close;
    p->failed = false;
    p->parens = 0;
}

bool qn__parse_deeper(qn__parser *p) {
    if (p->depth < QN__NESTING_LIMIT) {
        p->depth++;
        return true;
    }
    qn__diagnostic *d =
        qn__parse_error(p, QN__DIAG_NESTING_TOO_DEEP, qn__parse_span(p), QN__SAY_UINT(QN__NESTING_LIMIT));
    qn__diagnostic_hint(d, "name parts of it with 'let', or move them to functions");
    return false;
}

bool qn__parse(const qn__source *source, qn__ast *ast, qn__diagnostic_sink *sink) {
    qn__tokens tokens;
    if (!qn__lex(source, ast->arena, ast->names, sink, &tokens)) return false;
    if (!qn__match_brackets(&tokens, ast->arena, sink)) return false;
    qn__parser p = {.ast = ast, .sink = sink, .arena = ast->arena, .names = ast->names, .source = source,
                    .tokens = tokens.items, .count = (uint32_t)tokens.count};
    qn__parse_items(&p);
    return !p.dead;
}
