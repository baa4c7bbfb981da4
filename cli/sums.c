/* The rewriting is by words: `sum` before `(` is a reduction, `sum` behind `scan(` or `exscan(` a scan; comments and strings are copied. This is all that
 * the grammar allows, but for an item that is itself called `sum`, which is refused. */
#include "cli/sums.h"

#include <ctype.h>
#include <string.h>

#define STEP "quern_sum_step"

typedef struct word { const char *at; size_t length; } word;

static bool is(word w, const char *text) { return w.length == strlen(text) && memcmp(w.at, text, w.length) == 0; }

static bool in_name(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* Length of the comment, string, name, blanks or single character at the start of the text. */
static size_t piece(const char *at, size_t left) {
    size_t n = 1;
    if (*at == '#') {
        while (n < left && at[n] != '\n') n++;
    } else if (*at == '"') {
        while (n < left && at[n] != '"' && at[n] != '\n') n++;
        n += n < left && at[n] == '"';
    } else if (in_name(*at)) {
        while (n < left && in_name(at[n])) n++;
    }
    return n;
}

static char next_sign(const char *at, size_t left) {
    size_t i = 0;
    while (i < left && isspace((unsigned char)at[i])) i++;
    return i < left ? at[i] : 0;
}

int cli_sums_in_type(const char *source, size_t length, const char *kernel, qn__text *out) {
    bool counting = true; /* the item is the kernel, or a function */
    word before = {"", 0}, last = {"", 0}; /* the two latest words or signs */
    int count = 0;
    for (size_t at = 0; at < length;) {
        const word w = {source + at, piece(source + at, length - at)};
        at += w.length;
        const bool blank = isspace((unsigned char)*w.at) || *w.at == '#';
        const char next = is(w, "sum") ? next_sign(source + at, length - at) : 0;
        if ((is(w, "sum") && is(last, "fn")) || is(w, STEP)) return -1;
        if (is(last, "kernel")) counting = !kernel || is(w, kernel);
        if (is(last, "fn")) counting = true;
        if (next == ',' && is(last, "(") && (is(before, "scan") || is(before, "exscan"))) {
            qn__text_add_string(out, STEP ", 0");
            count += counting;
        } else if (next == '(') {
            at += (size_t)((const char *)memchr(source + at, '(', length - at) - (source + at)) + 1;
            qn__text_add_string(out, "reduce(" STEP ", 0, ");
            count += counting;
        } else {
            qn__text_add(out, w.at, w.length);
        }
        if (!blank) {
            before = last;
            last = w;
        }
    }
    qn__text_add_string(out, "\nfn " STEP "[T: number](a: T, b: T) -> T = a + b\n");
    return count;
}
