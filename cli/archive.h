/* Static libraries: ar archives with a symbol index, as the GNU tools write them. */
#ifndef QUERN_CLI_ARCHIVE_H
#define QUERN_CLI_ARCHIVE_H

#include "ir/text.h"

typedef struct cli_member { const char *name; const void *bytes; size_t size; } cli_member;

/* Appends an archive of 64-bit ELF objects. False when one is not such an object, or memory is out. */
bool cli_archive(const cli_member *members, size_t count, qn__text *out);

#endif
