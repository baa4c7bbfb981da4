// Bracket pairing with repair.
//
// One pass with a stack. Words that begin an item in column 1 prove that everything open before them was meant to be
// closed. A missing ')' or ']' goes to the end of the line where its opener stands; a missing '}' before the next item.
// Of braces that pair but are indented differently the first is remembered: there the missing one probably belongs.
// Invariant: when the repaired list does not balance after all, the file is given up (an error was reported by then).
#include "compiler/brackets.h"

enum { DROPPED = 128 };  // a token's flag: taken out when the list is rebuilt

typedef struct edit {
    uint32_t before;  // token index
    uint8_t kind;
} edit;

typedef struct matcher {
    qn__tokens *tokens;
    qn__arena *arena;
    qn__diagnostic_sink *sink;
    uint32_t *stack;  // indices of open brackets
    size_t depth, stack_capacity;
    edit *edits;  // in the order of `before`, except that later ones may go back; sorted on use
    size_t edit_count, edit_capacity;
    bool repaired, failed;
    uint32_t suspect_open, suspect_close;  // first pair with different indentation since nothing was open; 0, 0: none
} matcher;

static bool is_open(uint8_t kind) {
    return kind == QN__TOKEN_LEFT_PAREN || kind == QN__TOKEN_LEFT_SQUARE || kind == QN__TOKEN_LEFT_BRACE;
}

static bool is_close(uint8_t kind) {
    return kind == QN__TOKEN_RIGHT_PAREN || kind == QN__TOKEN_RIGHT_SQUARE || kind == QN__TOKEN_RIGHT_BRACE;
}

static uint8_t closer_of(uint8_t kind) { return (uint8_t)(kind + 1); }  // the table has them in pairs
static uint8_t opener_of(uint8_t kind) { return (uint8_t)(kind - 1); }

static qn__token *token_at(matcher *m, size_t index) { return &m->tokens->items[index]; }

static qn__span span_of(matcher *m, size_t index) {
    const qn__token *token = token_at(m, index);
    return (qn__span){m->tokens->source->id, token->begin, token->end};
}

static uint32_t line_of(matcher *m, size_t index) {
    return qn__source_position(m->tokens->source, token_at(m, index)->begin).line;
}

// White space at the start of the line where the token stands, in bytes.
static uint32_t indentation(matcher *m, size_t index) {
    const qn__source *source = m->tokens->source;
    uint32_t begin = source->line_begins[line_of(m, index) - 1], at = begin;
    while (source->text[at] == ' ' || source->text[at] == '\t') at++;
    return at - begin;
}

// Where the missing partner of `open` goes, searching up to `limit`.
static uint32_t place_of_missing(matcher *m, uint32_t open, uint32_t limit) {
    if (token_at(m, open)->kind == QN__TOKEN_LEFT_BRACE) return limit;
    for (uint32_t i = open + 1; i < limit; i++) {
        const qn__token *token = token_at(m, i);
        bool goes_on = (qn__token_line((qn__token_kind)token->kind) & QN__LINE_FOLLOWS) ||
                       (qn__token_line((qn__token_kind)token_at(m, i - 1)->kind) & QN__LINE_LEADS);
        if ((token->flags & QN__TOKEN_NEWLINE) && !goes_on) return i;
        if (token->kind == QN__TOKEN_LEFT_BRACE) return i;
        if (is_open(token->kind) && token->value) i += token->value;
    }
    return limit;
}

