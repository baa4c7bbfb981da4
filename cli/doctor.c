/* quern doctor: what this machine and installation are, and whether each engine computes correctly here. A machine without a CUDA driver or device is
 * in order: that is said, with what is missing; a device that is there and does not work is not. */
#include "cli/cli.h"
#include "compiler/llvm/emit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char probe[] = "kernel probe(x: f32[n]) -> s: f32, y: f32[n] {\n    y[i] = exp(x[i]) * 2.0 + 1.0\n    s = sum(i: x[i])\n}\n";
enum { PROBE = 1000, MAX_DEVICES = 8 };

typedef struct check { const char *name; bool ok, absent; char text[1600]; } check;

/* Runs the probe on one engine. y[0] = exp(0) * 2 + 1 = 3; s = 0 + 1/1000 + ... in the contract's order. */
static bool engine_works(const qn_context_options *options, float *sum, double *ms, char *message, size_t size) {
    qn_context *context = NULL;
    qn_module *module = NULL;
    qn_kernel *kernel = NULL;
    qn_array *x = NULL, *outputs[2] = {NULL, NULL};
    qn_error error = {0};
    const int64_t shape[1] = {PROBE};
    const double start = cli_now_ms();
    bool ok = qn_context_create(options, &context, &error) == QN_OK &&
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

static void check_engine(check *c, const qn_context_options *options, float *sum) {
    double ms = 0;
    char message[1024];
    c->ok = engine_works(options, sum, &ms, message, sizeof message);
    const size_t used = strlen(c->text);
    if (c->ok) snprintf(c->text + used, sizeof c->text - used, "%sworks; from source to result in %.1f ms", used ? "; " : "", ms);
    else snprintf(c->text + used, sizeof c->text - used, "%s%s", used ? "; " : "", message);
}

static void check_bits(check *c, float expected, float found) {
    c->ok = memcmp(&expected, &found, sizeof expected) == 0;
    snprintf(c->text, sizeof c->text, c->ok ? "the engines agree" : "the engines differ: %a and %a", (double)expected, (double)found);
}

/* The driver and each device; false: there is no device to check. */
static bool check_driver(check *c, uint32_t *devices) {
    qn_context *context = NULL;
    qn_device device;
    qn_error error;
    *devices = 0;
    c->ok = qn_context_create(NULL, &context, &error) == QN_OK;
    if (c->ok && qn_device_describe(context, 0, &device, &error) == QN_OK) {
        *devices = device.count;
        snprintf(c->text, sizeof c->text, "driver %s for CUDA %u.%u, PTX %u.%u, %u device%s", device.library, device.driver_version / 1000,
                 device.driver_version % 1000 / 10, device.ptx_version / 10, device.ptx_version % 10, device.count, device.count == 1 ? "" : "s");
    } else {
        c->absent = c->ok;
        snprintf(c->text, sizeof c->text, "%s", error.message);
    }
    qn_context_destroy(context);
    return *devices > 0;
}

static void check_device(check *c, uint32_t index, float *sum) {
    const qn_context_options options = {.engine = QN_ENGINE_CUDA, .device = index};
    qn_context *context = NULL;
    qn_device d;
    qn_error error;
    if (qn_context_create(&options, &context, &error) != QN_OK || qn_device_describe(context, index, &d, &error) != QN_OK) {
        c->ok = false;
        snprintf(c->text, sizeof c->text, "%s", error.message);
    } else {
        snprintf(c->text, sizeof c->text, "%s, sm_%u, %u multiprocessors, %.1f of %.1f GB free", d.name, d.compute_capability, d.processors,
                 (double)d.free_bytes * 1e-9, (double)d.memory_bytes * 1e-9);
        check_engine(c, &options, sum);
    }
    qn_context_destroy(context);
}

static void print(qn__text *out, const check *c, bool json) {
    if (!json) {
        qn__text_format(out, "  %-10s %-6s %s\n", c->name, c->absent ? "none" : c->ok ? "ok" : "FAILS", c->text);
        return;
    }
    qn__text_format(out, ", \"%s\": {\"ok\": %s, \"present\": %s, \"text\": ", c->name, c->ok ? "true" : "false", c->absent ? "false" : "true");
    qn__text_add_json_string(out, c->text, strlen(c->text));
    qn__text_add_char(out, '}');
}

int cli_doctor(int argc, char **argv) {
    cli_options options;
    if (!cli_parse(&options, "doctor", argc, argv)) {
        cli_options_free(&options);
        return QN_USAGE;
    }
    check checks[5 + MAX_DEVICES] = {0};
    char names[MAX_DEVICES][16];
    size_t count = 0;
    qn__text target = QN__TEXT_EMPTY, out = QN__TEXT_EMPTY;
    float sums[2] = {0, 0}, sum = 0;
    check *code = &checks[count++], *interp = &checks[count++], *cpu = &checks[count++], *bits = &checks[count++];
    code->name = "code";
    code->ok = qn__llvm_describe(NULL, &target);
    snprintf(code->text, sizeof code->text, "%s", qn__text_bytes(&target));
    interp->name = "interp";
    check_engine(interp, &(qn_context_options){.engine = QN_ENGINE_INTERP}, &sums[0]);
    cpu->name = "cpu";
    check_engine(cpu, &(qn_context_options){.engine = QN_ENGINE_CPU}, &sums[1]);
    bits->name = "same bits";
    check_bits(bits, sums[0], sums[1]);
    check *driver = &checks[count++];
    uint32_t devices;
    driver->name = "cuda";
    check_driver(driver, &devices);
    for (uint32_t i = 0; i < devices && i < MAX_DEVICES; i++) {
        check *c = &checks[count++];
        snprintf(names[i], sizeof names[i], "cuda:%u", i);
        c->name = names[i];
        check_device(c, i, &sum);
        if (c->ok && memcmp(&sum, &sums[0], sizeof sum) != 0) {
            c->ok = false;
            snprintf(c->text, sizeof c->text, "differs from the interpreter: %a and %a", (double)sum, (double)sums[0]);
        }
    }
    bool ok = true;
    qn__text_format(&out, options.json ? "{\"version\": \"%s\", \"processors\": %ld" : "quern %s, %ld processors\n", qn_version(), sysconf(_SC_NPROCESSORS_ONLN));
    for (size_t i = 0; i < count; i++) {
        ok = ok && (checks[i].ok || checks[i].absent);
        print(&out, &checks[i], options.json);
    }
    if (options.json) qn__text_add_string(&out, "}\n");
    if (!cli_write(&out)) ok = false;
    qn__text_free(&target);
    qn__text_free(&out);
    cli_options_free(&options);
    return ok ? QN_OK : cli_fail(QN_INTERNAL, "this installation does not work as it should");
}
