/* The driver's one state: initialisation, the lock that all of it is under, names of errors, the table of entry points,
 * the end of the process.
 *
 * A driver is per process by its nature, so here, and in handle.c and settings.c, are the only mutable globals. The
 * state is set up by the first cuInit and left at exit; the library stays loaded (-z nodelete), since threads that
 * serve streams run its code. A forked child sees NOT_INITIALIZED, as with the real driver: the threads are gone. */
#include "emulator/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

em_driver em__driver;
pthread_mutex_t em__lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t em__changed = PTHREAD_COND_INITIALIZER;
_Thread_local bool em__in_callback;

static void before_fork(void) {
    pthread_mutex_lock(&em__lock);
}
static void after_fork_parent(void) {
    pthread_mutex_unlock(&em__lock);
}
static void after_fork_child(void) {
    if (em__driver.state == EM_READY) em__driver.state = EM_FORKED;
    pthread_cond_init(&em__changed, NULL);
    pthread_mutex_unlock(&em__lock);
}

static CUresult start_devices(void) {
    em_settings *settings = &em__driver.settings;
    for (int i = 0; i < settings->devices; i++) {
        em_device_state *state = &em__driver.devices[i];
        state->device = (em_device){.sm = settings->sm->number,
                                    .ptx_version = settings->ptx_version,
                                    .processors = settings->processors,
                                    .workers = settings->workers,
                                    .race_check = settings->race,
                                    .init_check = settings->init};
        state->memory = em_memory_create(settings->memory);
        state->primary = (em_context){.device = i, .primary = true};
        state->primary.handle = em_handle_make(EM_CONTEXT, &state->primary);
        state->default_pool.device = i;
        state->pool = &state->default_pool;
        for (int a = 0; a < 3; a++) state->default_pool.attributes[a] = 1;
        if (!state->memory || !state->primary.handle || em_object_add(&state->default_pool.object, EM_POOL, NULL))
            return CUDA_ERROR_OUT_OF_MEMORY;
    }
    return CUDA_SUCCESS;
}

/* With the lock held. */
static CUresult initialise(void) {
    static bool forks_watched;
    if (!em_settings_read(&em__driver.settings)) return CUDA_ERROR_INVALID_VALUE;
    if (em__driver.settings.no_device || !em__driver.settings.devices) return CUDA_ERROR_NO_DEVICE;
    if (!forks_watched && pthread_atfork(before_fork, after_fork_parent, after_fork_child))
        return CUDA_ERROR_OUT_OF_MEMORY;
    forks_watched = true;
    CUresult result = start_devices();
    if (!result) em__driver.state = EM_READY;
    return result;
}

CUresult cuInit(unsigned int flags) {
    if (flags) return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&em__lock);
    CUresult result = CUDA_SUCCESS;
    switch (em__driver.state) {
    case EM_UNINITIALISED: result = initialise(); break;
    case EM_READY: break;
    case EM_SHUT_DOWN: result = CUDA_ERROR_DEINITIALIZED; break;
    case EM_FORKED: result = CUDA_ERROR_NOT_INITIALIZED; break;
    }
    return em_leave(result);
}

CUresult em_enter_driver(void) {
    if (em__in_callback) return CUDA_ERROR_NOT_PERMITTED;
    pthread_mutex_lock(&em__lock);
    switch (em__driver.state) {
    case EM_READY: return CUDA_SUCCESS;
    case EM_SHUT_DOWN: return em_leave(CUDA_ERROR_DEINITIALIZED);
    case EM_UNINITIALISED:
    case EM_FORKED: break;
    }
    return em_leave(CUDA_ERROR_NOT_INITIALIZED);
}

bool em_requested(em_request request) {
    uint64_t now = ++em__driver.requests[request], at = em__driver.settings.faults[request].at;
    return at && (now == at || (now > at && em__driver.settings.faults[request].onwards));
}

CUresult em_object_add(em_object *object, em_handle_type type, em_context *context) {
    object->handle = em_handle_make(type, object);
    if (!object->handle) return CUDA_ERROR_OUT_OF_MEMORY;
    object->type = type;
    object->context = context;
    object->previous = object->next = NULL;
    if (context) {
        object->next = context->objects;
        if (context->objects) context->objects->previous = object;
        context->objects = object;
    }
    return CUDA_SUCCESS;
}