static void report_unclosed(matcher *m, uint32_t open, uint32_t place) {
    uint8_t kind = token_at(m, open)->kind;
    const char *text = qn__token_text((qn__token_kind)kind), *closer = qn__token_text((qn__token_kind)closer_of(kind));
    qn__diagnostic *d = qn__report(m->sink, QN__DIAG_UNCLOSED, span_of(m, open), QN__SAY(text));
    if (kind == QN__TOKEN_LEFT_BRACE && m->suspect_close > open) {
        qn__diagnostic_note(d, span_of(m, m->suspect_open), "closed by the '}' in line %u, which is indented differently",
                            line_of(m, m->suspect_close));
        qn__diagnostic_hint(d, "a '}' is probably missing before line %u", line_of(m, m->suspect_close));
    } else if (kind == QN__TOKEN_LEFT_BRACE) {
        qn__diagnostic_hint(d, "write the missing '}'");
    } else if (place) {
        qn__span at = span_of(m, place - 1);
        at.begin = at.end;
        if (line_of(m, place - 1) != line_of(m, open)) qn__diagnostic_note(d, at, "'%s' is missing here", closer);
        else qn__diagnostic_hint(d, "write '%s' before the end of the line or after what belongs to it", closer);
    }
}

static void insert(matcher *m, uint32_t before, uint8_t kind) {
    edit *edits = qn__arena_grow(m->arena, m->edits, &m->edit_capacity, m->edit_count + 1, sizeof *edits);
    if (!edits) {
        m->failed = true;
        return;
    }
    m->edits = edits;
    size_t at = m->edit_count++;
    for (; at > 0 && edits[at - 1].before > before; at--) edits[at] = edits[at - 1];
    edits[at] = (edit){before, kind};
    m->repaired = true;
}

// Closes the innermost open bracket, which has no partner before token `limit`.
static void close_missing(matcher *m, uint32_t limit) {
    uint32_t open = m->stack[--m->depth];
    uint32_t place = place_of_missing(m, open, limit);
    report_unclosed(m, open, place);
    insert(m, place, closer_of(token_at(m, open)->kind));
}

static void pair(matcher *m, uint32_t close) {
    uint32_t open = m->stack[--m->depth];
    qn__token *closer = token_at(m, close);
    token_at(m, open)->value = close - open;
    bool brace = closer->kind == QN__TOKEN_RIGHT_BRACE && (closer->flags & QN__TOKEN_NEWLINE);
    if (brace && !m->suspect_close && indentation(m, open) != indentation(m, close)) {
        m->suspect_open = open;
        m->suspect_close = close;
    }
    if (!m->depth) m->suspect_open = m->suspect_close = 0;
}

static void drop(matcher *m, uint32_t index) {
    token_at(m, index)->kind = QN__TOKEN_INVALID;
    token_at(m, index)->flags |= DROPPED;
    m->repaired = true;
}

// How deep below the top the opener for this closer is; m->depth when none can be meant.
static size_t find_opener(matcher *m, uint8_t kind) {
    for (size_t below = 0; below < m->depth; below++) {
        uint8_t open = token_at(m, m->stack[m->depth - 1 - below])->kind;
        if (open == opener_of(kind)) return below;
        if (open == QN__TOKEN_LEFT_BRACE) break;
    }
    return m->depth;
}

static void close_bracket(matcher *m, uint32_t close) {
    qn__token *closer = token_at(m, close);
    const char *text = qn__token_text((qn__token_kind)closer->kind);
    size_t below = find_opener(m, closer->kind);
    if (below < m->depth) {
        while (below-- > 0) close_missing(m, close);
        pair(m, close);
        return;
    }
    uint32_t top = m->depth ? m->stack[m->depth - 1] : 0;
    if (m->depth && closer->kind != QN__TOKEN_RIGHT_BRACE && token_at(m, top)->kind != QN__TOKEN_LEFT_BRACE) {
        const char *open = qn__token_text((qn__token_kind)token_at(m, top)->kind);
        qn__diagnostic *d =
            qn__report(m->sink, QN__DIAG_WRONG_CLOSER, span_of(m, close), QN__SAY(text), QN__SAY(open));
        closer->kind = closer_of(token_at(m, top)->kind);
        qn__diagnostic_note(d, span_of(m, top), "opened here");
        qn__diagnostic_hint(d, "write '%s'", qn__token_text((qn__token_kind)closer->kind));
        pair(m, close);
        return;
    }
    qn__diagnostic *d = qn__report(m->sink, QN__DIAG_STRAY_CLOSER, span_of(m, close), QN__SAY(text));
    qn__diagnostic_hint(d, "delete it, or write the '%s' that it closes",
                        qn__token_text((qn__token_kind)opener_of(closer->kind)));
    drop(m, close);
}

