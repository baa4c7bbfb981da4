/* Kernels: one specialisation of a module's kernel, compiled to an image and loaded on an engine. Immutable afterwards. */
#include "api/internal.h"
#include "ir/prototype.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double since(uint64_t start) { return (double)(qn__now() - start) * 1e-6; }

void qn_kernel_destroy(qn_kernel *kernel) {
    if (!kernel) return;
    qn__tier_end(kernel);
    qn__kernel_drop(kernel, &kernel->loaded);
    if (kernel->shapes) {
        for (uint32_t i = 0; i < kernel->image.signature->parameter_count; i++) free(kernel->shapes[i]);
        free(kernel->shapes);
    }
    free(kernel->externs);
    qn__compiled_release(kernel->compiled);
    qn__arena_destroy(kernel->cached);
    qn_kernel_destroy(kernel->fallback);
    pthread_mutex_destroy(&kernel->memory);
    pthread_mutex_destroy(&kernel->profiling);
    qn__module_release(kernel->module);
    free(kernel);
}

static const qn__kernel_info *find_kernel(const qn_module *module, const char *name, qn_error *error) {
    const qn__kernel_info *info = qn__program_kernel(module->program, name);
    if (info) return info;
    char list[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < module->kernel_count && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", module->kernels[i].name);
    if (module->kernel_count == 0)
        qn__error(error, QN_USAGE, "the source has no kernel");
    else if (name && *name)
        qn__error(error, QN_USAGE, "no kernel is named '%s'; the source has: %s", name, list);
    else
        qn__error(error, QN_USAGE, "the source has several kernels, name one of: %s", list);
    return NULL;
}

/* The type arguments of a generic kernel: given, or from the inputs' types. */
static qn_status type_arguments(const qn_module *module, const qn__kernel_info *info, const qn_kernel_options *options,
                                qn__type *types, qn_error *error) {
    if (info->generic_count == 0 && options->type_argument_count == 0) return QN_OK;
    if (options->type_arguments) {
        if (options->type_argument_count != info->generic_count)
            return qn__error(error, QN_USAGE, "kernel %s has %u type parameters, %zu were given", info->name,
                            info->generic_count, options->type_argument_count);
        for (uint32_t i = 0; i < info->generic_count; i++) {
            if (!qn_type_name(options->type_arguments[i])) return qn__error(error, QN_USAGE, "type argument %u is no type", i);
            types[i] = (qn__type)options->type_arguments[i];
        }
        return QN_OK;
    }
    for (uint32_t i = 0; i < info->generic_count; i++) {
        const int32_t source = qn__kernel_generic_source(module->program, info, i);
        if (source < 0 || (size_t)source >= options->input_count)
            return qn__error(error, QN_USAGE, "kernel %s is generic: say what %s is, or give its inputs", info->name,
                            info->generic_names[i]);
        types[i] = (qn__type)qn_type_from_dlpack(options->inputs[source]->dtype);
        if (types[i] == QN__TYPE_NONE) return qn__error(error, QN_USAGE, "input %d has a type that Quern does not know", source);
    }
    return QN_OK;
}

static bool describe_shapes(qn_kernel *kernel) {
    const qn__signature *signature = kernel->image.signature;
    kernel->shapes = calloc(signature->parameter_count + 1U, sizeof *kernel->shapes);
    if (!kernel->shapes) return false;
    qn__text text = QN__TEXT_EMPTY;
    bool ok = true;
    for (uint32_t i = 0; ok && i < signature->parameter_count; i++) {
        qn__text_clear(&text);
        for (uint32_t d = 0; d < signature->parameters[i].rank; d++) {
            if (d) qn__text_add_string(&text, ", ");
            qn__dim_print(signature, signature->parameters[i].dim[d], &text);
        }
        kernel->shapes[i] = strdup(qn__text_bytes(&text));
        ok = kernel->shapes[i] != NULL && !text.failed;
    }
    qn__text_free(&text);
    return ok;
}

static qn_status bind_externs(qn_kernel *kernel, qn_error *error) {
    const qn__image *image = &kernel->image;
    kernel->externs = calloc(image->extern_count + 1U, sizeof *kernel->externs);
    if (!kernel->externs) return qn__error(error, QN_RESOURCE, "out of memory");
    for (uint32_t i = 0; i < image->extern_count; i++) {
        for (const qn__host_function *f = kernel->module->functions; f && !kernel->externs[i]; f = f->next)
            if (strcmp(f->name, image->externs[i].name) == 0) memcpy(&kernel->externs[i], &f->function, sizeof(void *));
        if (!kernel->externs[i])
            return qn__error(error, QN_USAGE, "the host function '%s' is not registered", image->externs[i].name);
    }
    return QN_OK;
}

qn_status qn__kernel_ir(qn_kernel *kernel, qn_error *error) {
    if (kernel->compiled) return QN_OK;
    qn_context *context = kernel->module->context;
    const qn__compile_options options = {.memory_limit = context->options.memory_limit,
                                         .stop_after = context->options.debug ? "fma" : NULL}; /* what the contract needs, and no more */
    const uint64_t start = qn__now();
    qn__compiled *compiled = qn__compile(kernel->module->program, kernel->info, kernel->types, kernel->info->generic_count, &options);
    kernel->times.passes_ms = since(start); /* checking, lowering and passes */
    if (!compiled) return qn__error(error, QN_RESOURCE, "out of memory");
    qn__no_error(error);
    const qn_status status = qn__deliver(context, &compiled->sink, &kernel->module->program->sources, error);
    if (compiled->ir) {
        kernel->compiled = compiled;
        return QN_OK;
    }
    qn__compiled_release(compiled);
    return status != QN_OK ? status : qn__error(error, QN_RESOURCE, "the compilation ran out of memory");
}

/* What a backend that gave up means: a device cannot run every kernel (host functions). */
static qn_status emit_status(const qn__engine_row *row, const char *message) {
    const qn_status status = qn__failure(message);
    return row->device && status == QN_INTERNAL ? QN_DEVICE : status;
}

/* The image: from the cache, or compiled and then stored there. With tiers it is the interpreter's (*row is then changed)
 * unless the cache has the compiled one. */
static qn_status make_image(qn_kernel *kernel, const qn__engine_row **chosen, bool tiers, qn_error *error) {
    qn_context *context = kernel->module->context;
    const char *message = "unknown reason";
    char *key = (*chosen)->cached ? qn__cached_key(kernel, *chosen) : NULL;
    const uint64_t start = qn__now();
    if (key && qn__cached_find(kernel, key)) {
        kernel->times.load_ms = since(start);
        free(key);
        return QN_OK;
    }
    if (tiers) {
        kernel->tier.key = key;
        key = NULL;
        *chosen = qn__engine_row_of(QN_ENGINE_INTERP);
    }
    const qn__engine_row *row = *chosen;
    qn_status status = qn__kernel_ir(kernel, error);
    if (status == QN_OK) {
        const uint64_t emitting = qn__now();
        if (!row->emit(kernel->compiled->ir, context, &kernel->image, &message))
            status = qn__error(error, kernel->compiled->ir->failed ? QN_RESOURCE : emit_status(row, message), "%s: %s", row->name, message);
        kernel->times.emit_ms = since(emitting);
    }
    if (status == QN_OK && key && kernel->compiled->sink.count == 0) qn__cached_store(kernel, &kernel->image, key); /* warnings are said each time */
    free(key);
    return status;
}

void qn__kernel_bind_raw(const qn_kernel *kernel, const qn__loaded *loaded) {
    for (uint32_t i = 0; loaded->raw_externs && i < loaded->image->extern_count; i++) loaded->raw_externs[i] = kernel->externs[i];
}

/* What every loaded kernel needs before it can be called. */
static qn_status finish_kernel(qn_kernel *kernel, qn_error *error) {
    if (!describe_shapes(kernel)) return qn__error(error, QN_RESOURCE, "out of memory");
    const qn_status status = bind_externs(kernel, error);
    if (status != QN_OK) return status;
    qn__kernel_bind_raw(kernel, &kernel->loaded);
    atomic_store(&kernel->current, &kernel->loaded);
    return QN_OK;
}

static qn_status load_on(qn_kernel *kernel, qn__cuda_device *device, qn_error *error) {
    qn__cuda_error failed = {0};
    const uint64_t start = qn__now();
    if (!qn__cuda_load(&kernel->loaded, &kernel->image, device, &failed))
        return qn__error(error, qn__cuda_status(failed.failure), "cuda: %s", failed.text);
    kernel->times.load_ms += since(start);
    return finish_kernel(kernel, error);
}

static qn_status compile(qn_kernel *kernel, bool tiers, qn_error *error) {
    const qn__engine_row *row = qn__engine_row_of(kernel->engine);
    const char *message = "unknown reason";
    kernel->times.parse_ms = kernel->module->parse_ms;
    qn_context *context = kernel->module->context;
    qn__cuda_device *device = NULL;
    qn_status status = row->device ? qn__context_device(context, context->options.device, &device, error) : QN_OK;
    if (status == QN_OK) status = make_image(kernel, &row, tiers, error);
    if (status != QN_OK) return status;
    if (row->device) return load_on(kernel, device, error);
    const uint64_t start = qn__now();
    qn__loader *loader = row->native ? qn__context_loader(context, &message) : NULL;
    if (row->native && !loader) return qn__error(error, qn__failure(message), "the JIT cannot start: %s", message);
    if (!qn__kernel_load(&kernel->loaded, row->engine, &kernel->image, loader, &message))
        return qn__error(error, qn__failure(message), "%s: %s", row->name, message);
    kernel->times.load_ms += since(start);
    status = finish_kernel(kernel, error);
    if (status != QN_OK) return status;
    qn__quick_plan(kernel);
    if (tiers && !row->native) qn__tier_start(kernel);
    return QN_OK;
}

/* What a compilation for one engine made, but for the IR. */
static void forget_image(qn_kernel *kernel) {
    qn__kernel_drop(kernel, &kernel->loaded);
    qn__arena_destroy(kernel->cached);
    kernel->cached = NULL;
    kernel->image = (qn__image){0};
}

/* For the engine of the kernel; where the context allows it, and the device is what fails, for the next one: cuda, cpu, interp. */
static qn_status compile_guarded(qn_kernel *kernel, bool tiers, qn_error *error) {
    qn_context *context = kernel->module->context;
    qn_error own;
    if (!error) error = &own;
    const bool guarded = context->options.fallback && kernel->engine == QN_ENGINE_CUDA;
    qn_status status = compile(kernel, tiers, error);
    while (guarded && kernel->engine != QN_ENGINE_INTERP && (status == QN_DEVICE || status == QN_RESOURCE || status == QN_INTERNAL)) {
        if (kernel->engine == QN_ENGINE_CUDA) {
            snprintf(kernel->why, sizeof kernel->why, "%.*s", (int)sizeof kernel->why - 1, error->message);
            qn__count_failure(context, kernel->why, true, false);
        }
        forget_image(kernel);
        kernel->engine = kernel->engine == QN_ENGINE_CUDA ? QN_ENGINE_CPU : QN_ENGINE_INTERP;
        status = compile(kernel, tiers, error);
    }
    return status;
}

/* Engine and tier together: INTERP is the tier INTERP, CPU is NATIVE; where both are left open the kernel has both tiers. */
static qn_status choose_engine(qn_kernel *kernel, const qn_kernel_options *options, bool *tiers, qn_error *error) {
    const qn_engine given = options->engine != QN_ENGINE_AUTO ? options->engine : kernel->module->context->options.engine;
    *tiers = false;
    kernel->engine = given;
    switch (options->tier) {
    case QN_TIER_AUTO:
        *tiers = given == QN_ENGINE_AUTO;
        if (*tiers) kernel->engine = QN_ENGINE_CPU;
        return QN_OK;
    case QN_TIER_INTERP:
        kernel->engine = QN_ENGINE_INTERP;
        if (given != QN_ENGINE_CPU && given != QN_ENGINE_CUDA) return QN_OK;
        return qn__error(error, QN_USAGE, "tier INTERP does not go with engine %s", given == QN_ENGINE_CPU ? "CPU" : "CUDA");
    case QN_TIER_NATIVE:
        kernel->engine = given == QN_ENGINE_CUDA ? given : QN_ENGINE_CPU;
        if (given != QN_ENGINE_INTERP) return QN_OK;
        return qn__error(error, QN_USAGE, "tier NATIVE does not go with engine INTERP");
    }
    return qn__error(error, QN_USAGE, "unknown tier %d", (int)options->tier);
}

qn_status qn_kernel_create(qn_module *module, const char *name, const qn_kernel_options *options, qn_kernel **kernel,
                           qn_error *error) {
    if (!module || !kernel) return qn__error(error, QN_USAGE, "qn_kernel_create: module or kernel is NULL");
    *kernel = NULL;
    const qn_kernel_options given = options ? *options : (qn_kernel_options){0};
    if (!qn__engine_row_of(given.engine)) return qn__error(error, QN_USAGE, "unknown engine %d", (int)given.engine);
    qn_kernel *k = calloc(1, sizeof *k);
    if (!k || pthread_mutex_init(&k->memory, NULL) != 0 || pthread_mutex_init(&k->profiling, NULL) != 0) {
        free(k);
        return qn__error(error, QN_RESOURCE, "out of memory");
    }
    k->module = module;
    qn__module_retain(module);
    bool tiers;
    qn_status status = choose_engine(k, &given, &tiers, error);
    pthread_mutex_lock(&module->mutex);
    if (status == QN_OK && !(k->info = find_kernel(module, name, error))) status = QN_USAGE;
    if (status == QN_OK) status = type_arguments(module, k->info, &given, k->types, error);
    k->wanted = k->engine;
    if (status == QN_OK) status = compile_guarded(k, tiers, error);
    pthread_mutex_unlock(&module->mutex);
    if (status != QN_OK) {
        qn_kernel_destroy(k);
        return status;
    }
    *kernel = k;
    return QN_OK;
}

const char *qn_kernel_name(const qn_kernel *kernel) { return kernel ? kernel->image.signature->name : NULL; }
qn_engine qn_kernel_engine(const qn_kernel *kernel) { return kernel ? kernel->engine : QN_ENGINE_AUTO; }
size_t qn_kernel_input_count(const qn_kernel *kernel) { return kernel ? kernel->image.signature->input_count : 0; }

size_t qn_kernel_output_count(const qn_kernel *kernel) {
    return kernel ? kernel->image.signature->parameter_count - kernel->image.signature->input_count : 0;
}

static qn_parameter parameter(const qn_kernel *kernel, size_t index) {
    const qn__parameter *p = &kernel->image.signature->parameters[index];
    static const qn_parameter_kind kinds[] = {[QN__PARAMETER_SCALAR] = QN_SCALAR, [QN__PARAMETER_IN] = QN_IN,
                                              [QN__PARAMETER_INOUT] = QN_INOUT, [QN__PARAMETER_OUT] = QN_OUT};
    return (qn_parameter){.name = p->name, .type = (qn_type)p->type, .kind = kinds[p->kind], .rank = p->rank,
                          .shape = kernel->shapes[index]};
}

qn_parameter qn_kernel_input(const qn_kernel *kernel, size_t index) {
    return index < qn_kernel_input_count(kernel) ? parameter(kernel, index) : (qn_parameter){0};
}

qn_parameter qn_kernel_output(const qn_kernel *kernel, size_t index) {
    return index < qn_kernel_output_count(kernel) ? parameter(kernel, kernel->image.signature->input_count + index)
                                                  : (qn_parameter){0};
}

qn_compile_times qn_kernel_compile_times(const qn_kernel *kernel) {
    if (!kernel) return (qn_compile_times){0};
    qn__queue_recover(kernel->module->context);
    pthread_mutex_t *lock = &kernel->module->context->queue.lock;
    pthread_mutex_lock(lock);
    const qn_compile_times times = kernel->times;
    pthread_mutex_unlock(lock);
    return times;
}
