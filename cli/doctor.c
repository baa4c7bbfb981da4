/* quern doctor: what this machine and installation are, and whether each engine computes correctly here. */
#include "cli/cli.h"
#include "compiler/llvm/emit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char probe[] = "kernel probe(x: f32[n]) -> s: f32, y: f32[n] {\n    y[i] = exp(x[i]) * 2.0 + 1.0\n    s = sum(i: x[i])\n}\n";
enum { PROBE = 1000 };

/* Runs the probe on one engine. y[0] = exp(0) * 2 + 1 = 3; s = 0 + 1/1000 + ... in the contract's order. */
static bool engine_works(qn_engine engine, float *sum, double *ms, char *message, size_t size) {
    qn_context *context = NULL;
    qn_module *module = NULL;
    qn_kernel *kernel = NULL;
    qn_array *x = NULL, *outputs[2] = {NULL, NULL};
    qn_error error = {0};
    const int64_t shape[1] = {PROBE};
    const qn_context_options options = {.engine = engine};
    const double start = cli_now_ms();
    bool ok = qn_context_create(&options, &context, &error) == QN_OK &&
              qn_module_from_source(context, "probe.qn", probe, sizeof probe - 1, &module, &error) == QN_OK &&
              qn_kernel_create(module, NULL, NULL, &kernel, &error) == QN_OK &&
              qn_array_create(context, QN_F32, 1, shape, &x, &error) == QN_OK;
    if (ok) {
        float *values = qn_array_tensor(x)->data;
        for (int i = 0; i < PROBE; i++) values[i] = (float)i / (float)PROBE;
        const DLTensor *inputs[1] = {qn_array_tensor(x)};
        ok = qn_call(kernel, inputs, 1, outputs, 2, NULL, &error) == QN_OK;
    }
    *ms = cli_now_ms() - start;
    if (ok) {
        *sum = *(const float *)qn_array_tensor(outputs[0])->data;
        ok = *(const float *)qn_array_tensor(outputs[1])->data == 3.0F;
        if (!ok) snprintf(message, size, "wrong result");
    } else {
        snprintf(message, size, "%s", error.message);
    }
    qn_array_destroy(outputs[0]);
    qn_array_destroy(outputs[1]);
    qn_array_destroy(x);
    qn_kernel_destroy(kernel);
    qn_module_destroy(module);
    qn_context_destroy(context);
    return ok;
}

typedef struct check { const char *name; bool ok; char text[1024]; } check;

int cli_doctor(int argc, char **argv) {
    cli_options options;
    if (!cli_parse(&options, "doctor", argc, argv)) {
        cli_options_free(&options);
        return QN_USAGE;
    }
    check checks[4] = {{"code", true, ""}, {"interp", true, ""}, {"cpu", true, ""}, {"same bits", true, ""}};
    qn__text target = QN__TEXT_EMPTY, out = QN__TEXT_EMPTY;
    checks[0].ok = qn__llvm_describe(NULL, &target);
    snprintf(checks[0].text, sizeof checks[0].text, "%s", qn__text_bytes(&target));
    float sums[2] = {0, 0};
    for (int e = 0; e < 2; e++) {
        double ms = 0;
        check *c = &checks[1 + e];
        c->ok = engine_works(e ? QN_ENGINE_CPU : QN_ENGINE_INTERP, &sums[e], &ms, c->text, sizeof c->text);
        if (c->ok) snprintf(c->text, sizeof c->text, "works; from source to result in %.1f ms", ms);
    }
    checks[3].ok = memcmp(&sums[0], &sums[1], sizeof *sums) == 0;
    snprintf(checks[3].text, sizeof checks[3].text, checks[3].ok ? "the engines agree" : "the engines differ: %a and %a", (double)sums[0], (double)sums[1]);
    bool ok = true;
    qn__text_format(&out, options.json ? "{\"version\": \"%s\", \"processors\": %ld" : "quern %s, %ld processors\n", qn_version(), sysconf(_SC_NPROCESSORS_ONLN));
    for (int i = 0; i < 4; i++) {
        ok = ok && checks[i].ok;
        if (!options.json) {
            qn__text_format(&out, "  %-10s %-6s %s\n", checks[i].name, checks[i].ok ? "ok" : "FAILS", checks[i].text);
            continue;
        }
        qn__text_format(&out, ", \"%s\": {\"ok\": %s, \"text\": ", checks[i].name, checks[i].ok ? "true" : "false");
        qn__text_add_json_string(&out, checks[i].text, strlen(checks[i].text));
        qn__text_add_char(&out, '}');
    }
    if (options.json) qn__text_add_string(&out, "}\n");
    if (!cli_write(&out)) ok = false;
    qn__text_free(&target);
    qn__text_free(&out);
    cli_options_free(&options);
    return ok ? QN_OK : cli_fail(QN_INTERNAL, "this installation does not work as it should");
}