void em_object_remove(em_object *object) {
    em_handle_drop(object->handle);
    object->handle = NULL;
    if (!object->context) return;
    if (object->previous)
        object->previous->next = object->next;
    else if (object->context->objects == object)
        object->context->objects = object->next;
    if (object->next) object->next->previous = object->previous;
    object->previous = object->next = NULL;
    object->context = NULL;
}

CUresult cuDriverGetVersion(int *version) {
    if (!version) return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&em__lock); /* needs no cuInit: then what the environment says counts */
    em_settings settings = {0};
    if (em__driver.state == EM_UNINITIALISED) {
        if (!em_settings_read(&settings)) return em_leave(CUDA_ERROR_INVALID_VALUE);
    } else {
        settings.driver = em__driver.settings.driver;
    }
    *version = settings.driver;
    return em_leave(CUDA_SUCCESS);
}

static const struct {
    CUresult number;
    const char *name, *text;
} results[] = {
#define RESULT(name, number, text) {CUDA_##name, "CUDA_" #name, text},
#include "emulator/results.def"
#undef RESULT
};

CUresult cuGetErrorName(CUresult error, const char **name) {
    if (!name) return CUDA_ERROR_INVALID_VALUE;
    *name = NULL;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        if (results[i].number == error) *name = results[i].name;
    return *name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **text) {
    if (!text) return CUDA_ERROR_INVALID_VALUE;
    *text = NULL;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        if (results[i].number == error) *text = results[i].text;
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

typedef void (*entry_function)(void);
static const struct {
    const char *name;
    int since;
    entry_function function;
} entries[] = {
#define ENTRY(name, suffix, since, parameters) {#name, since, (entry_function)name##suffix},
#define ALIAS                                  ENTRY
#include "emulator/driver.def"
#undef ENTRY
};

/* QUERN_EMULATOR_MISSING counts before cuInit as well: programs look all functions up first. */
static bool hidden(const char *name) {
    const char *list = getenv("QUERN_EMULATOR_MISSING");
    size_t length = strlen(name);
    while (list && *list) {
        size_t part = strcspn(list, ",");
        if (part == length && !strncmp(list, name, length)) return true;
        list += part + (list[part] == ',');
    }
    return false;
}

CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version, uint64_t flags,
                             CUdriverProcAddressQueryResult *status) {
    if (!symbol || !function || flags & ~(uint64_t)3 || flags == 3) return CUDA_ERROR_INVALID_VALUE;
    if (flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) return CUDA_ERROR_NOT_SUPPORTED;
    int best = 0;
    bool known = false;
    entry_function found = NULL;
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        if (strcmp(entries[i].name, symbol)) continue;
        known = true;
        if (entries[i].since > version || entries[i].since < best) continue;
        best = entries[i].since;
        found = entries[i].function;
    }
    if (hidden(symbol)) known = false, found = NULL;
    memcpy(function, &found, sizeof found); /* a pointer to a function, as POSIX has it */
    if (status)
        *status = found   ? CU_GET_PROC_ADDRESS_SUCCESS
                  : known ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                          : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return found || status ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress(const char *symbol, void **function, int version, uint64_t flags) {
    return cuGetProcAddress_v2(symbol, function, version, flags, NULL);
}

CUresult cuProfilerStart(void) {
    em_context *context;
    CUresult result = em_enter(&context);
    return result ? result : em_leave(CUDA_SUCCESS);
}

CUresult cuProfilerStop(void) {
    return cuProfilerStart();
}

void em_statistics(em_stats *statistics) {
    pthread_mutex_lock(&em__lock);
    *statistics = em__driver.statistics;
    pthread_mutex_unlock(&em__lock);
}

/* At exit: what is still allocated is reported; kernels that run are ended and threads waited for, a while, since a
 * host function may never return. */
__attribute__((destructor)) static void shut_down(void) {
    pthread_mutex_lock(&em__lock);
    if (em__driver.state == EM_READY) {
        em__driver.state = EM_SHUT_DOWN;
        for (em_context *context = em__driver.contexts; context; context = context->next) {
            em_context_report(context);
            em_context_fail(context, CUDA_ERROR_DEINITIALIZED);
            for (em_stream *stream = context->streams; stream; stream = stream->next) stream->closing = true;
        }
        pthread_cond_broadcast(&em__changed);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 2;
        while (!em__in_callback && em__driver.workers && !pthread_cond_timedwait(&em__changed, &em__lock, &until))
            continue;
    }
    pthread_mutex_unlock(&em__lock);
}
