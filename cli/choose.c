/* Engine `auto`: the processor, unless the call is long and a device is expected to be done first, with opening it counted; and what `explain` says about that. */
#include "api/internal.h"
#include "cli/cli.h"

#include <stdio.h>

static const double WORTH_OPENING_MS = 200; /* a process that uses a device for the first time waits about so long for it */

int cli_choose(cli_call *call, const cli_options *options) {
    const double rough = qn__kernel_rough_ms(call->kernel, call->input_list, call->input_count);
    if (rough < WORTH_OPENING_MS) {
        snprintf(call->why, sizeof call->why, "auto: about %.3g ms of work, too little for a device", rough);
        return QN_OK;
    }
    qn_estimate e;
    qn_error error;
    if (qn_kernel_estimate(call->kernel, call->input_list, call->input_count, &e, &error) != QN_OK) {
        snprintf(call->why, sizeof call->why, "auto: %.*s", (int)sizeof call->why - 8, error.message);
        return QN_OK;
    }
    const bool device = e.cuda_ms + WORTH_OPENING_MS < e.cpu_ms;
    snprintf(call->why, sizeof call->why, "auto: %.4g ms expected on cpu, %.4g ms on cuda%s", e.cpu_ms, e.cuda_ms, e.guessed ? " (a guess: it depends on data)" : "");
    if (!device) return QN_OK;
    qn_kernel *kernel;
    const double start = cli_now_ms();
    const int status = cli_kernel_for(call, options, QN_ENGINE_CUDA, &kernel);
    if (status != QN_OK) return status;
    qn_kernel_destroy(call->kernel);
    call->kernel = kernel;
    call->compile_ms += cli_now_ms() - start;
    return QN_OK;
}

static void add(qn__text *out, const char *format, double a, double b) {
    char line[256];
    snprintf(line, sizeof line, format, a, b);
    qn__text_add_string(out, line);
}

/* From which sizes on: a factor, and what the names of the sizes then are. */
static void add_sizes(qn__text *out, const cli_call *call, double factor) {
    const qn__signature *s = call->kernel->image.signature;
    add(out, "  the device pays when all sizes are %.3g times these, or more", factor, 0);
    for (uint32_t i = 0, named = 0; i < s->symbol_count; i++) {
        if (s->symbols[i].existential) continue;
        const double size = (double)(call->input_list[s->symbols[i].parameter]->shape[s->symbols[i].dimension] - s->symbols[i].addend) * factor;
        qn__text_format(out, "%s%s = ", named++ ? ", " : ": ", s->symbols[i].name);
        add(out, "%.0f", size, 0);
    }
    qn__text_add_char(out, '\n');
}

void cli_explain_engines(cli_call *call, qn__text *out) {
    qn_estimate e;
    qn_machine m;
    qn_error error;
    qn__text_add_string(out, "engines:\n");
    if (qn_kernel_estimate(call->kernel, call->input_list, call->input_count, &e, &error) != QN_OK ||
        qn_context_machine(call->context, &m, &error) != QN_OK) {
        qn__text_format(out, "  cuda: %s\n", error.message);
        return;
    }
    add(out, "  this call: %.4g operations, %.4g MB read and written by stages", e.operations, e.bytes * 1e-6);
    add(out, ", %.4g stages, %.4g MB to copy to the device and back", e.launches, e.copied_bytes * 1e-6);
    qn__text_add_string(out, e.guessed ? "; a guess: loops or sizes depend on data\n" : "\n");
    add(out, "  cpu:  %.4g ms expected on %.0f threads", e.cpu_ms, (double)qn_context_threads(call->context));
    add(out, " (%.3g ns an operation, %.3g ns a byte)\n", m.cpu_operation_ns, m.cpu_byte_ns);
    add(out, "  cuda: %.4g ms expected, %.4g ms with arrays that stay on the device\n", e.cuda_ms, e.cuda_resident_ms);
    add(out, "        a call %.3g us, a further stage %.3g us,", m.device_call_us, m.device_launch_us);
    add(out, " an operation %.3g ns for %.0f points at once,", m.device_step_ns, m.device_points);
    add(out, " a byte %.3g ns;\n        copies %.3g GB/s in,", m.device_byte_ns, m.in_gbytes);
    add(out, " %.3g GB/s out, pinned %.3g", m.out_gbytes, m.pinned_in_gbytes);
    add(out, " and %.3g GB/s\n", m.pinned_out_gbytes, 0);
    if (e.pays_from <= 0) qn__text_add_string(out, "  the device does not pay at any size\n");
    else add_sizes(out, call, e.pays_from);
}