static bool begins_item(matcher *m, uint32_t index) {
    const qn__token *token = token_at(m, index);
    if (token->kind == QN__TOKEN_END) return true;
    bool word = token->kind == QN__TOKEN_KERNEL || token->kind == QN__TOKEN_FN || token->kind == QN__TOKEN_CONST ||
                token->kind == QN__TOKEN_EXTERN || token->kind == QN__TOKEN_IMPORT || token->kind == QN__TOKEN_AT;
    return word && (token->flags & QN__TOKEN_NEWLINE) && qn__source_position(m->tokens->source, token->begin).column == 1;
}

static void open_bracket(matcher *m, uint32_t index) {
    if (m->depth >= QN__NESTING_LIMIT) {
        qn__diagnostic *d =
            qn__report(m->sink, QN__DIAG_NESTING_TOO_DEEP, span_of(m, index), QN__SAY_UINT(QN__NESTING_LIMIT));
        qn__diagnostic_hint(d, "name parts of it with 'let', or move them to functions");
        m->failed = true;
        return;
    }
    uint32_t *stack = qn__arena_grow(m->arena, m->stack, &m->stack_capacity, m->depth + 1, sizeof *stack);
    if (!stack) {
        m->failed = true;
        return;
    }
    m->stack = stack;
    stack[m->depth++] = index;
    token_at(m, index)->value = 0;
}

static void add_token(qn__tokens *list, qn__token token) { list->items[list->count++] = token; }

// A new list with the edits, pairs recomputed. False when out of memory or it does not balance.
static bool rebuild(matcher *m) {
    qn__tokens list = {.source = m->tokens->source};
    list.capacity = m->tokens->count + m->edit_count;
    list.items = QN__ARENA_ARRAY(m->arena, qn__token, list.capacity);
    if (!list.items) return false;
    size_t next = 0;
    for (uint32_t i = 0; i < m->tokens->count; i++) {
        for (; next < m->edit_count && m->edits[next].before == i; next++) {
            uint32_t at = i ? token_at(m, i - 1)->end : 0;
            add_token(&list, (qn__token){.kind = m->edits[next].kind, .flags = QN__TOKEN_VIRTUAL, .begin = at, .end = at});
        }
        if (!(token_at(m, i)->flags & DROPPED)) add_token(&list, *token_at(m, i));
    }
    *m->tokens = list;
    m->depth = 0;
    for (uint32_t i = 0; i < list.count; i++) {
        if (is_open(list.items[i].kind)) open_bracket(m, i);
        if (m->failed) return false;
        if (!is_close(list.items[i].kind)) continue;
        if (!m->depth || list.items[m->stack[m->depth - 1]].kind != opener_of(list.items[i].kind)) return false;
        m->depth--;
        list.items[m->stack[m->depth]].value = i - m->stack[m->depth];
    }
    return m->depth == 0;
}

bool qn__match_brackets(qn__tokens *tokens, qn__arena *arena, qn__diagnostic_sink *sink) {
    matcher m = {.tokens = tokens, .arena = arena, .sink = sink};
    for (uint32_t i = 0; i < tokens->count && !m.failed; i++) {
        uint8_t kind = tokens->items[i].kind;
        if (is_open(kind)) open_bracket(&m, i);
        else if (is_close(kind)) close_bracket(&m, i);
        else if (m.depth && begins_item(&m, i)) {
            while (m.depth && !m.failed) close_missing(&m, i);
            m.suspect_open = m.suspect_close = 0;
        }
    }
    if (m.failed) return false;
    return !m.repaired || rebuild(&m);
}
