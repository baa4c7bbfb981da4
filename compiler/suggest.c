// Spelling suggestions: the optimal string alignment distance (insert, delete, replace, swap neighbours) over a list of
// candidates. Words longer than LONGEST letters get no suggestion, which bounds the work and the stack.
#include "compiler/diagnostic.h"

#include <string.h>

enum { LONGEST = 40 };

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static unsigned smallest(unsigned a, unsigned b) { return a < b ? a : b; }

// Distance of two words of at most LONGEST letters, without regard to case.
static unsigned distance(const char *a, size_t a_length, const char *b, size_t b_length) {
    unsigned rows[3][LONGEST + 1];
    unsigned *before = rows[0], *previous = rows[1], *current = rows[2];
    memset(rows, 0, sizeof rows);
    for (size_t j = 0; j <= b_length; j++) previous[j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        current[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            char x = lower(a[i - 1]), y = lower(b[j - 1]);
            unsigned best = previous[j - 1] + (x != y);
            best = smallest(best, smallest(previous[j], current[j - 1]) + 1);
            bool swapped = i > 1 && j > 1 && x == lower(b[j - 2]) && lower(a[i - 2]) == y;
            if (swapped) best = smallest(best, before[j - 2] + 1);
            current[j] = best;
        }
        unsigned *free_row = before;
        before = previous;
        previous = current;
        current = free_row;
    }
    return previous[b_length];
}

const char *qn__suggest(const char *word, const char *const *candidates, size_t count) {
    size_t length = strlen(word);
    if (!length || length > LONGEST) return NULL;
    const char *best = NULL;
    unsigned best_distance = (unsigned)(length < 3 ? 1 : (length + 2) / 3) + 1;
    for (size_t i = 0; i < count; i++) {
        size_t candidate_length = strlen(candidates[i]);
        if (!candidate_length || candidate_length > LONGEST) continue;
        unsigned d = distance(word, length, candidates[i], candidate_length);
        if (d >= best_distance || (d >= length && d >= candidate_length)) continue;
        best_distance = d;
        best = candidates[i];
    }
    return best;
}
