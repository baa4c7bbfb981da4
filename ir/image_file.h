/* Images as bytes, for the cache: everything that a loaded native kernel needs, without its IR. */
#ifndef QN__IMAGE_FILE_H
#define QN__IMAGE_FILE_H

#include "ir/image.h"
#include "ir/text.h"

/* Appends the image (kinds OBJECT and PTX only: bytecode is made faster than read). out->failed when memory is exhausted. */
void qn__image_save(const qn__image *image, qn__text *out);

/* Reads what qn__image_save wrote, copying everything into the arena; checks every count and index, so that damaged bytes give false and never
 * a bad image. bytes may be released afterwards. */
bool qn__image_read(qn__arena *arena, const void *bytes, size_t size, qn__image *image);

#endif
