/* What `quern explain` says about streaming: each way to cut the kernel once, or why there is none. */
#include "ir/stream_private.h"

#include <inttypes.h>

static void list_arrays(const qn__stream *s, qn__text *out, qn__stream_place place) {
    const char *between = "";
    for (uint32_t a = 0; a < s->ir->array_count; a++) {
        if (s->arrays[a].place != place || !s->ir->arrays[a].rank || (s->ir->arrays[a].kind == QN__ARRAY_TEMP && !s->arrays[a].held)) continue;
        qn__text_format(out, "%s%s", between, s->ir->arrays[a].name);
        if (place == QN__STREAM_CUT && s->arrays[a].dimension != s->dimension) qn__text_format(out, " (dimension %u)", s->arrays[a].dimension);
        between = ", ";
    }
}

static bool has(const qn__stream *s, qn__stream_place place) {
    for (uint32_t a = 0; a < s->ir->array_count; a++)
        if (s->arrays[a].place == place && s->ir->arrays[a].rank && (s->ir->arrays[a].kind != QN__ARRAY_TEMP || s->arrays[a].held)) return true;
    return false;
}

static bool reduces(const qn__stream *s) {
    for (uint32_t i = 0; i < s->item_count; i++)
        if (s->items[i].cut && s->ir->instrs[s->items[i].ref].op == QN__OP_REDUCE) return true;
    return false;
}

static void say_how(const qn__stream *s, qn__text *out) {
    qn__text_format(out, "  can be streamed along dimension %u of ", s->dimension);
    list_arrays(s, out, QN__STREAM_CUT);
    if (s->passes > 1) qn__text_format(out, "; in %u passes", s->passes);
    if (s->low || s->high) qn__text_format(out, "; a piece reads %" PRId64 " before and %" PRId64 " after it", s->low, s->high);
    if (reduces(s)) qn__text_add_string(out, "; pieces are multiples of 4096 because of a reduction");
    if (has(s, QN__STREAM_APPENDED)) {
        qn__text_add_string(out, "; grows piece by piece: ");
        list_arrays(s, out, QN__STREAM_APPENDED);
    }
    if (has(s, QN__STREAM_WHOLE)) {
        qn__text_add_string(out, "; held whole: ");
        list_arrays(s, out, QN__STREAM_WHOLE);
    }
    qn__text_add_char(out, '\n');
}

static void say_why_not(const qn__stream *s, qn__text *out) {
    qn__text_format(out, "  not along dimension %u of %s: ", s->dimension, s->ir->arrays[s->array].name);
    const qn__location *l = &s->ir->locations[s->location];
    if (s->location) qn__text_format(out, "%u:%u: ", l->line, l->column);
    qn__text_format(out, "%s\n", s->why);
}

/* A seed that an earlier seed already cut alike. */
static bool known(const qn__stream *const *found, uint32_t count, uint32_t array, uint32_t dimension) {
    for (uint32_t i = 0; i < count; i++)
        if (!found[i]->why && found[i]->arrays[array].place == QN__STREAM_CUT && found[i]->arrays[array].dimension == dimension) return true;
    return false;
}

qn__stream **qn__stream_ways(const qn__ir *ir, qn__arena *arena, uint32_t *count) {
    *count = 0;
    uint32_t most = 0;
    for (uint32_t a = 0; a < ir->array_count; a++) most += ir->arrays[a].kind == QN__ARRAY_TEMP ? 0U : ir->arrays[a].rank;
    qn__stream **ways = QN__ARENA_ARRAY(arena, qn__stream *, most);
    if (!ways) return NULL;
    for (uint32_t a = 0; a < ir->array_count; a++)
        for (uint32_t d = 0; ir->arrays[a].kind != QN__ARRAY_TEMP && d < ir->arrays[a].rank; d++) {
            if (known((const qn__stream *const *)ways, *count, a, d)) continue;
            ways[*count] = qn__stream_analyse(ir, arena, a, d);
            if (!ways[*count]) return NULL;
            ++*count;
        }
    return ways;
}

bool qn__stream_explain(const qn__ir *ir, qn__text *out) {
    qn__arena *arena = qn__arena_create(0);
    uint32_t count = 0;
    qn__stream **ways = arena ? qn__stream_ways(ir, arena, &count) : NULL;
    if (ways) qn__text_add_string(out, "streaming:\n");
    if (ways && !count) qn__text_add_string(out, "  there is no array to stream\n");
    for (int possible = 1; ways && possible >= 0; possible--)
        for (uint32_t i = 0; i < count; i++) {
            if ((ways[i]->why == NULL) != possible) continue;
            if (possible) say_how(ways[i], out);
            else say_why_not(ways[i], out);
        }
    qn__arena_destroy(arena);
    return ways != NULL;
}
