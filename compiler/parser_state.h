// What the parser's files share: the state, looking at tokens, making nodes, reporting. Not for others.
//
// How errors unwind: qn__parse_error reports and sets `failed`. While it is set the current token reads as END, so all
// loops end and nothing more is reported; the statement or item loop clears it and moves on to the next line.
#ifndef QN__COMPILER_PARSER_STATE_H
#define QN__COMPILER_PARSER_STATE_H

#include "compiler/parser.h"

typedef enum qn__level { QN__LEVEL_KERNEL, QN__LEVEL_POINT } qn__level;

typedef struct qn__parser {
    qn__ast *ast;
    qn__diagnostic_sink *sink;
    qn__arena *arena;
    qn__names *names;
    const qn__source *source;
    const qn__token *tokens;
    uint32_t count;
    uint32_t at;         // the current token; tokens[count - 1] is END
    uint32_t parens;     // open ( and [ since the innermost { : newlines mean nothing there
    uint32_t depth;      // of prefix operators and else-if chains
    bool failed;
    bool dead;           // no memory; nothing makes sense any more
    qn__node_id *stack;  // children of lists under construction
    size_t stack_count, stack_capacity;
} qn__parser;

// ---- parser.c ----
qn__token_kind qn__parse_kind(const qn__parser *p);              // of the current token; END while failed
qn__token_kind qn__parse_kind_after(const qn__parser *p, uint32_t ahead);
const qn__token *qn__parse_token(const qn__parser *p);           // even while failed
bool qn__parse_newline(const qn__parser *p);                     // the current token begins a line, and that matters here
bool qn__parse_at_word(const qn__parser *p, const char *word);   // the current token is this NAME
void qn__parse_advance(qn__parser *p);
bool qn__parse_accept(qn__parser *p, qn__token_kind kind);
// `what` describes the place: "after the condition".
bool qn__parse_expect(qn__parser *p, qn__token_kind kind, const char *where);

qn__span qn__parse_span(const qn__parser *p);                    // of the current token
qn__span qn__parse_span_from(const qn__parser *p, uint32_t first);  // from token `first` to the last one consumed
qn__span qn__parse_gap(const qn__parser *p);  // where something is missing: the current token, or the end of the line before it
const char *qn__parse_found(const qn__parser *p);                // the current token as messages name it
const char *qn__parse_spelling(const qn__parser *p, const qn__token *token);

bool qn__parse_silent(qn__parser *p);  // marks the failure; true when it was reported already
#define qn__parse_error(p, id, span, ...) \
    (qn__parse_silent(p) ? &(p)->sink->scratch : qn__report((p)->sink, (id), (span), __VA_ARGS__))
// The same without unwinding: parsing goes on as if nothing was wrong.
#define qn__parse_complain(p, id, span, ...) \
    ((p)->failed ? &(p)->sink->scratch : qn__report((p)->sink, (id), (span), __VA_ARGS__))

qn__node_id qn__parse_make(qn__parser *p, qn__ast_node node, uint32_t first, const qn__node_id *children, size_t count);
void qn__parse_push(qn__parser *p, qn__node_id node);
qn__node_id qn__parse_list(qn__parser *p, size_t base, uint32_t first);  // LIST of what was pushed since stack_count was `base`
// A name; sets node->name and node->name_begin. `of` completes "expected the name of ...".
bool qn__parse_name(qn__parser *p, qn__ast_node *node, const char *of);
void qn__parse_recover(qn__parser *p, uint32_t start, uint32_t close);  // to the next line or ';' before token `close`
bool qn__parse_deeper(qn__parser *p);  // counts one level; false and an error beyond the limit. Undo with p->depth--.

// ---- parse_items.c ----
void qn__parse_items(qn__parser *p);
qn__node_id qn__parse_type(qn__parser *p);
// The type that a word names, here or in C ("double": "f64"); NULL for other words.
const char *qn__parse_type_word(const char *word);
bool qn__parse_foreign_word(qn__parser *p, bool item);  // return, def, elif, ...: reports and fails

// ---- parse_statements.c ----
// A block in braces at a level. With `results` not NULL the last line may be values: their LIST, or 0.
qn__node_id qn__parse_block(qn__parser *p, qn__level level, qn__node_id *results);
qn__node_id qn__parse_block_value(qn__parser *p, const char *of);  // BLOCK_VALUE

// ---- parse_expressions.c ----
qn__node_id qn__parse_expression(qn__parser *p);
qn__node_id qn__parse_if(qn__parser *p, qn__level level, bool value_needed);  // IF or IF_VALUE
qn__node_id qn__parse_ranges(qn__parser *p);                 // LIST of RANGE
qn__node_id qn__parse_range(qn__parser *p);                  // RANGE
qn__node_id qn__parse_bounded_range(qn__parser *p, const char *statement);
// What someone may have meant by the current token, which follows an expression where `expected` should have stood.
void qn__parse_hint_after(qn__parser *p, qn__diagnostic *d, qn__token_kind expected);

#endif
