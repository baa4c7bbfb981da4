// The checker: names, types, constants, index ranges, coverage. From the syntax tree to typed trees (compiler/typed.h).
#ifndef QN__COMPILER_CHECK_H
#define QN__COMPILER_CHECK_H

#include "compiler/diagnostic.h"
#include "compiler/typed.h"

typedef struct qn__checker qn__checker;

// Collects the items of a parsed program and checks names and constants. NULL when out of memory. All memory comes from
// `arena`, diagnostics go to `sink`; tree, names and sources are only read and must outlive the checker. One thread at
// a time.
qn__checker *qn__checker_create(const qn__ast *ast, const qn__sources *sources, qn__arena *arena,
                                qn__diagnostic_sink *sink);

// Checks all items outside the prelude: functions and kernels, generics for every type of their classes. True when no
// error was found (here or before). May be called once.
bool qn__check_module(qn__checker *checker);

// Checks the prelude's own functions, for every type; for tests.
bool qn__check_prelude(qn__checker *checker);

// The kernel called `name`; with NULL the only kernel of the main file. 0 when there is none, with a diagnostic.
qn__node_id qn__check_find_kernel(qn__checker *checker, const char *name);

// Number of type arguments of a kernel (0: not generic).
uint32_t qn__check_generic_count(const qn__checker *checker, qn__node_id kernel);

// Type arguments from the element types of call arguments, one per parameter in written order (inputs and inouts). A
// type NONE says that the argument is a number without a type: it decides nothing. Reports and returns false when a
// type argument stays open or the types contradict the parameters'.
bool qn__check_infer(qn__checker *checker, qn__node_id kernel, const qn__type *arguments, uint32_t count,
                     qn__type *type_arguments);

// A kernel for concrete type arguments, memoised. NULL when it has errors (reported) or memory is out.
const qn__typed *qn__check_kernel(qn__checker *checker, qn__node_id kernel, const qn__type *type_arguments,
                                  uint32_t count);

// The tables that typed kernels refer to. Grows with each qn__check_kernel; this pointer stays valid, those in it not.
const qn__checked *qn__check_result(const qn__checker *checker);

#endif
