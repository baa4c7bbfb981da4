/* Passes over the IR, and the one list in which they run (pipeline.c). Each pass says in its .c what it requires, preserves and breaks. */
#ifndef QN__PASSES_H
#define QN__PASSES_H

#include "ir/ir.h"
#include "ir/text.h"

/* Runs the whole list; in debug builds the verifier runs after every pass. stop_after: a pass's name, or NULL for all.
 * False: out of memory (ir->failed), a limit, or a verifier fault; *message says what (of the arena). */
bool qn__passes_run(qn__ir *ir, const char *stop_after, const char **message);
/* The names of the passes in order, NULL-terminated: for `emit --after`. "lower" means before the first. */
const char *const *qn__pass_names(void);

/* All faults of a module as text lines appended to report; true when there are none. */
bool qn__verify(const qn__ir *ir, qn__text *report);

/* The text form, and back. qn__ir_read gives NULL and a message with line and column. */
void qn__ir_print(const qn__ir *ir, qn__text *out);
qn__ir *qn__ir_read(qn__arena *arena, const char *text, size_t length, const char **message);

/* Uniformity: how each value of a stage varies with one index. */
typedef enum qn__variance { QN__UNIFORM, QN__LINEAR, QN__VARYING } qn__variance; /* LINEAR: integer, uniform + stride * index */
typedef struct qn__shape { uint8_t variance; int64_t stride; } qn__shape;
/* shapes has value_count entries; fills those of values defined in the stage's regions, as a function of the index variable iv
 * (a parameter of one of the stage's regions); all others are UNIFORM. */
bool qn__uniformity(const qn__ir *ir, qn__instr_ref stage, qn__value iv, qn__shape *shapes);

#endif
