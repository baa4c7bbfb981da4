/* Raw calls on the runtime's side: qn__raw_services (raw.c), closures that run the interpreter (closure.c), and
 * trampolines that lead to whichever is there (trampoline.c). See docs/decisions/0004-raw-calls-and-tiers.md. */
#ifndef QN__RUNTIME_RAW_H
#define QN__RUNTIME_RAW_H

#include "ir/raw.h"
#include "runtime/engine.h"

/* ---- closures: a C function of the kernel's raw type that runs a loaded kernel through its engine ---- */
typedef struct qn__closure qn__closure;
/* loaded and externs are borrowed and must outlive the closure. NULL with a static message: no memory, or the system allows no
 * closures. The function is thread-safe. */
qn__closure *qn__closure_create(const qn__loaded *loaded, void *const *externs, const char **message);
qn__raw_function qn__closure_function(const qn__closure *closure);
/* No call of the function may be running. NULL is allowed. */
void qn__closure_destroy(qn__closure *closure);

/* ---- trampolines: functions of one instruction, a jump through a slot ---- */
typedef struct qn__trampolines qn__trampolines; /* a pool; thread-safe */
typedef struct qn__trampoline { qn__raw_function function; qn__raw_function *slot; } qn__trampoline;
qn__trampolines *qn__trampolines_create(void); /* NULL: no memory */
void qn__trampolines_destroy(qn__trampolines *pool); /* all trampolines of it; NULL is allowed */
/* A trampoline to target. False: no memory, a system that allows no code to be made, or a processor that is not known. */
bool qn__trampoline_take(qn__trampolines *pool, qn__raw_function target, qn__trampoline *out);
/* From now on calls go to target. Those that are on their way may still reach what was there before. */
void qn__trampoline_aim(const qn__trampoline *trampoline, qn__raw_function target);
void qn__trampoline_give(qn__trampolines *pool, qn__trampoline *trampoline);

#endif
