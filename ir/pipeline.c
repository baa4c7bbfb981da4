/* The passes in the order in which they run: this list is the pipeline.
 *
 * inline comes first, since all others look at one tree; fma second, since it needs products where they were written.
 * fold, cse and dce shrink what the analyses must look at; ranges comes before anything moves code away from the
 * conditions around it; fuse needs its result (a stage without checks cannot raise); what fuse joined is cleaned once
 * more, which also forwards values through temporaries; licm then moves out what is left, checks included.
 * contraction comes last: it only looks. */
#include "ir/pass.h"

#include <fenv.h>
#include <stdio.h>
#include <string.h>

/* X(name, function): a pass that runs twice has two names. */
#define PASSES                                                                                                         \
    X(inline, qn__pass_inline)                                                                                         \
    X(fma, qn__pass_fma)                                                                                               \
    X(fold, qn__pass_fold)                                                                                             \
    X(cse, qn__pass_cse)                                                                                               \
    X(dce, qn__pass_dce)                                                                                               \
    X(ranges, qn__pass_ranges)                                                                                         \
    X(fuse, qn__pass_fuse)                                                                                             \
    X(refold, qn__pass_fold)                                                                                           \
    X(recse, qn__pass_cse)                                                                                             \
    X(licm, qn__pass_licm)                                                                                             \
    X(sweep, qn__pass_dce)                                                                                             \
    X(contraction, qn__pass_contraction)

static const struct {
    const char *name;
    bool (*run)(qn__pass *pass);
} list[] = {
#define X(name, function) {#name, function},
    PASSES
#undef X
};
enum { COUNT = sizeof list / sizeof *list };

static const char *const names[COUNT + 2] = {
    "lower",
#define X(name, function) #name,
    PASSES
#undef X
    NULL};

const char *const *qn__pass_names(void) { return names; }

#ifndef NDEBUG
static const char *say(qn__ir *ir, const char *format, const char *name, const char *detail) {
    char *text = qn__arena_alloc(ir->arena, 600);
    if (!text) return "out of memory";
    snprintf(text, 600, format, name, detail);
    return text;
}
#endif

bool qn__pass_verified(qn__ir *ir, const char *after, const char **message) {
#ifdef NDEBUG
    (void)ir, (void)after, (void)message;
    return true;
#else
    qn__text report = QN__TEXT_EMPTY;
    bool good = qn__verify(ir, &report);
    if (!good && (report.failed || strcmp(qn__text_bytes(&report), "out of memory\n") == 0)) {
        ir->failed = true;
        *message = "out of memory";
    } else if (!good) {
        *message = say(ir, "the IR is not valid after '%s': %.500s", after, qn__text_bytes(&report));
    }
    qn__text_free(&report);
    return good;
#endif
}

static bool run_list(qn__ir *ir, const char *stop_after, const char **message) {
    if (!qn__pass_verified(ir, "lower", message)) return false;
    if (stop_after && !strcmp(stop_after, "lower")) return true;
    for (size_t i = 0; i < COUNT; i++) {
        qn__pass pass = {.ir = ir, .scratch = qn__arena_create(0)};
        bool good = pass.scratch && list[i].run(&pass) && !ir->failed;
        qn__arena_destroy(pass.scratch);
        if (!good) {
            if (!pass.message) ir->failed = true;
            *message = pass.message ? pass.message : "out of memory";
            return false;
        }
        if (!qn__pass_verified(ir, list[i].name, message)) return false;
        if (stop_after && !strcmp(stop_after, list[i].name)) break;
    }
    return true;
}

bool qn__passes_run(qn__ir *ir, const char *stop_after, const char **message) {
    const char *ignored;
    if (!message) message = &ignored;
    *message = NULL;
    if (ir->failed) {
        *message = "out of memory";
        return false;
    }
    fenv_t host; /* folding must round to nearest and keep denormals whatever the host has set */
    feholdexcept(&host);
    fesetenv(FE_DFL_ENV);
    bool good = run_list(ir, stop_after, message);
    fesetenv(&host);
    return good;
}
