// Shared by the files that check stages: check_stages.c, check_assign.c, check_kept.c, check_temporaries.c.
#ifndef QN__COMPILER_CHECK_STAGES_H
#define QN__COMPILER_CHECK_STAGES_H

#include "compiler/check_private.h"

// A stage while it is checked.
typedef struct qn__work {
    qn__body *b;
    qn__typed_stage stage;
    size_t index_capacity;
    size_t uses, reads; // where this stage's begin
    size_t scope;
} qn__work;

void qn__work_begin(qn__work *w, qn__body *b, qn__node_id node);
void qn__work_index(qn__work *w, uint32_t index);
void qn__work_domain(qn__work *w, qn__node_id domain);
bool qn__work_ranges(qn__work *w); // after all that uses the indices was checked
void qn__work_end(qn__work *w);

// Names in the subscripts of a target that mean nothing yet are the statement's indices.
void qn__introduce_indices(qn__work *w, qn__node_id node, uint32_t depth);

// A target at kernel level or in a block: its array, or QN__NO_REF after a complaint. The term is that of the element.
uint32_t qn__check_target(qn__body *b, qn__node_id target, bool whole, qn__term_id *term);
bool qn__check_combine_type(qn__body *b, qn__node_id node, qn__node_id target, qn__term_id term, qn__ast_assign op);

// Fills in the stage's targets: what is known only when ranges and subscripts are.
void qn__decide_writes(qn__work *w);
void qn__decide_copy(qn__work *w, uint32_t target);
void qn__complain_collision(qn__work *w, qn__node_id target, uint32_t loose, const char *array);
void qn__complain_unknown_size(qn__body *b, qn__node_id target, uint32_t array);

// The type of elements, QN__TERM_ERROR when none is written.
qn__term_id qn__check_element_type(qn__body *b, qn__node_id type_node);

// The scan's index; false after a complaint that the target does not have it as a subscript.
bool qn__scan_domain(qn__work *w, qn__node_id target, qn__node_id scan, uint32_t *scan_index);
void qn__check_keep_assign(qn__body *b, qn__node_id node, qn__node_id keep);
void qn__check_scan_assign(qn__body *b, qn__node_id node, qn__node_id scan);

#endif
