/* Linked into a library of its own: the Nth allocation of the emulator's code fails, and with `onwards` all later ones.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);

static _Atomic unsigned int left;       /* until the one that fails; 0: none does */
static _Atomic bool onwards, came_true; /* came_true is what em_fail_at answers for the request before */

__attribute__((visibility("default"))) bool em_fail_at(unsigned int number, bool later_too) {
    bool failed = came_true;
    came_true = false;
    onwards = later_too;
    left = number;
    return failed;
}

static bool fails(void) {
    if (!left) return false;
    bool now = left == 1;
    if (now) came_true = true;
    if (!now || !onwards) left--;
    return now;
}

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *data, size_t size) {
    return fails() ? NULL : __real_realloc(data, size);
}
