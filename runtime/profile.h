/* Tells Linux's perf about loaded code: names in /tmp/perf-PID.map; names, bytes and lines in a jitdump file, jit-PID.dump. */
#ifndef QN__PROFILE_H
#define QN__PROFILE_H

#include "ir/image.h"

typedef struct qn__profile qn__profile;
enum { QN__PROFILE_MESSAGE = 4352 };

/* Opens both files and maps the jitdump file's first page, which is how `perf record` notes where it is. It lies in $JITDUMPDIR, else in
 * $HOME/.debug/jit (both made where missing), else in the current folder. Several profiles of a process share its files. NULL with a message
 * ("out of memory", or which file cannot be written and why). */
qn__profile *qn__profile_create(char message[QN__PROFILE_MESSAGE]);

/* A loader that notes what it loads, and else is `inner`, which belongs to it from then on; call it once. It must be destroyed before the profile. Thread-safe as
 * inner is. What cannot be written any more (a full disk) is left out without a word, and so is what a forked child loads. */
qn__loader *qn__profile_attach(qn__profile *profile, qn__loader *inner);

const char *qn__profile_path(const qn__profile *profile); /* of the jitdump file */

/* Ends the jitdump file unless others go on with it. The files stay, for perf to read. NULL is allowed. */
void qn__profile_destroy(qn__profile *profile);

#endif
