/* Reads QUERN_EMULATOR_*: one function per setting, found through settings.def. A malformed value is an error, never a
 * default: a test that asks for a fault must not run without it because of a slip.
 *
 * The log is a descriptor in append mode; a line is one write, so that lines of threads and processes do not mix. */
#include "emulator/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int log_descriptor = -1; /* set once, by cuInit, under the driver's lock */

void em_log(const char *format, ...) {
    int descriptor = __atomic_load_n(&log_descriptor, __ATOMIC_ACQUIRE);
    if (descriptor < 0) return;
    char line[2048] = "quern-emulator: ";
    size_t used = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    used = used + (size_t)length < sizeof line - 1 ? used + (size_t)length : sizeof line - 2;
    line[used++] = '\n';
    for (size_t done = 0; done < used;) {
        ssize_t wrote = write(descriptor, line + done, used - done);
        if (wrote < 0 && errno != EINTR) return;
        if (wrote > 0) done += (size_t)wrote;
    }
}

static const em_sm sms[] = {
#define SM(number, driver, threads, blocks, shared, shared_block, name)                                                \
    {number, driver, threads, blocks, shared, shared_block, name},
#include "emulator/sm.def"
#undef SM
};

static const char *const request_names[EM_REQUESTS] = {
#define FAULT(ENUM, name, what) [EM_REQUEST_##ENUM] = name,
#include "emulator/fault.def"
#undef FAULT
};

static bool number(const char *text, uint64_t most, uint64_t *value) {
    char *end;
    if (*text < '0' || *text > '9') return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return !*end && !errno && *value <= most;
}

static bool small(const char *text, uint64_t least, uint64_t most, uint32_t *value) {
    uint64_t n;
    if (!number(text, most, &n) || n < least) return false;
    *value = (uint32_t)n;
    return true;
}

static bool read_log(em_settings *settings, const char *text) {
    (void)settings;
    if (!*text) return true;
    int descriptor = strcmp(text, "-") ? open(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : STDERR_FILENO;
    if (descriptor < 0) return false;
    __atomic_store_n(&log_descriptor, descriptor, __ATOMIC_RELEASE);
    return true;
}

static bool read_sm(em_settings *settings, const char *text) {
    uint32_t n;
    if (!small(text, 0, 1000, &n)) return false;
    for (size_t i = 0; i < sizeof sms / sizeof *sms; i++)
        if (sms[i].number == n) settings->sm = &sms[i];
    return settings->sm != NULL;
}

/* The newest PTX ISA of a driver, from the release history in NVIDIA's PTX manual: 11.x has 7.x, 12.0 to 12.5 have 8.0
 * to 8.5, 12.6 stayed at 8.5, and 13.x has 9.x. */
static uint32_t ptx_of(int driver) {
    uint32_t major = (uint32_t)driver / 1000, minor = (uint32_t)driver % 1000 / 10;
    if (major == 11) return 70 + (minor > 8 ? 8 : minor);
    if (major == 12) return 80 + (minor <= 5 ? minor : minor > 9 ? 8 : minor - 1);
    return 90 + (minor > 9 ? 9 : minor);
}

static bool read_driver(em_settings *settings, const char *text) {
    uint32_t n;
    if (!small(text, 11000, 13990, &n) || n % 10) return false;
    settings->driver = (int)n;
    settings->ptx_version = ptx_of((int)n);
    return true;
}

static bool read_devices(em_settings *settings, const char *text) {
    uint32_t n;
    if (!small(text, 0, 16, &n)) return false;
    settings->devices = (int)n;
    return true;
}

static bool read_memory(em_settings *settings, const char *text) {
    uint64_t n;
    if (!number(text, UINT64_C(1) << 40, &n) || n < 4096) return false;
    settings->memory = n;
    return true;
}

static bool read_processors(em_settings *settings, const char *text) {
    return small(text, 1, 1024, &settings->processors);
}

static bool read_workers(em_settings *settings, const char *text) {
    if (!small(text, 0, 256, &settings->workers)) return false;
    if (settings->workers) return true;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    settings->workers = online < 1 ? 1 : online > 256 ? 256 : (uint32_t)online;
    return true;
}

/* Calls read for each part between commas; text is changed. */
static bool each(em_settings *settings, const char *text, bool (*read)(em_settings *settings, char *part)) {
    char *copy = strdup(text), *rest = copy, *part;
    bool fine = copy != NULL;
    while (fine && (part = strsep(&rest, ","))) fine = read(settings, part);
    free(copy);
    return fine;
}

static bool read_check(em_settings *settings, char *part) {
    if (!strcmp(part, "race"))
        settings->race = true;
    else if (!strcmp(part, "init"))
        settings->init = true;
    else if (!strcmp(part, "fill"))
        settings->fill = true;
    else
        return false;
    return true;
}

static bool read_checks(em_settings *settings, const char *text) {
    if (!strcmp(text, "none")) return true;
    return each(settings, strcmp(text, "all") ? text : "race,init,fill", read_check);
}

/* cuGetProcAddress, which may be called before cuInit, looks at it itself. */
static bool read_missing(em_settings *settings, const char *text) {
    return (void)settings, (void)text, true;
}

static bool read_fault_part(em_settings *settings, char *part) {
    if (!strcmp(part, "init")) return settings->no_device = true;
    char *argument = strchr(part, ':');
    if (!argument) return false;
    *argument++ = 0;
    if (!strcmp(part, "slow-copy")) {
        char *end;
        settings->copy_rate = strtod(argument, &end);
        return end != argument && !*end && settings->copy_rate >= 1 && settings->copy_rate <= 1e15;
    }
    for (size_t i = 0; i < EM_REQUESTS; i++) {
        if (strcmp(part, request_names[i])) continue;
        size_t length = strlen(argument);
        if (length && argument[length - 1] == '+') {
            settings->faults[i].onwards = true;
            argument[length - 1] = 0;
        }
        return number(argument, INT64_MAX, &settings->faults[i].at) && settings->faults[i].at;
    }
    return false;
}

static bool read_fault(em_settings *settings, const char *text) {
    return !*text || each(settings, text, read_fault_part);
}

bool em_settings_read(em_settings *settings) {
    static const struct {
        const char *variable, *fallback, *meaning;
        bool (*read)(em_settings *settings, const char *text);
    } table[] = {
#define SETTING(field, variable, fallback, meaning) {variable, fallback, meaning, read_##field},
#include "emulator/settings.def"
#undef SETTING
    };
    *settings = (em_settings){0};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *text = getenv(table[i].variable);
        if (table[i].read(settings, text ? text : table[i].fallback)) continue;
        em_log("%s is \"%s\"; it should be: %s", table[i].variable, text ? text : table[i].fallback, table[i].meaning);
        return false;
    }
    if (settings->driver < settings->sm->oldest_driver) {
        em_log("QUERN_EMULATOR_DRIVER is %d, but compute capability %u needs %d", settings->driver,
               settings->sm->number, settings->sm->oldest_driver);
        return false;
    }
    return true;
}
