/* The files that perf reads, as tools/perf/Documentation of Linux describes them (jit-interface.txt, jitdump-specification.txt).
 *
 * A process has one file of each kind, whatever number of contexts it has: both are opened for appending, each load is one write under a lock
 * of the file, whoever finds the jitdump file empty writes its header, and the last user writes the closing record, where perf stops reading
 * (the next user takes it away again). The locks are on two bytes of the file, WRITER and USERS, and belong to its open descriptions. What an earlier process of the same id left is dropped. perf learns of
 * the jitdump file by an executable mapping of it; the mapping is private and read-only, nobody jumps there. */
#include "runtime/profile.h"

#include "ir/text.h"
#include "runtime/object.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PATH = 4096, ARENA_LIMIT = 64 << 20, NANOSECONDS = 1000000000 };
enum { USERS, WRITER };
enum { DUMP_MAGIC = 0x4A695444, DUMP_VERSION = 1, CODE_LOAD = 0, CODE_DEBUG_INFO = 2, CODE_CLOSE = 3 };

typedef struct dump_header { uint32_t magic, version, size, machine, unused, process; uint64_t time, flags; } dump_header;
typedef struct dump_prefix { uint32_t kind, size; uint64_t time; } dump_prefix;
typedef struct dump_load { dump_prefix prefix; uint32_t process, thread; uint64_t virtual_address, address, size, number; } dump_load;
typedef struct dump_lines { dump_prefix prefix; uint64_t address, count; } dump_lines;
typedef struct dump_line { uint64_t address; uint32_t line, discriminator; } dump_line; /* its path follows */

struct qn__profile {
    qn__loader face, *inner;
    pthread_mutex_t lock; /* one writer at a time */
    int map, dump;        /* -1: not open */
    void *mark;           /* the mapped page */
    size_t mark_size;
    pid_t process;        /* the one that made the files */
    char path[PATH];      /* of the dump */
};

static uint64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * NANOSECONDS + (uint64_t)time.tv_nsec;
}

/* ---- opening ---- */

/* When this process began, in nanoseconds of the real-time clock; 0: not known. */
static uint64_t process_start(void) {
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file) return 0;
    const size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    const char *at = strrchr(text, ')'); /* the second field is the program's name; the start is the 22nd */
    for (int field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
    const long ticks = sysconf(_SC_CLK_TCK);
    if (!at || ticks <= 0) return 0;
    const uint64_t since_boot = strtoull(at + 1, NULL, 10) * (NANOSECONDS / (uint64_t)ticks);
    return now(CLOCK_REALTIME) - now(CLOCK_BOOTTIME) + since_boot;
}

/* A file of ours alone, for appending; -1 with errno. */
static int open_own(const char *path) {
    const int descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (descriptor < 0) return -1;
    struct stat s;
    int error = fstat(descriptor, &s) == 0 ? 0 : errno;
    if (!error && (!S_ISREG(s.st_mode) || s.st_uid != geteuid() || s.st_nlink != 1)) error = EPERM;
    const uint64_t changed = (uint64_t)s.st_mtim.tv_sec * NANOSECONDS + (uint64_t)s.st_mtim.tv_nsec;
    if (!error && s.st_size && changed + NANOSECONDS < process_start() && ftruncate(descriptor, 0) != 0) error = errno; /* a second's tolerance for clocks */
    if (!error) return descriptor;
    close(descriptor);
    errno = error;
    return -1;
}

/* Makes the folder and those above it. */
static void make_folders(char *path) {
    for (char *at = path + 1; *at; at++) {
        if (*at != '/') continue;
        *at = 0;
        mkdir(path, 0700);
        *at = '/';
    }
    mkdir(path, 0700);
}

static bool dump_path(qn__profile *p) {
    const char *given = getenv("JITDUMPDIR"), *home = getenv("HOME");
    size_t length;
    if (given && given[0]) length = (size_t)snprintf(p->path, PATH, "%s", given);
    else if (home && home[0] == '/') length = (size_t)snprintf(p->path, PATH, "%s/.debug/jit", home);
    else length = (size_t)snprintf(p->path, PATH, ".");
    if (length + 32 > PATH) return errno = ENAMETOOLONG, false;
    make_folders(p->path);
    snprintf(p->path + length, PATH - length, "/jit-%ld.dump", (long)p->process);
    return true;
}

static bool append(int descriptor, const void *bytes, size_t size) {
    ssize_t written;
    do written = write(descriptor, bytes, size);
    while (written < 0 && errno == EINTR);
    return written == (ssize_t)size;
}

static bool lock(const qn__profile *p, short kind, off_t byte, bool wait) {
    struct flock how = {.l_type = kind, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int result;
    do result = fcntl(p->dump, wait ? F_OFD_SETLKW : F_OFD_SETLK, &how);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

static bool begin_writing(const qn__profile *p) { return lock(p, F_WRLCK, WRITER, true); }
static void end_writing(const qn__profile *p) { lock(p, F_UNLCK, WRITER, false); }

static bool drop_close(const qn__profile *p) {
    dump_prefix prefix;
    for (off_t at = sizeof(dump_header); pread(p->dump, &prefix, sizeof prefix, at) == sizeof prefix && prefix.size >= sizeof prefix; at += prefix.size)
        if (prefix.kind == CODE_CLOSE) return ftruncate(p->dump, at) == 0;
    return true;
}

static bool join_dump(const qn__profile *p) {
#if defined(__x86_64__)
    const uint32_t machine = EM_X86_64;
#else
    const uint32_t machine = EM_AARCH64;
#endif
    const dump_header header = {DUMP_MAGIC, DUMP_VERSION, sizeof header, machine, 0, (uint32_t)p->process, now(CLOCK_MONOTONIC), 0};
    if (!begin_writing(p)) return false;
    const bool ok = lock(p, F_RDLCK, USERS, true) &&
                    (lseek(p->dump, 0, SEEK_END) > 0 ? drop_close(p) : append(p->dump, &header, sizeof header));
    end_writing(p);
    return ok;
}

static bool open_dump(qn__profile *p) {
    if (!dump_path(p)) return false;
    p->dump = open_own(p->path);
    if (p->dump < 0 || !join_dump(p)) return false;
    p->mark_size = (size_t)sysconf(_SC_PAGESIZE);
    void *mark = mmap(NULL, p->mark_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, p->dump, 0);
    if (mark == MAP_FAILED) return false;
    p->mark = mark;
    return true;
}

static void release(qn__profile *p) {
    if (p->mark) munmap(p->mark, p->mark_size);
    if (p->map >= 0) close(p->map);
    if (p->dump >= 0) close(p->dump);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

qn__profile *qn__profile_create(char message[QN__PROFILE_MESSAGE]) {
    qn__profile *p = calloc(1, sizeof *p);
    if (!p || pthread_mutex_init(&p->lock, NULL) != 0) {
        free(p);
        snprintf(message, QN__PROFILE_MESSAGE, "out of memory");
        return NULL;
    }
    p->process = getpid();
    p->dump = -1;
    char map[32];
    snprintf(map, sizeof map, "/tmp/perf-%ld.map", (long)p->process); /* perf looks there only */
    p->map = open_own(map);
    if (p->map < 0) snprintf(message, QN__PROFILE_MESSAGE, "%s cannot be written: %m", map);
    else if (!open_dump(p)) snprintf(message, QN__PROFILE_MESSAGE, "%s cannot be written and mapped: %m", p->path);
    else return p;
    release(p);
    return NULL;
}

/* ---- writing ---- */

static void add(qn__text *out, const void *bytes, size_t size) { qn__text_add(out, bytes, size); }

/* Whether rows[i] says something new about the function's code. */
static bool is_entry(const qn__lines *lines, size_t i, const qn__object_function *f, const qn__line_row *last) {
    const qn__line_row *row = &lines->rows[i];
    if (row->end || row->line == 0 || row->address < f->address || row->address - f->address >= f->size) return false;
    return !last || row->line != last->line || strcmp(row->path, last->path) != 0;
}

static void add_lines(qn__text *out, const qn__object *object, const qn__object_function *f, uint64_t base) {
    const qn__lines *lines = &object->lines;
    const size_t start = out->length;
    dump_lines record = {.prefix = {CODE_DEBUG_INFO, 0, now(CLOCK_MONOTONIC)}, .address = base + f->address};
    add(out, &record, sizeof record);
    const qn__line_row *last = NULL;
    for (size_t i = 0; i < lines->count; i++) {
        if (!is_entry(lines, i, f, last)) continue;
        last = &lines->rows[i];
        const dump_line entry = {base + last->address, last->line, 0};
        add(out, &entry, sizeof entry);
        add(out, last->path, strlen(last->path) + 1);
        record.count++;
    }
    if (out->failed) return;
    record.prefix.size = (uint32_t)(out->length - start);
    if (record.count) memcpy(out->bytes + start, &record, sizeof record);
    else out->length = start;
}

/* number: unlike those of all other records, whoever wrote them */
static void add_load(qn__text *out, const qn__profile *p, const qn__object_function *f, uint64_t base, uint64_t number) {
    const size_t name = strlen(f->name) + 1;
    const uint64_t address = base + f->address;
    const dump_load record = {.prefix = {CODE_LOAD, (uint32_t)(sizeof record + name + f->size), now(CLOCK_MONOTONIC)},
                              .process = (uint32_t)p->process, .thread = (uint32_t)syscall(SYS_gettid),
                              .virtual_address = address, .address = address, .size = f->size, .number = number};
    add(out, &record, sizeof record);
    add(out, f->name, name);
    add(out, (const void *)(uintptr_t)address, f->size);
}

/* The object's functions in the section that was loaded to base. The records' numbers are their places in the file. */
static void write_object(qn__profile *p, const qn__object *object, uint64_t base) {
    qn__text names = QN__TEXT_EMPTY, records = QN__TEXT_EMPTY;
    pthread_mutex_lock(&p->lock);
    begin_writing(p);
    const off_t end = lseek(p->dump, 0, SEEK_END);
    for (size_t i = 0; i < object->function_count; i++) {
        const qn__object_function *f = &object->functions[i];
        if (f->section != object->section) continue;
        qn__text_format(&names, "%llx %llx %s\n", (unsigned long long)(base + f->address), (unsigned long long)f->size, f->name);
        if (object->lines.count) add_lines(&records, object, f, base);
        add_load(&records, p, f, base, (uint64_t)end + records.length);
    }
    if (!names.failed) append(p->map, qn__text_bytes(&names), names.length);
    if (!records.failed && end > 0 && !append(p->dump, qn__text_bytes(&records), records.length) && ftruncate(p->dump, end) != 0) {
        close(p->dump); /* half a record at the end: nothing may follow */
        p->dump = -1;
    }
    end_writing(p);
    pthread_mutex_unlock(&p->lock);
    qn__text_free(&names);
    qn__text_free(&records);
}

static void note(qn__profile *p, const qn__image *image, uint64_t entry) {
    qn__arena *arena = p->process == getpid() ? qn__arena_create(ARENA_LIMIT) : NULL;
    qn__object object;
    if (arena && qn__object_read(image->code, image->code_size, image->symbol, arena, &object))
        for (size_t i = 0; i < object.function_count; i++)
            if (strcmp(object.functions[i].name, image->symbol) == 0) {
                write_object(p, &object, entry - object.functions[i].address);
                break;
            }
    qn__arena_destroy(arena);
}

/* ---- the loader ---- */

static qn__entry load(void *self, const qn__image *image, void **handle, const char **message) {
    qn__profile *p = self;
    const qn__entry entry = p->inner->load(p->inner->self, image, handle, message);
    if (entry) note(p, image, (uint64_t)(uintptr_t)entry);
    return entry;
}

static void *symbol(void *self, void *handle, const char *name) {
    const qn__loader *inner = ((qn__profile *)self)->inner;
    return inner->symbol ? inner->symbol(inner->self, handle, name) : NULL;
}

static void unload(void *self, void *handle) {
    const qn__loader *inner = ((qn__profile *)self)->inner;
    if (inner->unload) inner->unload(inner->self, handle);
}

static void destroy(void *self) {
    qn__profile *p = self;
    p->inner->destroy(p->inner->self);
    p->inner = NULL;
}

qn__loader *qn__profile_attach(qn__profile *profile, qn__loader *inner) {
    profile->inner = inner;
    profile->face = (qn__loader){.self = profile, .load = load, .symbol = symbol, .raw_services = inner->raw_services, .unload = unload, .destroy = destroy};
    return &profile->face;
}

const char *qn__profile_path(const qn__profile *profile) { return profile->path; }

void qn__profile_destroy(qn__profile *profile) {
    if (!profile) return;
    const dump_prefix end = {CODE_CLOSE, sizeof end, now(CLOCK_MONOTONIC)};
    if (profile->process == getpid()) {
        begin_writing(profile);
        if (lock(profile, F_WRLCK, USERS, false)) append(profile->dump, &end, sizeof end); /* no other user is left */
        end_writing(profile);
    }
    release(profile);
}
